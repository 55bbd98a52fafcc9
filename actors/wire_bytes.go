package actors

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
	"github.com/sheaf-go/sheaf/vnode"
)

// wireWriter appends to a frame.
type wireWriter struct {
	b            []byte
	incarnations map[uuid.UUID]uint64
	attempts     map[vnode.Attempt]uint64
}

func (w *wireWriter) uint(x uint64) { w.b = binary.AppendUvarint(w.b, x) }

func (w *wireWriter) text(s []byte) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *wireWriter) str(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *wireWriter) attempt(a vnode.Attempt) {
	w.uint(a.Term)
	w.uint(a.Number)
	w.uint(a.Version)
}

func (w *wireWriter) header(h *vnode.Header) {
	w.str(h.Origin)
	w.uint(h.Generation)
	w.uint(h.Version)
	w.uint(h.From)
	w.uint(h.To)
	w.attempt(h.Barrier)
	w.uint(h.Round)
}

func (w *wireWriter) slice(s vnode.SliceID) {
	if w.incarnations == nil {
		w.incarnations, w.attempts = map[uuid.UUID]uint64{}, map[vnode.Attempt]uint64{}
	}
	i, known := w.incarnations[s.Life.Incarnation]
	if !known {
		i = uint64(len(w.incarnations))
		w.incarnations[s.Life.Incarnation] = i
	}
	if w.uint(i); !known {
		w.b = append(w.b, s.Life.Incarnation[:]...)
	}
	w.uint(s.Life.N)
	i, known = w.attempts[s.Attempt]
	if !known {
		i = uint64(len(w.attempts))
		w.attempts[s.Attempt] = i
	}
	if w.uint(i); !known {
		w.attempt(s.Attempt)
	}
}

// wireReader reads a frame. After the first mistake everything is zero, and err says so.
type wireReader struct {
	b            []byte
	err          error
	incarnations []uuid.UUID
	attempts     []vnode.Attempt
}

func (r *wireReader) fail() {
	r.b = nil
	if r.err == nil {
		r.err = errWire
	}
}

func (r *wireReader) uint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

// count reads the number of things of at least that many bytes each.
func (r *wireReader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *wireReader) bytes(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// fixed reads 8 bytes, little-endian.
func (r *wireReader) fixed() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return x
}

func (r *wireReader) text() []byte {
	if len(r.b) == 0 || r.b[0] >= 0x80 || int(r.b[0]) >= len(r.b) { // else it is short, as nearly all are
		return r.bytes(r.count(1))
	}
	n := 1 + int(r.b[0])
	out := r.b[1:n]
	r.b = r.b[n:]
	return out
}

func (r *wireReader) str() string { return string(r.text()) }

func (r *wireReader) vnode() vnode.ID {
	v := r.uint()
	if v >= vnode.MaxCapacity {
		r.fail()
	}
	return vnode.ID(v)
}

func (r *wireReader) attempt() vnode.Attempt {
	return vnode.Attempt{Term: r.uint(), Number: r.uint(), Version: r.uint()}
}

func (r *wireReader) header(h *vnode.Header) {
	h.Origin, h.Generation, h.Version = r.str(), r.uint(), r.uint()
	h.From, h.To, h.Barrier, h.Round = r.uint(), r.uint(), r.attempt(), r.uint()
}

// count4 is count of a number in 4 bytes, little-endian.
func (r *wireReader) count4(size int) int {
	b := r.bytes(4)
	if b == nil || int64(binary.LittleEndian.Uint32(b)) > int64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}

func (r *wireReader) slice() vnode.SliceID {
	var s vnode.SliceID
	switch i := r.uint(); {
	case i < uint64(len(r.incarnations)):
		s.Life.Incarnation = r.incarnations[i]
	case i == uint64(len(r.incarnations)):
		copy(s.Life.Incarnation[:], r.bytes(16))
		r.incarnations = append(r.incarnations, s.Life.Incarnation)
	default:
		r.fail()
	}
	s.Life.N = r.uint()
	switch i := r.uint(); {
	case i < uint64(len(r.attempts)):
		s.Attempt = r.attempts[i]
	case i == uint64(len(r.attempts)):
		s.Attempt = r.attempt()
		r.attempts = append(r.attempts, s.Attempt)
	default:
		r.fail()
	}
	return s
}

// end returns the error of the whole frame, nothing of which may be left.
func (r *wireReader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errWire
	}
	if r.err != nil {
		return fmt.Errorf("%s: %w", what, r.err)
	}
	return nil
}
