package vnode

// Batch is a run of events of one origin for one vnode. Within a process it travels by reference: whoever sends it
// gives it up until its owner is told that the vnode has finished with it.
type Batch[E any] struct {
	Header
	Vnode ID
	Owner Owner[E]
	Dest  uint16 // the owner's mark of where it was sent
	Run[E]
}

// Owner gets a batch back, once for each time that it was delivered, in some vnode's turn: it must return at once.
type Owner[E any] interface {
	Finish(b *Batch[E])
}

func (b *Batch[E]) finish() { b.Owner.Finish(b) }

// Run is events in the order of their positions.
type Run[E any] struct {
	Base  uint64 // what the slots' offsets count from
	Items []Item[E]
}

// Item is an event, and what a vnode must know of it beside it.
type Item[E any] struct {
	Slot  Slot
	Event E
}

// Slot holds bits 20 to 63 of the hash of an event's key, which is all that a slice looks at, and in bits 0 to 19 its
// position as an offset from the run's base.
type Slot uint64

const offsetBits = 20

// MaxOffset is the largest distance of a position from its run's base.
const MaxOffset = 1<<offsetBits - 1

// Hash returns the hash of the event's key, with bits 0 to 19 not set.
func (s Slot) Hash() uint64 { return uint64(s) &^ MaxOffset }

func (s Slot) offset() uint64 { return uint64(s) & MaxOffset }

// Append adds an event. Its position is above the base, by at most [MaxOffset].
func (r *Run[E]) Append(e E, hash, position uint64) {
	r.Items = append(r.Items, Item[E]{Slot(hash&^MaxOffset | (position-r.Base)&MaxOffset), e})
}

// Position is the position of event i.
func (r *Run[E]) Position(i int) uint64 { return r.Base + r.Items[i].Slot.offset() }

// Behind returns the index of the first event at a position above at.
func (r *Run[E]) Behind(at uint64) int {
	lo, hi := 0, len(r.Items)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r.Position(mid) > at {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// Reset empties the run for another use and lets go of what its events refer to.
func (r *Run[E]) Reset() {
	clear(r.Items)
	r.Base, r.Items = 0, r.Items[:0]
}
