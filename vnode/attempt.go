package vnode

import (
	"cmp"
	"fmt"
	"maps"

	"github.com/google/uuid"
)

// Epoch numbers a sealed state of the whole store. 0 is the empty state before the first seal.
type Epoch uint64

// Attempt is one try at sealing an epoch. Its number becomes the epoch's number if it succeeds.
// Attempts are ordered by term, then number, and are the same only if all three fields are.
type Attempt struct {
	Term    uint64 // the coordinator's reign
	Number  uint64 // grows over the life of the store; sealed, it is the epoch
	Version uint64 // the assignment under which the attempt was opened
}

// Compare orders attempts by term, then number, then version.
func (a Attempt) Compare(b Attempt) int {
	return cmp.Or(cmp.Compare(a.Term, b.Term), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Version, b.Version))
}

// IsZero reports whether a names no attempt.
func (a Attempt) IsZero() bool { return a == Attempt{} }

// String prints term.number@version.
func (a Attempt) String() string { return fmt.Sprintf("%d.%d@%d", a.Term, a.Number, a.Version) }

// Life names what a vnode is from one restore to the next: the N-th restore under an incarnation.
type Life struct {
	Incarnation uuid.UUID
	N           uint64
}

// SliceID names one captured slice of a vnode. Two captures never share an id: a life captures an attempt once.
// The zero SliceID is the empty slice that every vnode starts from.
type SliceID struct {
	Life    Life
	Attempt Attempt
}

// IsZero reports whether s is the empty slice.
func (s SliceID) IsZero() bool { return s == SliceID{} }

// Position is how far a producer or source has been applied: the position of its last event under a generation.
// A source has generation 0. The zero Position stands before the first event.
type Position struct {
	Generation uint64
	At         uint64
}

// Positions holds one position for each producer or source by name.
type Positions map[string]Position

// Equal reports whether p and q hold the same.
func (p Positions) Equal(q Positions) bool { return maps.Equal(p, q) }

// Clone returns a copy.
func (p Positions) Clone() Positions {
	c := make(Positions, len(p))
	for k, v := range p {
		c[k] = v
	}
	return c
}
