package actors

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// batchFrame is a batch on its way to another instance. It is its owner's again when the vnode there has finished with
// it, so that a bound on what is in flight holds across instances.
type batchFrame[E any] struct {
	batch  *vnode.Batch[E]
	events vnode.Codec[E]
	limit  int // bytes
	// reject is told of an event that cannot be sent, now and whenever the batch is sent again.
	reject func(b *vnode.Batch[E], i int, err error)
	// shorten is told that a batch ends at a position before its own: the rest is to be sent.
	shorten func(b *vnode.Batch[E], to uint64)
}

var _ remote.Tracked = batchFrame[int]{}

// Size is what the batch counts for in its owner's bound.
func (f batchFrame[E]) Size() int { return batchOverhead + int(bytesOf[E](len(f.batch.Items))) }

// batchOverhead stands for a batch's header, in bytes.
const batchOverhead = 1 << 10

// Done gives the batch back.
func (f batchFrame[E]) Done() { f.batch.Owner.Finish(f.batch) }

// Append encodes the batch. If that is more than fits into a frame it ends before the first event that does not, without
// its barrier, and its owner is told to send the rest. An event that fits into none, or that the app's codec fails with,
// is rejected.
func (f batchFrame[E]) Append(b []byte) ([]byte, error) {
	for n := len(f.batch.Items); ; {
		out, fit, bad := f.encode(b, n)
		if fit < n {
			n = fit
			continue
		}
		for _, x := range bad {
			f.reject(f.batch, x.index, x.err)
		}
		if n < len(f.batch.Items) {
			f.shorten(f.batch, f.batch.Position(n)-1)
		}
		return out, nil
	}
}

// badEvent is an event that cannot be sent.
type badEvent struct {
	index int
	err   error
}

// encode appends the first n events, and returns how many of them fit.
func (f batchFrame[E]) encode(b []byte, n int) (out []byte, fit int, bad []badEvent) {
	begin, x := len(b), f.batch
	h := x.Header
	if n < len(x.Items) {
		h.To, h.Barrier = x.Position(n)-1, vnode.Attempt{}
	}
	w := wireWriter{b: append(b, wireBatch)}
	w.uint(uint64(x.Vnode))
	w.header(&h)
	w.uint(x.Base)
	b = w.b
	count := len(b)
	b = append(b, 0, 0, 0, 0)
	for i := range x.Items[:n] {
		at := len(b)
		b = binary.LittleEndian.AppendUint64(b, uint64(x.Items[i].Slot))
		var err error
		b, err = appendEvent(b, f.events, &x.Items[i].Event)
		if size := len(b) - at; err == nil && size > f.limit-batchOverhead {
			err = fmt.Errorf("it has %d bytes between instances, limits.message leaves room for %d", size, f.limit-batchOverhead)
		}
		switch {
		case err != nil:
			b, bad = b[:at], append(bad, badEvent{i, err})
		case len(b)-begin > f.limit:
			return b, i, nil
		}
	}
	binary.LittleEndian.PutUint32(b[count:], uint32(n-len(bad)))
	return b, n, bad
}

// appendEvent is appendSized for the app's codec, whose panic is an error.
func appendEvent[E any](b []byte, codec vnode.Codec[E], e *E) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = b, fmt.Errorf("the event codec panicked: %v", p)
		}
	}()
	return appendSized(b, codec, e)
}

// appendSized appends the length of a value's encoding and the encoding.
func appendSized[T any](b []byte, codec vnode.Codec[T], v *T) ([]byte, error) {
	at := len(b)
	b, err := codec.Append(append(b, 0), v)
	if err != nil {
		return b, err
	}
	n := len(b) - at - 1
	if n < 0x80 {
		b[at] = byte(n)
		return b, nil
	}
	var length [binary.MaxVarintLen64]byte
	return slices.Replace(b, at, at+1, length[:binary.PutUvarint(length[:], uint64(n))]...), nil
}

// minEvent is the least that an event takes in a batch, in bytes: its slot, and the length of nothing.
const minEvent = 9

// decodeBatch reads a batch into b, which is empty. An event that the app's codec fails with is left out, and rejected
// once the rest is read: it counts as taken.
func decodeBatch[E any](data []byte, events vnode.Codec[E], capacity int, b *vnode.Batch[E], reject func(position uint64, err error)) error {
	r := wireReader{b: data}
	b.Vnode = r.vnode()
	r.header(&b.Header)
	b.Base = r.uint()
	n := r.count4(minEvent)
	if int(b.Vnode) >= capacity {
		r.fail()
	}
	b.Items = slices.Grow(b.Items[:0], n)
	var bad []badEvent
	for range n {
		i := len(b.Items)
		b.Items = b.Items[:i+1]
		b.Items[i].Slot = vnode.Slot(r.fixed())
		text := r.text()
		if r.err != nil {
			break
		}
		if err := decodeEvent(text, events, &b.Items[i].Event); err != nil {
			bad = append(bad, badEvent{int(b.Position(i) - b.Base), err})
			clear(b.Items[i:])
			b.Items = b.Items[:i]
		}
	}
	if r.err == nil && !ordered(b) {
		r.fail()
	}
	if err := r.end("batch"); err != nil {
		return err
	}
	for _, x := range bad {
		reject(b.Base+uint64(x.index), x.err)
	}
	return nil
}

// decodeEvent calls the app's codec, whose panic is an error.
func decodeEvent[E any](text []byte, codec vnode.Codec[E], e *E) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the event codec panicked: %v", p)
		}
	}()
	return codec.Decode(text, e)
}

// ordered reports whether positions grow, within the batch's interval.
func ordered[E any](b *vnode.Batch[E]) bool {
	last := b.From
	for i := range b.Items {
		at := b.Position(i)
		if at <= last || at > b.To {
			return false
		}
		last = at
	}
	return true
}
