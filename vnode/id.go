package vnode

import "math/bits"

// DefaultCapacity is the number of vnodes a store has unless its config says otherwise.
const DefaultCapacity = 256

// MaxCapacity is the largest number of vnodes a store can have.
const MaxCapacity = 65_535

// ID names one vnode: 0 to capacity-1.
type ID uint16

// Of returns the vnode that owns a key of that hash (see [Hasher]): hash % capacity.
func Of(hash uint64, capacity int) ID { return ID(hash % uint64(capacity)) }

// Set is a set of vnodes, a bitmap that grows to its highest member. The zero Set is empty.
type Set []uint64

// Add puts id into the set.
func (s *Set) Add(id ID) {
	word := int(id >> 6)
	for len(*s) <= word {
		*s = append(*s, 0)
	}
	(*s)[word] |= 1 << (id & 63)
}

// Remove takes id out of the set and trims empty words at its end, so that equal sets have equal words.
func (s *Set) Remove(id ID) {
	word := int(id >> 6)
	if word >= len(*s) {
		return
	}
	(*s)[word] &^= 1 << (id & 63)
	for n := len(*s); n > 0 && (*s)[n-1] == 0; n-- {
		*s = (*s)[:n-1]
	}
}

// Has reports whether id is in the set.
func (s Set) Has(id ID) bool {
	word := int(id >> 6)
	return word < len(s) && s[word]&(1<<(id&63)) != 0
}

// Len counts the members.
func (s Set) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Clone returns a set that shares nothing with s.
func (s Set) Clone() Set { return append(Set(nil), s...) }

// All calls yield for each member in ascending order until it returns false.
func (s Set) All(yield func(ID) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(ID(i<<6 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
