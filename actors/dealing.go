package actors

import (
	"context"
	"fmt"
	"runtime"

	"github.com/sheaf-go/sheaf/vnode"
)

// deal deals a chunk out to the buffers of the vnodes, which are sent as they fill.
func (s *source[K, E]) deal(ctx context.Context) {
	if s.ahead == nil || s.ahead.next != s.rules.At()+uint64(len(s.chunk)) {
		s.hangUp() // the rules moved back
		return
	}
	if len(s.hashes) == 0 {
		s.hash()
	}
	if s.rules.Replaying() {
		s.dealAgain(ctx)
		s.tellReplay()
	} else {
		s.dealOut(ctx)
	}
	if len(s.chunk) == 0 && s.ahead != nil {
		s.ahead.giveBack()
		s.ending()
	}
	if s.dealt++; s.dealt%yieldChunks == 0 {
		runtime.Gosched()
	}
}

// hash hashes the keys of the chunk, before any of its events is dealt out: of hashes alone the processor has many under
// way at once. It ends before an event that has no good key, and rejects that once it is the first.
func (s *source[K, E]) hash() {
	s.hashes = s.space[:0]
	defer func() {
		if x := recover(); x != nil {
			s.reject(fmt.Errorf("the key function panicked: %v", x))
		}
	}()
	for i := range s.chunk {
		key := s.keyOf(s.chunk[i])
		if s.checks {
			if err := s.keys.Check(key); err != nil {
				s.reject(err)
				return
			}
		}
		s.hashes = append(s.hashes, s.keys.Hash(key))
	}
}

// reject rejects the first event of the chunk, unless others before the bad one wait to be dealt out, or it was rejected
// before. It is counted all the same.
func (s *source[K, E]) reject(err error) {
	if len(s.hashes) > 0 {
		return
	}
	if at := s.rules.At() + 1; at > s.rules.High() {
		s.in.rejected(vnode.Rejected[E]{Origin: s.name, Position: at, Event: s.chunk[0], Err: err})
	}
	s.advance(1)
}

// dealOut deals events out until a buffer is full: that is sent, and what is left of the chunk comes next.
func (s *source[K, E]) dealOut(ctx context.Context) {
	at, events, capacity := s.rules.At(), s.chunk, uint64(len(s.buffers))
	for i, hash := range s.hashes {
		v := hash & s.mask
		if s.mask == 0 {
			v = hash % capacity
		}
		at++
		b := &s.buffers[v]
		if (len(b.Items) >= s.batch || at-b.Base > vnode.MaxOffset) && !s.makeRoom(ctx, vnode.ID(v), i, at) {
			return
		}
		b.Append(events[i], hash, at)
	}
	s.advance(len(s.hashes))
}

// makeRoom handles what is rare in dealing event i: a full buffer is sent, an empty one is moved up. True: the event can
// be appended.
func (s *source[K, E]) makeRoom(ctx context.Context, v vnode.ID, i int, at uint64) bool {
	b := &s.buffers[v]
	if len(b.Items) == 0 {
		b.Base = at - 1
		return true
	}
	s.advance(i)
	s.flush(ctx, v)
	return false
}

// dealAgain deals events out that some vnodes have and others need again.
func (s *source[K, E]) dealAgain(ctx context.Context) {
	at := s.rules.At()
	for i, hash := range s.hashes {
		at++
		v := vnode.Of(hash, len(s.buffers))
		if !s.rules.Takes(v, at) {
			continue
		}
		b := &s.buffers[v]
		if (len(b.Items) >= s.batch || at-b.Base > vnode.MaxOffset) && !s.makeRoom(ctx, v, i, at) {
			return
		}
		s.again.count(at <= s.rules.High())
		b.Append(s.chunk[i], hash, at)
	}
	s.advance(len(s.hashes))
}

// advance drops n events of the chunk: they were dealt out.
func (s *source[K, E]) advance(n int) {
	s.chunk, s.hashes = s.chunk[n:], s.hashes[min(n, len(s.hashes)):]
	s.rules.Advance(n)
}
