package vnode

import (
	"encoding/binary"
	"errors"
)

// ErrDelta is returned for bytes that are no delta.
var ErrDelta = errors.New("malformed delta")

// Entry is one key of a delta; the package's documentation has its bytes. Key and Value alias the delta.
type Entry struct {
	Key     []byte
	Value   []byte // nil when Deleted
	Deleted bool
}

// AppendEntry appends e to a delta.
func AppendEntry(delta []byte, e Entry) []byte {
	head := uint64(len(e.Key)) << 1
	if e.Deleted {
		head |= 1
	}
	delta = append(binary.AppendUvarint(delta, head), e.Key...)
	if e.Deleted {
		return delta
	}
	return append(binary.AppendUvarint(delta, uint64(len(e.Value))), e.Value...)
}

// NextEntry reads the first entry of a delta and returns the rest.
func NextEntry(delta []byte) (e Entry, rest []byte, err error) {
	head, n := binary.Uvarint(delta)
	if n <= 0 || head>>1 > uint64(len(delta)-n) {
		return Entry{}, nil, ErrDelta
	}
	delta = delta[n:]
	e.Key, delta = delta[:head>>1:head>>1], delta[head>>1:]
	if head&1 == 1 {
		e.Deleted = true
		return e, delta, nil
	}
	size, n := binary.Uvarint(delta)
	if n <= 0 || size > uint64(len(delta)-n) {
		return Entry{}, nil, ErrDelta
	}
	delta = delta[n:]
	e.Value = delta[:size:size]
	return e, delta[size:], nil
}
