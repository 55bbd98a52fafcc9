package vnode

// Slice is the keyed state that one vnode owns, and what of it has changed since the last sealed capture.
// One goroutine owns it. A call takes a time that does not depend on the number of keys, apart from those that
// visit all keys or all changed ones.
//
// A deleted key stays as a tombstone until a capture that holds it is sealed. Hashes are those of [KeyOps.Hash];
// a state that is handed out may be used until the slice is changed again.
type Slice[K Key, S any] struct {
	ops     KeyOps[K]
	codec   Codec[S]
	pages   directory[K, S]
	keys    int
	graves  bool   // there may be tombstones
	live    stamp  // of an entry that stands and has changed since the newest capture, without its tag
	sealed  Mark   // the newest capture that is sealed
	before  stamp  // that the newest key to enter had before: its tombstone's, or none
	scratch []byte // of Capture: the entry being encoded
}

// NewSlice returns an empty slice.
func NewSlice[K Key, S any](ops KeyOps[K], codec Codec[S]) *Slice[K, S] {
	s := &Slice[K, S]{ops: ops, codec: codec, pages: newDirectory[K, S](0)}
	s.sealed, s.live = loaded, stampOf(loaded+1)
	return s
}

// Len counts the keys.
func (s *Slice[K, S]) Len() int { return s.keys }

// Get returns the state of k. The caller only reads it.
func (s *Slice[K, S]) Get(hash uint64, k K) (*S, bool) {
	p, i, found := s.pages.find(hash, k)
	if !found || p.slots[i].stamp.deleted() {
		return nil, false
	}
	return &p.slots[i].state, true
}

// Upsert returns the state of k for the caller to change, marks it changed, and says whether k was there.
// A key that was not enters with a zero state.
func (s *Slice[K, S]) Upsert(hash uint64, k K) (state *S, existed bool) {
	p, i, found := s.pages.find(hash, k)
	if !found {
		return s.enter(hash, k), false
	}
	return &p.slots[i].state, s.touch(p, i)
}

// Place is where a key is likely to be.
type Place[K Key, S any] struct {
	page *page[K, S]
	slot uint32
	tag  uint16 // of the key's hash: see stamp
}

// WarmLen is how many keys are well warmed at once.
const WarmLen = 256

// PlaceOf returns where a key would be if nothing else stood there.
func (s *Slice[K, S]) PlaceOf(hash uint64) Place[K, S] {
	p := s.pages.of(hash)
	return Place[K, S]{p, p.home(hash), uint16(tagOf(hash) >> tagShift)}
}

// Warm reads the memory of keys about to be upserted, and moves their places on to where they are likely to be, for
// UpsertAt. An Upsert is too long for the processor to start the next ones while it waits for memory. So is finding where a
// key would be, which comes before, for all of them: little but reads is left here, of which the processor has dozens under
// way. It halves the time of Upserts into slices that are not in cache.
func (s *Slice[K, S]) Warm(places []Place[K, S]) {
	for i := range places {
		at := &places[i]
		// Every third key or so stands one slot behind its home. A branch on that would be mispredicted and wait for
		// memory; a sum is not.
		step := uint32(0)
		if at.page.slots[at.slot].stamp>>tagShift != stamp(at.tag) {
			step = 1
		}
		at.slot = (at.slot + step) & at.page.last()
	}
}

// UpsertAt is Upsert for a key that may be at a place. Any place of this slice will do, even of a page that has changed since:
// it is taken only if the key is there now.
func (s *Slice[K, S]) UpsertAt(at Place[K, S], hash uint64, k K) (state *S, existed bool) {
	e := &at.page.slots[at.slot&at.page.last()]
	if e.stamp == tagOf(hash)|s.live && e.key == k {
		return &e.state, true
	}
	return s.Upsert(hash, k)
}

// Forget takes back the newest Upsert, for a key that it did not find, as if it had never been called: the
// way out when the update of a new key is rejected.
func (s *Slice[K, S]) Forget(hash uint64, k K) {
	p, i, found := s.pages.find(hash, k)
	if !found {
		return
	}
	s.keys--
	if s.before != none {
		s.graves = true
		p.slots[i].bury(s.before)
		return
	}
	p.remove(s.ops, i)
}

// Delete removes k, zeroes its state, and says whether it was there. The next capture holds a tombstone.
func (s *Slice[K, S]) Delete(hash uint64, k K) bool {
	p, i, found := s.pages.find(hash, k)
	if !found || p.slots[i].stamp.deleted() {
		return false
	}
	s.touch(p, i)
	s.graves = true
	p.slots[i].bury(p.slots[i].stamp | deleted)
	s.keys--
	return true
}

// All calls yield for each key until it returns false. The order differs between a slice and its restored copy,
// so a fold over it must commute. The slice stays unchanged meanwhile.
func (s *Slice[K, S]) All(yield func(K, *S) bool) {
	for _, p := range s.pages.list {
		for i := range p.slots {
			if e := &p.slots[i]; e.stamp.stands() && !yield(e.key, &e.state) {
				return
			}
		}
	}
}

// enter adds a key that is not there, not even as a tombstone.
func (s *Slice[K, S]) enter(hash uint64, k K) *S {
	p, i := s.pages.insert(s.ops, hash)
	p.touch(i)
	p.slots[i].stamp, p.slots[i].key = tagOf(hash)|s.live, s.ops.own(k)
	s.before = none
	s.keys++
	return &p.slots[i].state
}

// touch marks an entry changed that was clean, captured or deleted, and says whether its key was there.
func (s *Slice[K, S]) touch(p *page[K, S], i uint32) (existed bool) {
	was := p.slots[i].stamp
	p.slots[i].stamp = was.tag() | s.live
	p.touch(i)
	if !was.deleted() {
		return true
	}
	s.before = was
	s.keys++
	return false
}
