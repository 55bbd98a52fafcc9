package wire

import (
	"encoding/binary"

	"github.com/sheaf-go/sheaf/remote"
)

const (
	// Format of frames that this package reads and writes.
	Format    = 1
	magic     = "SHEAFNET"
	maxString = 4 << 10 // bytes of a name or an address

	flagClient = 1 << 0
	flagProbe  = 1 << 1
)

// Hello is the first thing that an end says.
type Hello struct {
	remote.Hello
	Intended string // the instance that a dialer means to reach; empty in an answer and a probe
	Probe    bool   // the dialer only wants the answer
}

// FormatError is a hello in another format of frames.
type FormatError struct{ Format uint8 }

func (e *FormatError) Error() string {
	return malformed("format %d of frames, not %d", e.Format, Format).Error()
}

// Unwrap makes it an [ErrFormat].
func (e *FormatError) Unwrap() error { return ErrFormat }

// AppendHello appends a hello.
func AppendHello(b []byte, h Hello) []byte {
	start := len(b)
	b = Start(b, KindHello, 0)
	b = append(b, magic...)
	var flags byte
	if h.Client {
		flags |= flagClient
	}
	if h.Probe {
		flags |= flagProbe
	}
	b = append(b, Format, flags)
	le := binary.LittleEndian
	b = le.AppendUint32(b, h.Lowest)
	b = le.AppendUint32(b, h.Highest)
	b = le.AppendUint32(b, uint32(h.Capacity))
	b = le.AppendUint64(b, h.Version)
	b = le.AppendUint64(b, h.Term)
	b = append(b, h.Member.Incarnation[:]...)
	for _, s := range []string{h.Cluster, h.Member.Instance, h.Address, h.App, h.Intended} {
		b = appendString(b, s)
	}
	Finish(b, start)
	return b
}

// ParseHello reads the body of a hello. What follows its last field belongs to later formats.
func ParseHello(body []byte) (Hello, error) {
	const fixed = len(magic) + 2 + 3*4 + 2*8 + 16
	if len(body) < len(magic)+1 || string(body[:len(magic)]) != magic {
		return Hello{}, malformed("no hello")
	}
	if format := body[len(magic)]; format != Format {
		return Hello{}, &FormatError{format}
	}
	if len(body) < fixed {
		return Hello{}, malformed("%d bytes of a hello", len(body))
	}
	var h Hello
	b, le := body[len(magic)+1:], binary.LittleEndian
	h.Client, h.Probe = b[0]&flagClient != 0, b[0]&flagProbe != 0
	h.Lowest, h.Highest, h.Capacity = le.Uint32(b[1:]), le.Uint32(b[5:]), int(le.Uint32(b[9:]))
	h.Version, h.Term = le.Uint64(b[13:]), le.Uint64(b[21:])
	copy(h.Member.Incarnation[:], b[29:])
	b = body[fixed:]
	var err error
	for _, s := range []*string{&h.Cluster, &h.Member.Instance, &h.Address, &h.App, &h.Intended} {
		if *s, b, err = takeString(b); err != nil {
			return Hello{}, err
		}
	}
	return h, nil
}

// appendString appends a string of at most maxString bytes behind its length.
func appendString(b []byte, s string) []byte {
	s = s[:min(len(s), maxString)]
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func takeString(b []byte) (s string, rest []byte, err error) {
	if len(b) < 2 {
		return "", nil, malformed("a string is missing")
	}
	n := int(binary.LittleEndian.Uint16(b))
	if b = b[2:]; n > len(b) || n > maxString {
		return "", nil, malformed("a string of %d bytes", n)
	}
	return string(b[:n]), b[n:], nil
}
