package backend

// The tests of the ledger reach these.

// RecordCodec encodes and decodes records outside a store.
type RecordCodec struct{ codec *recordCodec }

func NewRecordCodec() (*RecordCodec, error) {
	codec, err := newRecordCodec()
	return &RecordCodec{codec}, err
}

func (c *RecordCodec) Encode(r *Record) ([]byte, Digest, error) { return c.codec.encode(r) }

func (c *RecordCodec) Decode(seq uint64, data []byte) (*Record, error) {
	return c.codec.decode(seq, data)
}

// Body returns a record's body, uncompressed.
func (c *RecordCodec) Body(data []byte) ([]byte, error) {
	body, _, _, err := readFrame("", recordMagic, data)
	if err != nil {
		return nil, err
	}
	return c.codec.unzip.DecodeAll(body, nil)
}

// DecodeRecordBody decodes the body of a record's object.
func DecodeRecordBody(seq uint64, body []byte) (*Record, error) {
	return decodeBody(seq, body, ledgerFormat)
}

// Wrap compresses a body and frames it.
func (c *RecordCodec) Wrap(body []byte, format uint32) []byte {
	data, _ := closeFrame(c.codec.zip.EncodeAll(body, openFrame(recordMagic, format, len(body))))
	return data
}

// Bare returns a record as if it was never read or created.
func (r *Record) Bare() *Record {
	bare := *r
	bare.digest, bare.size = Digest{}, 0
	return &bare
}

func EncodeFloor(f Floor) []byte { return encodeFloor(f) }

func DecodeFloor(k uint64, data []byte) (Floor, error) { return decodeFloor(k, data) }

// Fork returns a ledger as another process would hold it, which knows nothing yet, on another view of the store.
// It shares the codec, which is dear to make.
func (l *Ledger) Fork(objects Objects) *Ledger { return &Ledger{objects: objects, codec: l.codec} }
