package backend

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// check says what is wrong with a record taken by itself; empty if nothing is. What is written passes it, and what is
// read is refused without it (I10).
func (r *Record) check() string {
	return cmp.Or(
		r.checkChain(),
		r.checkAssignment(),
		r.checkState(),
		r.checkPins(),
	)
}

func (r *Record) checkChain() string {
	switch {
	case r.Identity.Capacity < 1 || r.Identity.Capacity > vnode.MaxCapacity:
		return fmt.Sprintf("its vnode_capacity is %d", r.Identity.Capacity)
	case r.Nonce == uuid.Nil:
		return "it has no nonce"
	case r.Seq == 0 && r.Prev != Digest{}:
		return "it is the genesis record and follows another"
	case r.Seq > 0 && r.Prev == Digest{}:
		return "it does not say which record it follows"
	case r.Floor.Seq > r.Seq:
		return fmt.Sprintf("its floor is %d, above itself", r.Floor.Seq)
	case (r.Floor.K == 0) != (r.Floor.Seq == 0):
		return fmt.Sprintf("its floor number %d is at sequence %d", r.Floor.K, r.Floor.Seq)
	}
	return ""
}

func (r *Record) checkAssignment() string {
	a := r.Assignment
	if len(a.Owners) != r.Identity.Capacity {
		return fmt.Sprintf("it has owners for %d vnodes of %d", len(a.Owners), r.Identity.Capacity)
	}
	if len(a.Since) != 0 && len(a.Since) != len(a.Members) {
		return fmt.Sprintf("it says of %d members since when they are, of %d", len(a.Since), len(a.Members))
	}
	for v, o := range a.Owners {
		if o < vnode.Unowned || o >= len(a.Members) {
			return fmt.Sprintf("vnode %d belongs to member %d of %d", v, o, len(a.Members))
		}
	}
	for _, s := range a.Sources {
		if s.Owner < vnode.Unowned || s.Owner >= len(a.Members) {
			return fmt.Sprintf("source %q belongs to member %d of %d", s.Source, s.Owner, len(a.Members))
		}
	}
	return cmp.Or(
		ascending("members", a.Members, func(m vnode.Member) string { return m.Instance }),
		ascending("sources", a.Sources, func(s vnode.SourceOwner) string { return s.Source }),
	)
}

func (r *Record) checkState() string {
	if len(r.Tips) != r.Identity.Capacity {
		return fmt.Sprintf("it has tips for %d vnodes of %d", len(r.Tips), r.Identity.Capacity)
	}
	return cmp.Or(
		checkSegments(r.Segments, r.Identity.Capacity),
		ascending("cuts", r.Cuts, func(c Cut) string { return c.Source }),
		ascending("producers", r.Producers, func(p ProducerName) string { return p.Name }),
	)
}

func checkSegments(segments []SegmentRef, capacity int) string {
	for i, s := range segments {
		switch {
		case s.ID == uuid.Nil || s.Instance == "":
			return fmt.Sprintf("segment %d has no name", i)
		case s.Size < 0 || s.Live < 0 || s.Entries < 0:
			return fmt.Sprintf("segment %d has %d bytes, %d of them live, and %d entries", i, s.Size, s.Live, s.Entries)
		case s.From > s.Through:
			return fmt.Sprintf("segment %d holds epochs above %d through %d", i, s.From, s.Through)
		case highest(s.Vnodes) >= capacity:
			return fmt.Sprintf("segment %d holds vnode %d of %d", i, highest(s.Vnodes), capacity)
		case i > 0 && compareRefs(segments[i-1], s) >= 0:
			return fmt.Sprintf("segments %d and %d are out of order", i-1, i)
		}
	}
	return ""
}

// highest returns the highest member of a set, or -1.
func highest(s vnode.Set) int {
	for i, word := range slices.Backward(s) {
		if word != 0 {
			return i<<6 + bits.Len64(word) - 1
		}
	}
	return -1
}

func (r *Record) checkPins() string {
	for _, p := range r.Pins {
		if p.Seq >= r.Seq {
			return fmt.Sprintf("pin %q keeps record %d", p.Name, p.Seq)
		}
		if p.Digest == (Digest{}) {
			return fmt.Sprintf("pin %q does not say which record it keeps", p.Name)
		}
	}
	return ascending("pins", r.Pins, func(p Pin) string { return p.Name })
}

// ascending says where names do not strictly ascend; names are not empty.
func ascending[T any](what string, all []T, name func(T) string) string {
	last := ""
	for _, t := range all {
		if name(t) <= last {
			return fmt.Sprintf("its %s are out of order at %q", what, name(t))
		}
		last = name(t)
	}
	return ""
}
