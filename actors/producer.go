package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
)

// Errors of producers.
var (
	ErrClosed = errors.New("closed")
	// ErrFenced is returned by a producer whose name was opened again, here or elsewhere.
	ErrFenced = errors.New("the producer's name was opened again: a newer generation is in force")
)

// linger is how long an event waits for others before it is sent, and longest how long it does so while others come.
const (
	linger  = 2 * time.Millisecond
	longest = 10 * time.Millisecond
)

// Producer is a plain producer: it counts its own events and keeps them until they are sealed. It may be used by many
// goroutines at once; events of one goroutine keep their order per key.
type Producer[K vnode.Key, E any] struct {
	name       string
	generation uint64
	target[K, E]
	batch int

	mu       sync.Mutex // guards what follows, and the histories
	rules    *ProducerRules[*history[E]]
	buffers  []*history[E] // one per vnode
	buffered int           // events in buffers
	unsealed int64         // bytes of events that are not sealed
	inFlight []int64       // bytes sent and not finished, by instance: routes.dest
	flights  []int         // batches sent and not finished, by vnode
	free     sync.Pool     // of *history[E], empty
	news     chan struct{} // closed and replaced when something was freed
	linger   *time.Timer
	waiting  bool      // linger runs
	since    time.Time // when it was first set
	seen     uint64    // position when it was set
	waiters  int       // on news
	heard    time.Time // an answer
	asked    uint64    // for an epoch, at this position / halfEvery
	closing  bool      // takes nothing more
	err      error
}

// history is a batch that is kept until it is sealed, and may be sent more than once.
type history[E any] struct {
	owner interface {
		finished(h *history[E], b *vnode.Batch[E])
	}
	batch   vnode.Batch[E]
	flights int  // sent and not finished
	sealed  bool // not needed any more
}

// Finish is called in a vnode's turn, or by the transport.
func (h *history[E]) Finish(b *vnode.Batch[E]) { h.owner.finished(h, b) }

// halfEvery is how many events lie between two demands of a producer whose history is half full.
const halfEvery = 1 << 14

func newProducer[K vnode.Key, E any](name string, generation uint64, to target[K, E], dests int) *Producer[K, E] {
	p := &Producer[K, E]{
		name: name, generation: generation, target: to, batch: batchLen[E](to.capacity),
		rules: NewProducerRules[*history[E]](name, generation, to.capacity),
		news:  make(chan struct{}), heard: time.Now(), buffers: make([]*history[E], to.capacity),
		inFlight: make([]int64, dests), flights: make([]int, to.capacity),
	}
	for v := range p.buffers {
		p.buffers[v] = &history[E]{owner: p}
	}
	p.linger = time.AfterFunc(time.Hour, p.lingered)
	p.linger.Stop()
	return p
}

// Name is the producer's name.
func (p *Producer[K, E]) Name() string { return p.name }

// Send hands an event over and returns its position. It waits while a bound is reached, until ctx ends. The event is
// durable once [Producer.Flush] has returned after it; until then it is kept and sent again as needed. Sheaf owns what
// the event refers to from now on.
func (p *Producer[K, E]) Send(ctx context.Context, e E) (position uint64, err error) {
	hash, err := p.hash(e)
	if err != nil {
		return 0, fmt.Errorf("send to producer %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v := vnode.Of(hash, len(p.buffers))
	if err := p.admit(ctx, v); err != nil {
		return 0, fmt.Errorf("send to producer %s: %w", p.name, err)
	}
	return p.put(v, e, hash), nil
}

// hash returns the hash of the event's key; a panic of the app is an error.
func (p *Producer[K, E]) hash(e E) (hash uint64, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the key function panicked: %v", x)
		}
	}()
	key := p.keyOf(e)
	return p.keys.Hash(key), p.keys.Check(key)
}

// shut makes the producer take nothing more; what it was sent can still be sealed.
func (p *Producer[K, E]) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	p.tellNews()
}

// admit waits, with the lock given up meanwhile, until one more event is within the bounds. When half of the history
// is full it asks for an epoch, so that seldom anybody waits.
func (p *Producer[K, E]) admit(ctx context.Context, v vnode.ID) error {
	if p.unsealed >= p.limits.History/2 && p.asked != p.rules.At()/halfEvery {
		p.asked = p.rules.At() / halfEvery
		p.in.tell(demand{})
	}
	for p.err == nil && !p.closing && (p.unsealed >= p.limits.History || p.inFlight[p.in.route().dest[v]] >= p.limits.InFlight) {
		p.flushAll()
		p.sendSilent()
		p.in.tell(demand{})
		if err := p.await(ctx, repeatAfter); err != nil {
			return err
		}
	}
	switch {
	case p.err != nil:
		return p.err
	case p.closing:
		return ErrClosed
	}
	return ctx.Err()
}

// put buffers an event and sends the buffer if it is full.
func (p *Producer[K, E]) put(v vnode.ID, e E, hash uint64) uint64 {
	if b := &p.buffers[v].batch; len(b.Items) > 0 && p.rules.At()+1-b.Base > vnode.MaxOffset {
		p.flush(v)
	}
	b, at := &p.buffers[v].batch, p.rules.Count()
	if len(b.Items) == 0 {
		b.Base = at - 1
	}
	b.Append(e, hash, at)
	p.buffered++
	p.unsealed += bytesOf[E](1)
	if len(b.Items) >= p.batch {
		p.flush(v)
	} else if !p.waiting {
		p.lingerOn(time.Now())
	}
	return at
}

func (p *Producer[K, E]) lingerOn(since time.Time) {
	p.waiting, p.since, p.seen = true, since, p.rules.At()
	p.linger.Reset(linger)
}

// lingered sends what is buffered, unless more came meanwhile: then batches may fill first, for a while.
func (p *Producer[K, E]) lingered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.rules.At() != p.seen && time.Since(p.since) < longest {
		p.lingerOn(p.since)
		return
	}
	p.waiting = false
	p.flushAll()
}

func (p *Producer[K, E]) flushAll() {
	if p.buffered == 0 {
		return
	}
	for v := range p.buffers {
		if len(p.buffers[v].batch.Items) > 0 {
			p.flush(vnode.ID(v))
		}
	}
}

// flush sends v's buffer and keeps it.
func (p *Producer[K, E]) flush(v vnode.ID) {
	h := p.buffers[v]
	p.buffered -= len(h.batch.Items)
	s := p.rules.Flush(v, h)
	p.buffers[v] = p.fresh()
	h.batch.Header, h.batch.Vnode, h.batch.Owner = s.Header, v, h
	p.sendBatch(v, h, &h.batch)
}

func (p *Producer[K, E]) fresh() *history[E] {
	if h, ok := p.free.Get().(*history[E]); ok {
		return h
	}
	return &history[E]{owner: p}
}

func (p *Producer[K, E]) sendBatch(v vnode.ID, h *history[E], b *vnode.Batch[E]) {
	to := p.in.route()
	if to.pids[v] == nil {
		return // it belongs to nobody, and says what it lacks once it does
	}
	b.Dest = to.dest[v]
	h.flights++
	p.flights[v]++
	p.inFlight[b.Dest] += bytesOf[E](len(b.Items))
	p.root.Send(to.pids[v], b)
}

// sendAgain sends a kept batch under a new header, or a question without events.
func (p *Producer[K, E]) sendAgain(s Sending[*history[E]]) {
	h := s.Events
	if h == nil {
		h = &history[E]{owner: p, sealed: true}
	}
	b := &vnode.Batch[E]{Header: s.Header, Vnode: s.Vnode, Owner: h, Run: h.batch.Run}
	b.Items = b.Items[b.Behind(s.Header.From):]
	p.meters.replayed.Add(uint64(len(b.Items)))
	p.sendBatch(s.Vnode, h, b)
}

// finished notes that a vnode does not use a batch any more.
func (p *Producer[K, E]) finished(h *history[E], b *vnode.Batch[E]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight[b.Dest] -= bytesOf[E](len(b.Items))
	p.flights[b.Vnode]--
	h.flights--
	if p.err == nil && p.in.route().dest[b.Vnode] != b.Dest { // it has moved, and nobody answers
		p.sendKept(func(v vnode.ID) bool { return v != b.Vnode })
	}
	p.recycle(h)
	p.tellNews()
}

// sendSilent sends again what nobody has answered for a long time, as a source does.
func (p *Producer[K, E]) sendSilent() {
	if time.Since(p.heard) < resendAfter {
		return
	}
	p.heard = time.Now()
	p.sendKept(func(vnode.ID) bool { return false })
}

// resend is sendKept for the instance.
func (p *Producer[K, E]) resend(without func(vnode.ID) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sendKept(without)
}

// sendKept sends again what nobody has answered for, but to the vnodes that are left out. What is still on its way would
// only lie there twice, and without a bound while an instance is away (I8).
func (p *Producer[K, E]) sendKept(without func(vnode.ID) bool) {
	for _, s := range p.rules.Resend(func(v vnode.ID) bool { return p.flights[v] > 0 || without(v) }) {
		p.sendAgain(s)
	}
}

// recycle keeps an empty history for use again.
func (p *Producer[K, E]) recycle(h *history[E]) {
	if !h.sealed || h.flights > 0 {
		return
	}
	h.batch.Reset()
	h.sealed = false
	p.free.Put(h)
}

func (p *Producer[K, E]) tellNews() {
	if p.waiters > 0 {
		p.waiters = 0
		close(p.news)
		p.news = make(chan struct{})
	}
}

// answer takes a vnode's reply, in its turn.
func (p *Producer[K, E]) answer(r vnode.Reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now()
	again, superseded := p.rules.Reply(r, func(h *history[E]) {
		p.unsealed -= bytesOf[E](len(h.batch.Items))
		h.sealed = true
		p.recycle(h)
	})
	for _, s := range again {
		p.sendAgain(s)
	}
	if superseded && p.err == nil {
		p.err = ErrFenced
	}
	p.tellNews()
}

// Flush returns when everything sent before it is sealed.
func (p *Producer[K, E]) Flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushAll()
	var asked time.Time // for an epoch
	for to := p.rules.At(); p.err == nil && p.rules.Unsealed(to); {
		p.sendSilent()
		if time.Since(asked) > resendAfter && p.rules.Standing(to) {
			asked = time.Now()
			p.in.tell(demand{})
		}
		if err := p.await(ctx, repeatAfter); err != nil {
			return fmt.Errorf("flush producer %s: %w", p.name, err)
		}
	}
	if p.err != nil {
		return fmt.Errorf("flush producer %s: %w", p.name, p.err)
	}
	return nil
}

// await waits for news, with the lock given up meanwhile, at most for a while.
func (p *Producer[K, E]) await(ctx context.Context, most time.Duration) error {
	news := p.news
	p.waiters++
	p.mu.Unlock()
	defer p.mu.Lock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// fail ends the producer: everything that waits returns the error.
func (p *Producer[K, E]) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.linger.Stop()
	p.tellNews()
}

func (p *Producer[K, E]) status() ProducerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ProducerStatus{Name: p.name, Sent: p.rules.At(), Unsealed: p.unsealed}
}

// held names the bound that makes Send wait; empty if none does.
func (p *Producer[K, E]) held(to func(dest int) string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unsealed >= p.limits.History {
		return "history of producer " + p.name
	}
	for i, n := range p.inFlight {
		if n >= p.limits.InFlight {
			return "in_flight of producer " + p.name + to(i)
		}
	}
	return ""
}

// closedIdle reports whether the producer was closed and holds nothing that is not sealed: its name may go.
func (p *Producer[K, E]) closedIdle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil && p.buffered == 0 && !p.rules.Unsealed(p.rules.At())
}

// Close seals what was sent and takes nothing more; its name may be opened again, or retired when names run out.
func (p *Producer[K, E]) Close(ctx context.Context) error {
	err := p.Flush(ctx)
	if errors.Is(err, ErrClosed) && p.closedIdle() {
		return nil // it was closed before, with nothing left
	}
	if err == nil {
		p.fail(ErrClosed)
	}
	return err
}

// flushed is Flush for the instance: a producer that is over has nothing to wait for.
func (p *Producer[K, E]) flushed(ctx context.Context) error {
	if err := p.Flush(ctx); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrFenced) {
		return err
	}
	return nil
}
