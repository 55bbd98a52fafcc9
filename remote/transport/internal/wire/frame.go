package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind says what a frame is.
type Kind uint8

// The kinds of frames. 0 is none.
const (
	KindHello   Kind = 1
	KindEnd     Kind = 2
	KindPlain   Kind = 3
	KindTracked Kind = 4
	KindDone    Kind = 5
	KindAlive   Kind = 6
)

const (
	// HeaderSize is what stands before the body of each frame, in bytes.
	HeaderSize = 1 + 4
	numberSize = 8
	// Overhead is the most that a frame adds to its data, in bytes.
	Overhead = HeaderSize + numberSize
	// maxControl bounds the bodies of frames that carry no data, in bytes.
	maxControl = 64 << 10
)

// ErrFormat is in every error of bytes that are no frames.
var ErrFormat = errors.New("malformed frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Start begins a frame behind b. What is appended until [Finish] is its body. Number is that of a tracked frame.
func Start(b []byte, kind Kind, number uint64) []byte {
	b = append(b, byte(kind), 0, 0, 0, 0)
	if kind == KindTracked {
		b = binary.LittleEndian.AppendUint64(b, number)
	}
	return b
}

// Finish ends the frame that Start began when b was so long.
func Finish(b []byte, start int) {
	binary.LittleEndian.PutUint32(b[start+1:], uint32(len(b)-start-HeaderSize))
}

// AppendAlive appends a frame that says only that its sender is there.
func AppendAlive(b []byte) []byte { return Start(b, KindAlive, 0) }

// AppendEnd appends the last frame of a sender: of what kind its reason is, and the reason.
func AppendEnd(b []byte, kind, reason string) []byte {
	start := len(b)
	b = Start(b, KindEnd, 0)
	b = appendString(b, kind)
	b = append(b, reason[:min(len(reason), maxString)]...)
	Finish(b, start)
	return b
}

// ParseEnd reads the body of an end.
func ParseEnd(body []byte) (kind, reason string, err error) {
	kind, rest, err := takeString(body)
	return kind, string(rest), err
}

// Frame is one that was read.
type Frame struct {
	Kind   Kind
	Number uint64 // of a tracked frame
	Body   []byte // valid until the next one is read
}

// Reader reads the frames of one message, whose bytes lie in several pieces. A body that lies within one of them is not
// copied.
type Reader struct {
	limit  int
	pieces [][]byte
	left   int
	spare  []byte // for what spans pieces; reused
	number uint64 // of the last tracked frame
}

// NewReader returns a reader of frames whose data is at most limit bytes long.
func NewReader(limit int) *Reader { return &Reader{limit: limit} }

// Reset turns to the next message of the same stream. The pieces are kept until the message is read.
func (r *Reader) Reset(pieces [][]byte) {
	r.pieces, r.left = pieces, 0
	for _, p := range pieces {
		r.left += len(p)
	}
}

// Next reads the next frame; false at the end of the message.
func (r *Reader) Next() (Frame, bool, error) {
	if r.left == 0 {
		return Frame{}, false, nil
	}
	header, err := r.take(HeaderSize)
	if err != nil {
		return Frame{}, false, err
	}
	f := Frame{Kind: Kind(header[0])}
	size := int64(binary.LittleEndian.Uint32(header[1:]))
	if size, err = r.data(&f, size); err != nil {
		return Frame{}, false, err
	}
	f.Body, err = r.take(int(size))
	return f, err == nil, err
}

// data checks the kind and the size of a frame, reads its number if it has one, and returns how many bytes are left of it.
func (r *Reader) data(f *Frame, size int64) (int64, error) {
	limit := int64(maxControl)
	switch f.Kind {
	case KindTracked:
		b, err := r.take(min(numberSize, int(size)))
		if err != nil || len(b) < numberSize {
			return 0, malformed("%d bytes of a tracked one", size)
		}
		f.Number = binary.LittleEndian.Uint64(b)
		if f.Number <= r.number {
			return 0, malformed("number %d behind %d", f.Number, r.number)
		}
		r.number, size, limit = f.Number, size-numberSize, int64(r.limit)
	case KindPlain:
		limit = int64(r.limit)
	case KindAlive:
		limit = 0
	case KindHello, KindEnd, KindDone:
	default:
		return 0, malformed("unknown kind %d", f.Kind)
	}
	if size > limit {
		return 0, malformed("%d bytes, at most %d are allowed", size, limit)
	}
	return size, nil
}

// take returns the next n bytes, in one piece.
func (r *Reader) take(n int) ([]byte, error) {
	if n > r.left {
		return nil, malformed("%d bytes are missing", n-r.left)
	}
	r.left -= n
	for len(r.pieces) > 0 && len(r.pieces[0]) == 0 {
		r.pieces = r.pieces[1:]
	}
	if n == 0 {
		return nil, nil
	}
	if first := r.pieces[0]; len(first) >= n {
		r.pieces[0] = first[n:]
		return first[:n:n], nil
	}
	if cap(r.spare) < n {
		r.spare = make([]byte, 0, n)
	}
	b := r.spare[:0]
	for n > 0 {
		part := r.pieces[0][:min(n, len(r.pieces[0]))]
		b = append(b, part...)
		n -= len(part)
		if r.pieces[0] = r.pieces[0][len(part):]; len(r.pieces[0]) == 0 {
			r.pieces = r.pieces[1:]
		}
	}
	r.spare = b
	return b, nil
}
