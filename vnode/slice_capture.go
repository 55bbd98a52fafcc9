package vnode

import "fmt"

// Mark numbers the captures of one slice. They grow.
type Mark uint64

// Changed counts the keys that the next capture will hold, tombstones included. It visits them.
func (s *Slice[K, S]) Changed() int {
	n := 0
	for _, p := range s.pages.list {
		p.changedSince(s.sealed, func(*entry[K, S]) bool { n++; return true })
	}
	return n
}

// Capture appends to delta an entry for every key that changed since the newest sealed capture, in this turn:
// the delta shares nothing with the states. A capture that never seals stays part of the next. If the codec
// returns an error, delta is returned as it came and nothing was captured.
func (s *Slice[K, S]) Capture(delta []byte) ([]byte, Mark, error) {
	out, err := delta, error(nil)
	for _, p := range s.pages.list {
		if !p.changedSince(s.sealed, func(e *entry[K, S]) bool {
			out, err = s.captureEntry(out, e)
			return err == nil
		}) {
			return delta, 0, err
		}
	}
	m := s.live.mark()
	s.live = stampOf(m + 1)
	return out, m, nil
}

func (s *Slice[K, S]) captureEntry(delta []byte, e *entry[K, S]) ([]byte, error) {
	s.scratch = s.ops.Append(s.scratch[:0], e.key)
	if e.stamp.deleted() {
		return AppendEntry(delta, Entry{Key: s.scratch, Deleted: true}), nil
	}
	n := len(s.scratch)
	out, err := s.codec.Append(s.scratch, &e.state)
	if err != nil {
		return nil, fmt.Errorf("encode the state of key %v: %w", e.key, err)
	}
	s.scratch = out
	return AppendEntry(delta, Entry{Key: out[:n], Value: out[n:]}), nil
}

// Sealed forgets the changes that the capture of mark m holds: they are durable. Its tombstones go. A key that
// changed again afterwards stays changed. A mark that no capture returned, or that an earlier call passed, is ignored.
// All vnodes do this at about the same time, so it visits no keys where none was deleted.
func (s *Slice[K, S]) Sealed(m Mark) {
	if m <= s.sealed || m >= s.live.mark() {
		return
	}
	s.sealed = m
	if !s.graves {
		return
	}
	s.graves = false
	for _, p := range s.pages.list {
		s.graves = p.removeTombstones(s.ops, m) || s.graves
	}
	s.pages.shrink(s.ops)
}

// Load applies a sealed base or delta. What it holds counts as unchanged, whatever the slice held before.
// Bytes that are no delta, no key or no state of this slice are an error that wraps [ErrDelta], [ErrKey] or the
// codec's error; the slice is then half loaded and of no use.
func (s *Slice[K, S]) Load(delta []byte) error {
	if s.keys == 0 && !s.graves {
		s.pages = newDirectory[K, S](countKeys(delta)) // no page is split or moved while it fills
	}
	rest := delta
	for len(rest) > 0 {
		at := len(delta) - len(rest)
		in, next, err := NextEntry(rest)
		if err == nil {
			err = s.load(in)
		}
		if err != nil {
			return fmt.Errorf("load the entry at byte %d of %d: %w", at, len(delta), err)
		}
		rest = next
	}
	s.pages.shrink(s.ops)
	return nil
}

// countKeys counts the entries of a delta that are no tombstones, up to where it is no delta any more.
func countKeys(delta []byte) int {
	n := 0
	for len(delta) > 0 {
		e, rest, err := NextEntry(delta)
		if err != nil {
			break
		}
		if !e.Deleted {
			n++
		}
		delta = rest
	}
	return n
}

func (s *Slice[K, S]) load(in Entry) error {
	k, err := s.ops.Decode(in.Key)
	if err != nil {
		return err
	}
	hash := s.ops.Hash(k)
	p, i, found := s.pages.find(hash, k)
	if found {
		s.drop(p, i)
	}
	if in.Deleted {
		return nil
	}
	p, i = s.pages.insert(s.ops, hash)
	e := &p.slots[i]
	e.stamp, e.key = tagOf(hash)|stampOf(loaded), k
	s.keys++
	return s.codec.Decode(in.Value, &e.state)
}

// drop removes an entry without a trace.
func (s *Slice[K, S]) drop(p *page[K, S], i uint32) {
	was := p.slots[i].stamp
	if !was.deleted() {
		s.keys--
	}
	p.remove(s.ops, i)
}
