package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// ask asks the coordinator for a change of the record and waits until it stands and is known here; if it is refused, so is
// the record that says why.
func (in *Instance[K, E, S, R]) ask(ctx context.Context, r Request) (Answer, error) {
	answer := make(chan Answer, 1)
	if r.From == (vnode.Member{}) {
		r.From = in.self
	}
	r = in.asks.put(r, answer)
	defer in.asks.drop(r.Ticket)
	in.tell(r)
	select {
	case a := <-answer:
		if err := in.await(ctx, func() bool { return in.newest.Load().rec.Seq >= a.Seq }); err != nil {
			return a, err
		}
		return a, a.Err
	case <-ctx.Done():
		return Answer{}, context.Cause(ctx)
	case <-in.ctx.Done():
		return Answer{}, in.Err()
	}
}

// Attach reads a source from its sealed position on. The channel is closed when the end of the source is sealed.
//
// In an elastic cluster it makes the source one that this member can read: whichever member the assignment names reads it.
func (in *Instance[K, E, S, R]) Attach(ctx context.Context, name string, from Source[E]) (<-chan struct{}, error) {
	attach := func() (<-chan struct{}, error) { return in.attach(ctx, name, from, nil) }
	if in.elastic() {
		attach = func() (<-chan struct{}, error) { return in.offer(ctx, name, from) }
	}
	done, err := attach()
	if err != nil {
		return nil, fmt.Errorf("attach source %q: %w", name, err)
	}
	return done, nil
}

// attach attaches a source; pushed is from if its events are handed to it, else nil.
func (in *Instance[K, E, S, R]) attach(ctx context.Context, name string, from Source[E], pushed pushed) (<-chan struct{}, error) {
	s := in.newSource(name, from, pushed)
	if err := in.reserveOnceLeft(ctx, s); err != nil {
		return nil, err
	}
	result := make(chan error)
	if !in.spawn(func() { in.runSource(ctx, s, result) }) {
		return nil, in.Err()
	}
	select {
	case err := <-result:
		return s.done, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// runSource makes a source part of the assignment and runs it. If the caller is gone by then the source leaves again:
// one that nobody reads would keep every epoch from being sealed.
func (in *Instance[K, E, S, R]) runSource(caller context.Context, s *source[K, E], result chan<- error) {
	defer in.release(s)
	if in.endedBefore(s) {
		tellCaller(caller, result, nil)
		return
	}
	if _, err := in.ask(in.ctx, Request{Source: s.name, From: in.self}); err != nil {
		tellCaller(caller, result, err)
		return
	}
	if in.endedBefore(s) { // as a record says that was not known here before
		tellCaller(caller, result, nil)
		return
	}
	view := in.newest.Load().view
	s.granted.Store(true)
	in.beginSource(s, view)
	if !tellCaller(caller, result, nil) {
		in.giveBack(s.name)
		return
	}
	if s.run(in.ctx) {
		in.release(s)
		close(s.done) // after the name is free
	}
}

// beginSource makes a source go on from its sealed position. The attempt that is open may be waiting for its cut: those
// that were here when it was opened were told then.
func (in *Instance[K, E, S, R]) beginSource(s *source[K, E], view *vnode.View) {
	s.rules = NewSourceRules(s.name, view)
	s.begin(view.Cuts[s.name], false)
	s.line.Note(time.Time{}, StepAttach, "source %s goes on behind %d", s.name, view.Cuts[s.name])
	in.setOrigin(s.name, s.answer)
	if a := in.open.Load(); a != nil {
		s.inbox.put(toSource{attempt: *a})
	}
}

// endedBefore reports whether the end of a source is sealed, and if so ends it.
func (in *Instance[K, E, S, R]) endedBefore(s *source[K, E]) bool {
	cut, known := in.newest.Load().rec.CutOf(s.name)
	if !known || !cut.Ended {
		return false
	}
	s.begin(cut.At, true)
	close(s.done)
	return true
}

// giveBack lets a source go that nobody has read here. It fails only if the instance ends.
func (in *Instance[K, E, S, R]) giveBack(source string) {
	_ = in.askAnew(in.ctx, func(rec *backend.Record) error {
		_, err := in.ask(in.ctx, Request{Detach: source, From: in.self, Version: rec.Assignment.Version})
		return err
	})
}

// tellCaller tells whoever asked how it went; false if they are gone.
func tellCaller(caller context.Context, result chan<- error, err error) bool {
	select {
	case result <- err:
		return true
	case <-caller.Done():
		return false
	}
}

type leaving struct{}

func (leaving) Error() string { return "the source is being given back" }

// errLeaving is returned for a source that a record says this instance reads, and that it is about to let go.
var errLeaving error = leaving{}

// reserveOnceLeft reserves a source's name, after this instance has let it go if it is about to.
func (in *Instance[K, E, S, R]) reserveOnceLeft(ctx context.Context, s *source[K, E]) error {
	for retry := newBackoff(); ; {
		err := in.reserve(s)
		if err != errLeaving {
			return err
		}
		if err := retry.wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
}

// reserve takes a source's name, if it is free; the source hears of records from now on.
func (in *Instance[K, E, S, R]) reserve(s *source[K, E]) error {
	if err := checkName(s.name); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return ErrClosed
	case in.sources[s.name] != nil || in.offers[s.name] != nil:
		return ErrAttached
	case in.leaving[s.name]:
		return errLeaving
	}
	in.sources[s.name] = s
	return nil
}

func (in *Instance[K, E, S, R]) newSource(name string, from Source[E], pushed pushed) *source[K, E] {
	s := &source[K, E]{
		name: name, from: from, pushed: pushed, target: in.target(), batch: batchLen[E](in.capacity()),
		inbox: newInbox[toSource](), free: freeList[vnode.Batch[E]]{most: 2 * in.capacity()}, done: make(chan struct{}),
		buffers: make([]vnode.Run[E], in.capacity()), space: make([]uint64, 0, readLen), heard: time.Now(), inFlight: make([]atomic.Int64, in.destinations()),
		flights: make([]atomic.Int32, in.capacity()),
		checks:  in.cfg.App.Keys.ID() == "string", credit: min(in.cfg.Limits.InFlight, maxInFlight),
	}
	if n := uint64(in.capacity()); n&(n-1) == 0 {
		s.mask = n - 1
	}
	return s
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
		keyOf: in.cfg.App.KeyOf, keys: in.cfg.App.Keys, capacity: in.capacity(), root: in.system.Root, in: in, limits: in.cfg.Limits,
		meters: in.meters, line: in.cfg.Timeline,
	}
}

// release lets a source's name go, unless another has it by now.
func (in *Instance[K, E, S, R]) release(s *source[K, E]) {
	in.mu.Lock()
	ours := in.sources[s.name] == s
	if ours {
		delete(in.sources, s.name)
		if in.ctx.Err() == nil { // else the instance is about to tell all of them why it ends
			delete(in.ends, s.name)
		}
	}
	in.mu.Unlock()
	if ours {
		in.setOrigin(s.name, nil)
		in.tellNews()
	}
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
	p, err := in.producer(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open producer %q: %w", name, err)
	}
	return p, nil
}

func (in *Instance[K, E, S, R]) producer(ctx context.Context, name string) (*Producer[K, E], error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := in.beginOpening(ctx, name); err != nil {
		return nil, err
	}
	result := make(chan opened[K, E])
	if !in.spawn(func() { in.openProducer(ctx, name, result) }) {
		return nil, in.Err()
	}
	select {
	case r := <-result:
		return r.producer, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// opened is the outcome of opening a producer.
type opened[K vnode.Key, E any] struct {
	producer *Producer[K, E]
	err      error
}

// openProducer opens a generation and hands the producer to the caller. If that one is gone, the producer is closed.
func (in *Instance[K, E, S, R]) openProducer(caller context.Context, name string, result chan<- opened[K, E]) {
	defer in.endOpening(name)
	var r opened[K, E]
	var a Answer
	if a, r.err = in.askGeneration(name); r.err == nil {
		r.producer = newProducer(name, a.Generation, in.target(), in.destinations())
		in.register(r.producer)
	}
	select {
	case result <- r:
	case <-caller.Done():
		if r.producer != nil {
			r.producer.fail(ErrClosed)
		}
	}
}

// askGeneration asks for the next generation of a name, again if one was given out that was not known here.
func (in *Instance[K, E, S, R]) askGeneration(name string) (a Answer, err error) {
	err = in.askAnew(in.ctx, func(rec *backend.Record) error {
		a, err = in.ask(in.ctx, Request{Producer: name, Version: rec.Generation, Retire: in.idleProducer(rec)})
		return err
	})
	return a, err
}

// askAnew asks by the newest record, and again as long as what it went by has changed.
func (in *Instance[K, E, S, R]) askAnew(ctx context.Context, ask func(*backend.Record) error) error {
	for retry := newBackoff(); ; {
		err := ask(in.newest.Load().rec)
		if !errors.Is(err, ErrChanged) {
			return err
		}
		if err := retry.wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
}

// register makes a producer the one of its name. The one before is fenced; so is this one if a newer is in force.
func (in *Instance[K, E, S, R]) register(p *Producer[K, E]) {
	in.mu.Lock()
	old, closed := in.producers[p.name], in.closed
	in.producers[p.name] = p
	current := in.newest.Load().view.Generations[p.name] == p.generation
	in.mu.Unlock()
	in.setOrigin(p.name, p.answer)
	switch {
	case closed:
		p.fail(ErrClosed)
	case !current:
		p.fail(ErrFenced)
	}
	if old != nil {
		old.fail(ErrFenced)
	}
}

// fenceOld ends the producers whose generation a record does not name any more, and lets their names go.
func (in *Instance[K, E, S, R]) fenceOld(w *vnode.View) {
	var over []*Producer[K, E]
	in.mu.Lock()
	for name, p := range in.producers {
		if w.Generations[name] != p.generation {
			over = append(over, p)
			delete(in.producers, name)
		}
	}
	in.mu.Unlock()
	for _, p := range over {
		p.fail(ErrFenced)
		in.setOrigin(p.name, nil)
	}
}

// beginOpening waits until nobody else is opening the name: generations are registered in their order.
func (in *Instance[K, E, S, R]) beginOpening(ctx context.Context, name string) error {
	for {
		in.mu.Lock()
		busy, closed := in.opening[name], in.closed
		if busy == nil && !closed {
			in.opening[name] = make(chan struct{})
		}
		in.mu.Unlock()
		switch {
		case closed:
			return ErrClosed
		case busy == nil:
			return nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (in *Instance[K, E, S, R]) endOpening(name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	close(in.opening[name])
	delete(in.opening, name)
}

// idleProducer names a producer of a record that may be forgotten: none that is being opened, and none of this
// instance that is open or holds anything. In a cluster it is one that was opened here: another may be open elsewhere.
func (in *Instance[K, E, S, R]) idleProducer(rec *backend.Record) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, p := range rec.Producers {
		if in.opening[p.Name] != nil {
			continue
		}
		open := in.producers[p.Name]
		if (open == nil && !in.clustered()) || (open != nil && open.closedIdle()) {
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
		var err error
		if s.pushed != nil {
			err = s.pushed.Flush(ctx)
		} else {
			err = in.sealCut(ctx, s.name, s.read.Load())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sealCut returns when everything up to a position of a source, which was read or will be soon, is sealed. It demands an
// epoch, and another one when one was sealed with a lower cut.
func (in *Instance[K, E, S, R]) sealCut(ctx context.Context, name string, at uint64) error {
	var asked *vnode.View
	for {
		view := in.newest.Load().view
		switch {
		case view.Cuts[name] >= at:
			return nil
		case asked == nil || view.Epoch > asked.Epoch:
			asked = view
			in.tell(demand{})
		default: // nothing may have changed but the position: all events were rejected
			in.tell(want{})
		}
		wait, cancel := context.WithTimeout(ctx, repeatAfter)
		err := in.await(wait, func() bool { return in.newest.Load().view.Epoch > view.Epoch })
		cancel()
		if err != nil && (ctx.Err() != nil || in.Err() != nil) {
			return err
		}
	}
}
