package flights

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrEncoding is returned for bytes that no codec of this package wrote.
var ErrEncoding = errors.New("malformed encoding")

// fields reads what a codec wrote, field by field. After the first field that is not there, all further ones are zero.
type fields struct {
	bytes []byte
	bad   bool
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.bytes)
	return take(f, v, n)
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.bytes)
	return take(f, v, n)
}

// raw returns the next n bytes, which alias the encoding; nil if there are fewer.
func (f *fields) raw(n int) []byte {
	if len(f.bytes) < n {
		f.bad = true
		return nil
	}
	b := f.bytes[:n]
	f.bytes = f.bytes[n:]
	return b
}

// end returns an error if a field was missing or bytes are left.
func (f *fields) end(what string) error {
	if f.bad {
		return fmt.Errorf("decode %s: a field is missing or too large: %w", what, ErrEncoding)
	}
	if len(f.bytes) > 0 {
		return fmt.Errorf("decode %s: %d bytes are left over: %w", what, len(f.bytes), ErrEncoding)
	}
	return nil
}

func take[T uint64 | int64](f *fields, value T, n int) T {
	if n <= 0 {
		f.bad, f.bytes = true, nil
		return 0
	}
	f.bytes = f.bytes[n:]
	return value
}
