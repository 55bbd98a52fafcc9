package actors

import (
	"encoding/binary"
	"slices"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// batchFrame is a batch on its way to another instance. It is its owner's again when the vnode there has finished with
// it, so that a bound on what is in flight holds across instances.
type batchFrame[E any] struct {
	batch  *vnode.Batch[E]
	events vnode.Codec[E]
}

var _ remote.Tracked = batchFrame[int]{}

// Size is what the batch counts for in its owner's bound.
func (f batchFrame[E]) Size() int { return batchOverhead + int(bytesOf[E](len(f.batch.Items))) }

// batchOverhead stands for a batch's header, in bytes.
const batchOverhead = 128

// Done gives the batch back.
func (f batchFrame[E]) Done() { f.batch.Owner.Finish(f.batch) }

// Append encodes the batch.
func (f batchFrame[E]) Append(b []byte) ([]byte, error) {
	w := wireWriter{b: append(b, wireBatch)}
	x := f.batch
	w.uint(uint64(x.Vnode))
	w.str(x.Origin)
	w.uint(x.Generation)
	w.uint(x.Version)
	w.uint(x.From)
	w.uint(x.To)
	w.attempt(x.Barrier)
	w.uint(x.Round)
	w.uint(x.Base)
	w.uint(uint64(len(x.Items)))
	b = w.b
	for i := range x.Items {
		b = binary.LittleEndian.AppendUint64(b, uint64(x.Items[i].Slot))
		var err error
		if b, err = appendSized(b, f.events, &x.Items[i].Event); err != nil {
			return b, err
		}
	}
	return b, nil
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

// decodeBatch reads a batch into b, which is empty.
func decodeBatch[E any](data []byte, events vnode.Codec[E], capacity int, b *vnode.Batch[E]) error {
	r := wireReader{b: data}
	b.Vnode, b.Origin = r.vnode(), r.str()
	b.Generation, b.Version, b.From, b.To = r.uint(), r.uint(), r.uint(), r.uint()
	b.Barrier, b.Round, b.Base = r.attempt(), r.uint(), r.uint()
	n := r.count(minEvent)
	if int(b.Vnode) >= capacity {
		r.fail()
	}
	b.Items = slices.Grow(b.Items[:0], n)[:n]
	for i := range b.Items {
		b.Items[i].Slot = vnode.Slot(r.fixed())
		text := r.text()
		if r.err != nil {
			break
		}
		if r.err = events.Decode(text, &b.Items[i].Event); r.err != nil {
			break
		}
	}
	if r.err == nil && !ordered(b) {
		r.fail()
	}
	return r.end("batch")
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
