package vnode

// Batch is a run of events of one origin for one vnode. Within a process it travels by reference: whoever sends it
// gives it up until its owner is told that the vnode has finished with it.
type Batch[E any] struct {
	Header
	Vnode  ID
	Owner  Owner[E]
	Base   uint64 // what the slots' offsets count from
	Events []E
	Slots  []Slot // one per event
}

// Owner gets a batch back, once for each time that it was delivered, in some vnode's turn: it must return at once.
type Owner[E any] interface {
	Finish(b *Batch[E])
}

func (b *Batch[E]) finish() { b.Owner.Finish(b) }

// Slot is what a vnode must know of an event beside the event: bits 20 to 63 of its key's hash, which is all that a
// slice looks at, and in bits 0 to 19 its position as an offset from the batch's base.
type Slot uint64

const offsetBits = 20

// MaxOffset is the largest distance of a position from its batch's base.
const MaxOffset = 1<<offsetBits - 1

// Append adds an event. Its position is above the base, by at most [MaxOffset].
func (b *Batch[E]) Append(e E, hash, position uint64) {
	b.Events = append(b.Events, e)
	b.Slots = append(b.Slots, Slot(hash&^MaxOffset|(position-b.Base)&MaxOffset))
}

// Position is the position of event i.
func (b *Batch[E]) Position(i int) uint64 { return b.Base + uint64(b.Slots[i])&MaxOffset }

// Behind returns the index of the first event at a position above at.
func (b *Batch[E]) Behind(at uint64) int {
	lo, hi := 0, len(b.Slots)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if b.Position(mid) > at {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// Reset empties the batch for another use and lets go of what its events refer to.
func (b *Batch[E]) Reset() {
	clear(b.Events)
	b.Header, b.Vnode, b.Base, b.Events, b.Slots = Header{}, 0, 0, b.Events[:0], b.Slots[:0]
}
