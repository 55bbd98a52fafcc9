package backend

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/sheaf-go/sheaf/backend/recordpb"
)

const recordMagic = "SHEAFREC"

// maxRecord bounds the body of a record, uncompressed, in bytes. What it bounds in turn: segments that wait for a
// compaction.
const maxRecord = 16 << 20

// recordCodec turns records into objects and back. It is safe for concurrent use.
type recordCodec struct {
	zip   *zstd.Encoder
	unzip *zstd.Decoder
}

// newRecordCodec makes a codec that starts no goroutine and needs no closing.
func newRecordCodec() (*recordCodec, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("open record encoder: %w", err)
	}
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRecord), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("open record decoder: %w", err)
	}
	return &recordCodec{zip: zip, unzip: unzip}, nil
}

// encode returns the object of a record and its digest. Equal records give equal bytes.
func (c *recordCodec) encode(r *Record) ([]byte, Digest, error) {
	if r.Identity.Format != ledgerFormat {
		return nil, Digest{}, fmt.Errorf("encode record %d: format %d, this release writes %d", r.Seq, r.Identity.Format, ledgerFormat)
	}
	if reason := r.check(); reason != "" {
		return nil, Digest{}, fmt.Errorf("encode record %d: %s", r.Seq, reason)
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(packRecord(r))
	if err != nil {
		return nil, Digest{}, fmt.Errorf("encode record %d: %w", r.Seq, err)
	}
	if len(body) > maxRecord {
		return nil, Digest{}, fmt.Errorf("encode record %d: %d bytes, the bound is %d: it names %d segments",
			r.Seq, len(body), maxRecord, len(r.Segments))
	}
	data, sum := closeFrame(c.zip.EncodeAll(body, openFrame(recordMagic, r.Identity.Format, len(body)/2)))
	return data, sum, nil
}

// decode reads the object of the record with that sequence number. It fails with a [CorruptError] or a [FormatError].
func (c *recordCodec) decode(seq uint64, data []byte) (*Record, error) {
	key := recordKey(seq)
	packed, version, sum, err := readFrame(key, recordMagic, data)
	if err != nil {
		return nil, err
	}
	body, err := c.unzip.DecodeAll(packed, nil)
	if err != nil {
		return nil, corrupt(key, "its body: %v", err)
	}
	r, err := decodeBody(seq, body, version)
	if err != nil {
		return nil, err
	}
	r.digest, r.size = sum, int64(len(data))
	return r, nil
}

// decodeBody reads the body of a record's object.
func decodeBody(seq uint64, body []byte, version uint32) (*Record, error) {
	key := recordKey(seq)
	var m recordpb.Record
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &m); err != nil {
		return nil, corrupt(key, "its body: %v", err)
	}
	if known := proto.Size(&m); known != len(body) { // a field that the format does not know, or one twice
		return nil, corrupt(key, "its body has %d bytes, of which format %d knows %d", len(body), version, known)
	}
	r, err := unpackRecord(&m, version)
	if err != nil {
		return nil, corrupt(key, "%v", err)
	}
	if r.Seq != seq {
		return nil, corrupt(key, "it holds record %d", r.Seq)
	}
	if reason := r.check(); reason != "" {
		return nil, corrupt(key, "%s", reason)
	}
	return r, nil
}
