package vnode

// Batch is a run of events of one origin for one vnode. Within a process it travels by reference: whoever sends it
// gives it up until it is finished (see [Instance.Finish]).
type Batch[E any] struct {
	Header
	Vnode  ID
	Base   uint64 // what the slots' offsets count from
	Events []E
	Slots  []Slot // one per event
}

// Slot is what a vnode must know of an event beside the event: the high half of its key's hash, and its position as
// an offset from the batch's base.
type Slot struct {
	Hash   uint32
	Offset uint32
}

// MaxOffset is the largest distance of a position from a batch's base.
const MaxOffset = 1<<32 - 1

// Append adds an event. Its position is above the base, by at most [MaxOffset].
func (b *Batch[E]) Append(e E, hash, position uint64) {
	b.Events = append(b.Events, e)
	b.Slots = append(b.Slots, Slot{Hash: uint32(hash >> 32), Offset: uint32(position - b.Base)})
}

// Position is the position of event i.
func (b *Batch[E]) Position(i int) uint64 { return b.Base + uint64(b.Slots[i].Offset) }

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
