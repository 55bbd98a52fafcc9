package backend

import (
	"encoding/binary"
	"fmt"
)

// RecordWire turns records that stand into bytes for other processes and back: 8 bytes with the sequence number,
// little-endian, and the record's object. It is safe for concurrent use.
type RecordWire struct{ codec *recordCodec }

// NewRecordWire makes one; it starts nothing and needs no closing.
func NewRecordWire() (*RecordWire, error) {
	codec, err := newRecordCodec()
	if err != nil {
		return nil, err
	}
	return &RecordWire{codec}, nil
}

// Append appends the bytes of a record.
func (w *RecordWire) Append(b []byte, r *Record) ([]byte, error) {
	data, _, err := w.codec.encode(r)
	if err != nil {
		return b, err
	}
	return append(binary.LittleEndian.AppendUint64(b, r.Seq), data...), nil
}

// Decode reads a record. It fails with a [CorruptError] or a [FormatError].
func (w *RecordWire) Decode(data []byte) (*Record, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("read a record: %d bytes", len(data))
	}
	return w.codec.decode(binary.LittleEndian.Uint64(data), data[8:])
}
