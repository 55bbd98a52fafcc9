package actors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
)

// ask asks the coordinator for a change of the record and waits until it stands.
func (in *Instance[K, E, S, R]) ask(ctx context.Context, r Request) (Answer, error) {
	answer := make(chan Answer, 1)
	in.tell(ask{request: r, answer: answer})
	select {
	case a := <-answer:
		return a, a.Err
	case <-ctx.Done():
		return Answer{}, context.Cause(ctx)
	case <-in.ctx.Done():
		return Answer{}, in.Err()
	}
}

// Attach reads a source from its sealed position on. The channel is closed when the end of the source is sealed.
func (in *Instance[K, E, S, R]) Attach(ctx context.Context, name string, from Source[E]) (<-chan struct{}, error) {
	done, err := in.attach(ctx, name, from, nil)
	if err != nil {
		return nil, fmt.Errorf("attach source %q: %w", name, err)
	}
	return done, nil
}

// attach attaches a source; pushed is from if its events are handed to it, else nil.
func (in *Instance[K, E, S, R]) attach(ctx context.Context, name string, from Source[E], pushed pushed) (<-chan struct{}, error) {
	s, err := in.reserve(name, from, pushed)
	if err != nil {
		return nil, err
	}
	if cut, known := in.newest.Load().rec.CutOf(name); known && cut.Ended {
		in.release(name)
		close(s.done)
		return s.done, nil
	}
	if _, err := in.ask(ctx, Request{Source: name}); err != nil {
		in.release(name)
		return nil, err
	}
	s.rules = NewSourceRules(name, in.newest.Load().view)
	in.setOrigin(name, s.answer)
	in.spawn(func() {
		s.run(in.ctx)
		in.release(name)
	})
	return s.done, nil
}

// reserve makes a source under a name that is free; it hears of records from now on.
func (in *Instance[K, E, S, R]) reserve(name string, from Source[E], pushed pushed) (*source[K, E], error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	s := &source[K, E]{
		name: name, from: from, pushed: pushed, target: in.target(), batch: batchLen(len(in.vnodes)),
		inbox: newInbox[toSource](), free: make(chan *vnode.Batch[E], 2*len(in.vnodes)), done: make(chan struct{}),
		buffers: make([]*vnode.Batch[E], len(in.vnodes)), heard: time.Now(),
	}
	if n := uint64(len(in.vnodes)); n&(n-1) == 0 {
		s.mask = n - 1
	}
	s.checks = in.cfg.App.Keys.ID() == "string"
	s.credit = min(in.cfg.Limits.InFlight, maxInFlight)
	for v := range s.buffers {
		s.buffers[v] = &vnode.Batch[E]{}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil, ErrClosed
	}
	if in.sources[name] != nil {
		return nil, ErrAttached
	}
	in.sources[name] = s
	return s, nil
}

// maxName is the length of a source's or producer's name in bytes.
const maxName = 255

func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("the name has %d bytes, it must have 1 to %d", len(name), maxName)
	}
	return nil
}

func (in *Instance[K, E, S, R]) target() target[K, E] {
	return target[K, E]{
		keyOf: in.cfg.App.KeyOf, keys: in.cfg.App.Keys, vnodes: in.vnodes, root: in.system.Root, in: in, limits: in.cfg.Limits,
	}
}

// release lets a source's name go.
func (in *Instance[K, E, S, R]) release(name string) {
	in.setOrigin(name, nil)
	in.mu.Lock()
	delete(in.sources, name)
	in.mu.Unlock()
	in.tellNews()
}

// setOrigin says who answers for a name; nil: nobody.
func (in *Instance[K, E, S, R]) setOrigin(name string, answer func(vnode.Reply)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	next := maps.Clone(*in.origins.Load())
	next[name] = answer
	if answer == nil {
		delete(next, name)
	}
	in.origins.Store(&next)
}

// Producer opens a generation of a plain producer's name. An older one, here or elsewhere, is fenced.
func (in *Instance[K, E, S, R]) Producer(ctx context.Context, name string) (*Producer[K, E], error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("open producer: %w", err)
	}
	in.mu.Lock()
	closed, taken := in.closed, in.sources[name] != nil
	in.mu.Unlock()
	switch {
	case closed:
		return nil, fmt.Errorf("open producer %q: %w", name, ErrClosed)
	case taken:
		return nil, fmt.Errorf("open producer %q: %w", name, ErrAttached)
	}
	a, err := in.ask(ctx, Request{Producer: name, Retire: in.idleProducer()})
	if err != nil {
		return nil, err
	}
	p := newProducer(name, a.Generation, in.target())
	in.mu.Lock()
	old := in.producers[name]
	in.producers[name] = p
	in.mu.Unlock()
	in.setOrigin(name, p.answer)
	if old != nil {
		old.fail(ErrFenced)
	}
	return p, nil
}

// idleProducer names a producer of the record that may be forgotten: none of this instance that holds anything.
func (in *Instance[K, E, S, R]) idleProducer() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, p := range in.newest.Load().rec.Producers {
		if open := in.producers[p.Name]; open == nil || (open.closedIdle()) {
			delete(in.producers, p.Name)
			return p.Name
		}
	}
	return ""
}

func (in *Instance[K, E, S, R]) allSources() []*source[K, E] {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.SortedFunc(maps.Values(in.sources), func(a, b *source[K, E]) int { return strings.Compare(a.name, b.name) })
}

func (in *Instance[K, E, S, R]) allProducers() []*Producer[K, E] {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.SortedFunc(maps.Values(in.producers), func(a, b *Producer[K, E]) int { return strings.Compare(a.name, b.name) })
}

// Flush returns when everything that was sent, and everything that sources have read, is sealed.
func (in *Instance[K, E, S, R]) Flush(ctx context.Context) error {
	if err := in.flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

func (in *Instance[K, E, S, R]) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	for _, p := range in.allProducers() {
		if err := p.flushed(ctx); err != nil {
			return err
		}
	}
	for _, s := range in.allSources() {
		at := s.owes()
		for s.sealed.Load() < at {
			in.tell(demand{})
			wait, cancel := context.WithTimeout(ctx, repeatAfter)
			err := in.await(wait, func() bool { return s.sealed.Load() >= at })
			cancel()
			if err != nil && (ctx.Err() != nil || in.Err() != nil) {
				return err
			}
		}
	}
	return nil
}

// Checkpoint seals everything sent before and keeps that epoch under a name until the name is given again: it stays
// readable however many epochs follow.
func (in *Instance[K, E, S, R]) Checkpoint(ctx context.Context, name string) (vnode.Epoch, error) {
	if err := checkName(name); err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	if err := in.flush(ctx); err != nil {
		return 0, fmt.Errorf("checkpoint %q: %w", name, err)
	}
	a, err := in.ask(ctx, Request{Pin: name})
	if err != nil {
		return 0, fmt.Errorf("checkpoint %q: %w", name, err)
	}
	return a.Epoch, nil
}

// Status says where the instance stands.
func (in *Instance[K, E, S, R]) Status() Status {
	k := in.newest.Load()
	st := Status{
		Member: in.self, Term: k.rec.Term, Record: k.rec.Seq, Epoch: k.rec.Epoch, Emitted: vnode.Epoch(in.emittedAt.Load()),
		Waiting:  int(in.waiting.Load()),
		Segments: len(k.rec.Segments), Restored: in.restored(), Owned: len(in.vnodes),
		Problems: in.problems.list(), Rejected: in.rejects.Load(), Panics: in.panics.Load(),
	}
	if held := in.heldBySink(); held != "" {
		st.Held = append(st.Held, held)
	}
	for i := range k.rec.Segments {
		st.Bytes += k.rec.Segments[i].Size
	}
	for _, s := range in.allSources() {
		st.Sources = append(st.Sources, SourceStatus{
			Name: s.name, Read: s.read.Load(), Sealed: s.sealed.Load(), InFlight: s.inFlight.Load(), Ended: s.ended.Load(),
		})
		if s.inFlight.Load() >= s.credit {
			st.Held = append(st.Held, "in_flight of source "+s.name)
		}
		if s.pushed != nil && s.pushed.held() != "" {
			st.Held = append(st.Held, s.pushed.held())
		}
	}
	for _, p := range in.allProducers() {
		st.Producers = append(st.Producers, p.status())
		if held := p.held(); held != "" {
			st.Held = append(st.Held, held)
		}
	}
	return st
}
