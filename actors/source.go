package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf/vnode"
)

// Source is a producer that can be read again from an offset: a file, a log. Reading the same offsets again must give
// the same events.
type Source[E any] interface {
	// Open returns a reader whose first event is the one behind offset, which counts events from the beginning.
	Open(ctx context.Context, offset uint64) (Reader[E], error)
}

// Reader reads a source on. It is used by one goroutine at a time.
type Reader[E any] interface {
	// Read puts up to len(into) events into it; they are zero before. It waits for at least one, or returns an error:
	// [io.EOF] if nothing will ever follow. It returns soon after ctx ends.
	Read(ctx context.Context, into []E) (int, error)
	Close() error
}

const (
	readLen      = 2048                   // events read at once
	lingerSource = 5 * time.Millisecond   // of silence, after which what is buffered is sent
	holdSource   = 25 * time.Millisecond  // that an event waits for others at most, while they come one by one
	maxCapturing = 4                      // vnodes that hold a barrier of one source, beyond which none goes out unasked
	repeatAfter  = 250 * time.Millisecond // of a cut that nobody answered
	resendAfter  = 3 * time.Second        // of batches that nobody answered
	hearAgain    = time.Second            // of a question where a vnode stands
	yieldChunks  = 128                    // dealt out at a stretch, about a millisecond: a vnode may wait for the processor
	reopenSource = "read source "
)

// source is the shell around [SourceRules]: one goroutine reads ahead, another deals events out to the vnodes.
type source[K vnode.Key, E any] struct {
	name string
	from Source[E]
	target[K, E]
	mask   uint64 // capacity-1 if that is a power of two, else 0
	checks bool   // keys can be too long
	credit int64  // bytes in flight to one instance

	pushed   pushed // nil: the source reads from elsewhere
	inbox    *inbox[toSource]
	free     freeList[vnode.Batch[E]]
	inFlight []atomic.Int64 // by instance: routes.dest
	flights  []atomic.Int32 // batches, by vnode
	done     chan struct{}  // closed when the end is sealed
	read     atomic.Uint64  // for Status
	sealed   atomic.Uint64
	ended    atomic.Bool
	stopping atomic.Bool
	granted  atomic.Bool // a record made this instance its reader

	// Owned by the goroutine that runs.
	rules   *SourceRules
	buffers []vnode.Run[E] // one per vnode
	used    []toSource
	ahead   *readAhead[E]
	chunk   []E
	hashes  []uint64 // of the keys of the first events of chunk
	space   []uint64 // for hashes
	dealt   int      // chunks, or parts of them
	batch   int      // events per batch
	heard   time.Time
	lost    bool      // a batch was, and others may have been with it
	told    time.Time // of the cut
	asked   time.Time // where all stand
	retryAt time.Time // not to be opened again before
	flushed time.Time // when all buffers were sent; zero: they are to be sent
	again   replay
}

// pushed is a source whose events are handed to it in this process, and kept by it until they are sealed.
type pushed interface {
	begin(at uint64, ended bool) // at its sealed position
	free(sealed uint64)
	Flush(ctx context.Context) error
	shut()        // take nothing more
	held() string // the bound that makes its sender wait; empty if none does
}

// toSource is a message to a source: one of its fields is set.
type toSource struct {
	reply   vnode.Reply
	view    *vnode.View
	attempt vnode.Attempt
}

// target is where events go, and how their vnode is told.
type target[K vnode.Key, E any] struct {
	keyOf    func(E) K
	keys     vnode.KeyOps[K]
	capacity int
	root     *actor.RootContext
	in       feeder[E]
	limits   Limits
	meters   *meters
	line     *Timeline
}

// feeder is what a source or producer needs of its instance.
type feeder[E any] interface {
	tell(message any)
	rejected(d vnode.Rejected[E])
	// spawn runs a function that ends soon after the instance's context.
	spawn(func()) bool
	// route says where vnodes are now.
	route() *routes
	troubles() *troubles
}

// Finish takes a batch back, in a vnode's turn.
func (s *source[K, E]) Finish(b *vnode.Batch[E]) {
	s.inFlight[b.Dest].Add(-weightOf[E](len(b.Items)))
	s.flights[b.Vnode].Add(-1)
	s.inbox.poke()
	b.Reset()
	s.free.put(b)
}

// weightOf is what a batch of n events counts for while it is in flight: batches of a slow source are small, and take more
// room than their events. A bare barrier counts for nothing: there is one for each vnode, and it waits for no credit.
func weightOf[E any](n int) int64 {
	if n == 0 {
		return 0
	}
	return batchRoom + bytesOf[E](n)
}

// batchRoom is what a batch takes beside its events, with its place in queues, in bytes.
const batchRoom = 512

// bytesOf is what n events count for against bounds: themselves and their slots, without what they refer to.
func bytesOf[E any](n int) int64 {
	return int64(n) * int64(unsafe.Sizeof(vnode.Item[E]{}))
}

// begin tells a pushed source where it begins.
func (s *source[K, E]) begin(at uint64, ended bool) {
	s.read.Store(at)
	s.sealed.Store(at)
	if s.pushed != nil {
		s.pushed.begin(at, ended)
	}
}

func (s *source[K, E]) answer(r vnode.Reply) { s.inbox.put(toSource{reply: r}) }

// run deals events out until the end is sealed, which it reports, or ctx ends.
func (s *source[K, E]) run(ctx context.Context) (ended bool) {
	defer s.hangUp()
	for ctx.Err() == nil {
		s.attend()
		if s.rules.Done() {
			return true
		}
		if s.stopping.Load() && !s.rules.Replaying() {
			s.hangUp()
		}
		if len(s.chunk) > 0 && s.rules.Ready() {
			s.deal(ctx)
			continue
		}
		s.idle(ctx)
	}
	return false
}

// attend takes all messages and sends what barriers may go out. Nothing in it waits.
func (s *source[K, E]) attend() {
	s.used = s.inbox.take(s.used)
	for i := range s.used {
		s.hear(&s.used[i])
	}
	if s.lost {
		s.lost = false
		s.sendAgain()
	}
	if s.rules.Ready() {
		s.askAll()
		s.putBarriers()
	}
	s.tellCut()
	s.read.Store(s.rules.High())
	if sealed := s.rules.Sealed(); sealed != s.sealed.Load() {
		s.sealed.Store(sealed)
		if s.pushed != nil {
			s.pushed.free(sealed)
		}
	}
}

func (s *source[K, E]) hear(m *toSource) {
	switch {
	case m.view != nil:
		s.rules.Learn(m.view)
		s.tellEnd()
	case !m.attempt.IsZero():
		s.rules.Open(m.attempt)
		s.told = time.Time{}
	default:
		s.heard = time.Now()
		if cut, cutting := s.rules.Cut(); cutting && m.reply.Kind == vnode.Ahead && m.reply.Standing > cut.At {
			s.in.tell(captureFailed{cut.Attempt}) // it named its one cut already; the next lies above what was refused
		}
		if s.rules.Reply(m.reply) {
			s.buffers[m.reply.Vnode].Reset()
			s.lost = s.lost || (m.reply.Kind == vnode.Gap && m.reply.Round != vnode.AnyRound)
		}
	}
}

// tellCut tells the coordinator the cut of the open attempt, again now and then.
func (s *source[K, E]) tellCut() {
	if cut, ok := s.rules.Cut(); ok && time.Since(s.told) > repeatAfter {
		s.told = time.Now()
		s.in.tell(cut)
	}
}

// tellEnd asks for an epoch that seals the end, now: nothing follows that it could wait for. It is said again after
// every record: a coordinator whose attempt is open hears no wishes.
func (s *source[K, E]) tellEnd() {
	if s.rules.Ended() && !s.rules.Done() {
		s.ended.Store(true)
		s.in.tell(demand{})
		s.in.tell(want{})
	}
}

// askAll asks all vnodes that have not said so where they stand, again now and then: most get so few events that nothing
// else would tell that the question, or the answer, was lost.
func (s *source[K, E]) askAll() {
	if s.rules.Unheard().Len() == 0 {
		return
	}
	if time.Since(s.asked) > hearAgain {
		s.asked = time.Now()
		s.rules.AskAgain(s.underWay)
	}
	for v := range s.rules.Unheard().All {
		if s.rules.AskDue(v) {
			s.send(v)
		}
	}
}

// putBarriers sends the barriers that are due, a few vnodes at a time: while some capture the others apply. Where a full
// buffer is behind a barrier, flush sends it at once.
func (s *source[K, E]) putBarriers() {
	if _, cutting := s.rules.Cut(); !cutting {
		return
	}
	for v := range s.rules.Pending().All {
		if s.rules.Capturing() >= maxCapturing {
			return
		}
		if s.rules.BarrierDue(v) {
			s.send(v)
		}
	}
}

// idle sends what is buffered and waits for something to do.
func (s *source[K, E]) idle(ctx context.Context) {
	if s.take() {
		return
	}
	pause := s.flushAll(ctx)
	s.start(ctx)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.inbox.wake:
	case c := <-s.chunks():
		s.got(c)
	case <-timer.C:
		s.flushed = time.Time{}
		s.resend()
	}
}

// flushAll sends what is buffered if that was last done a while ago, and says when silence would begin: a source that
// reads as fast as it can is idle for moments too, and its batches must not be sent half empty for that.
func (s *source[K, E]) flushAll(ctx context.Context) time.Duration {
	if held := time.Since(s.flushed); held < holdSource {
		return min(lingerSource, holdSource-held)
	}
	for v := range s.buffers {
		if len(s.buffers[v].Items) > 0 {
			s.flush(ctx, vnode.ID(v))
		}
	}
	s.flushed = time.Now()
	return repeatAfter
}

// chunks is where the next chunk comes from, when none is in hand.
func (s *source[K, E]) chunks() <-chan chunk[E] {
	if len(s.chunk) > 0 || s.ahead == nil {
		return nil
	}
	return s.ahead.out
}

// take takes the next chunk if one is ready.
func (s *source[K, E]) take() bool {
	select {
	case c := <-s.chunks():
		s.got(c)
		return true
	default:
		return false
	}
}

// start starts reading at the position that the rules name, unless a reader stands there or nothing is to be read.
func (s *source[K, E]) start(ctx context.Context) {
	over := s.rules.Ended() || s.stopping.Load()
	if time.Now().Before(s.retryAt) || (over && !s.rules.Replaying()) || (s.ahead != nil && s.ahead.next == s.rules.At()+uint64(len(s.chunk))) {
		return
	}
	s.hangUp()
	var run func()
	s.ahead, run = newReadAhead(ctx, s.from, s.rules.At())
	s.in.spawn(run)
}

func (s *source[K, E]) hangUp() {
	if s.ahead != nil {
		s.ahead.cancel()
		s.ahead = nil
	}
	s.chunk, s.hashes = nil, nil
}

// got takes a chunk, or the end, or an error after which the source is opened again.
func (s *source[K, E]) got(c chunk[E]) {
	if s.ahead.next != s.rules.At() {
		s.hangUp() // the rules moved back meanwhile
		return
	}
	s.chunk, s.ahead.chunk = c.events, c.events
	s.ahead.next += uint64(len(c.events))
	switch {
	case c.err == nil:
		s.in.troubles().fine(reopenSource + s.name)
	case errors.Is(c.err, io.EOF):
		s.ahead.end = true
	default:
		s.in.troubles().failed(reopenSource+s.name, c.err)
		s.ahead.failed = true
	}
	if len(c.events) == 0 {
		s.ahead.giveBack()
	}
	s.ending()
}

// ending notes the end of the source, or of a broken reader, once everything before it was dealt out.
func (s *source[K, E]) ending() {
	switch {
	case s.ahead == nil || len(s.chunk) > 0:
	case s.ahead.end && s.rules.Replaying():
		s.in.troubles().failed(reopenSource+s.name, fmt.Errorf("it ends at %d, but was read to %d before", s.rules.At(), s.rules.High()))
		s.reopenLater()
	case s.ahead.end && !s.rules.Ended():
		s.rules.End()
		s.tellEnd()
	case s.ahead.failed:
		s.reopenLater()
	}
}

func (s *source[K, E]) reopenLater() {
	s.hangUp()
	s.retryAt = time.Now().Add(repeatAfter / 2)
}

// flush sends what v's buffer holds, as credit allows; a barrier needs none. Once there is no credit it waits until half of
// that is back: else it would be woken for each batch that a vnode has finished with.
func (s *source[K, E]) flush(ctx context.Context, v vnode.ID) {
	most := s.credit
	for ctx.Err() == nil && s.rules.Ready() {
		barrier := s.rules.BarrierDue(v)
		if !barrier && s.inFlight[s.in.route().dest[v]].Load() >= most {
			most = max(1, s.credit/2)
			s.wait(ctx)
			continue
		}
		if s.send(v); !barrier {
			return
		}
	}
}

// wait waits for an answer, and goes on attending to messages and barriers.
func (s *source[K, E]) wait(ctx context.Context) {
	timer := time.NewTimer(repeatAfter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.inbox.wake:
	case <-timer.C:
		s.resend()
	}
	s.attend()
}

// send sends v's next batch, if there is anything to say: the events of its buffer up to what the rules name.
func (s *source[K, E]) send(v vnode.ID) {
	h, ok := s.rules.Flush(v)
	if !ok {
		return
	}
	b, run := s.fresh(), &s.buffers[v]
	b.Header, b.Vnode, b.Owner = h, v, s
	b.Run, run.Items = *run, b.Items // which are empty
	run.Base = max(h.To, b.Base)     // what follows is within reach of it
	if n := b.Behind(h.To); n < len(b.Items) {
		for i := n; i < len(b.Items); i++ {
			run.Append(b.Items[i].Event, b.Items[i].Slot.Hash(), b.Position(i))
		}
		clear(b.Items[n:])
		b.Items = b.Items[:n]
	}
	to := s.in.route()
	b.Dest = to.dest[v]
	s.inFlight[b.Dest].Add(weightOf[E](len(b.Items)))
	s.flights[v].Add(1)
	if to.pids[v] == nil {
		s.Finish(b) // it belongs to nobody, and says what it lacks once it does
		return
	}
	s.root.Send(to.pids[v], b)
}

// flying is what is in flight to all instances, in bytes.
func (s *source[K, E]) flying() int64 {
	n := int64(0)
	for i := range s.inFlight {
		n += s.inFlight[i].Load()
	}
	return n
}

func (s *source[K, E]) fresh() *vnode.Batch[E] {
	if b := s.free.take(); b != nil {
		return b
	}
	return &vnode.Batch[E]{}
}

// resend sends again what nobody has answered for a long time. Within a process nothing is lost; a vnode that restarts
// says where it stands. This is for what was not thought of. What is still on its way would only lie there twice, and
// barriers, which need no credit, without a bound while an instance is away (I8).
func (s *source[K, E]) resend() {
	if time.Since(s.heard) < resendAfter {
		return
	}
	s.heard = time.Now()
	s.sendAgain()
}

// sendAgain rewinds, all at once, what nobody answered and what is not under way. A vnode that lacks a batch says so only
// when it gets the next: where an instance is lost with what was on its way to it, each would make the source be read again
// from the same place, one after the other.
func (s *source[K, E]) sendAgain() {
	for _, v := range s.rules.Resend(s.underWay) {
		s.buffers[v].Reset()
	}
}

// underWay reports whether a batch to a vnode was not delivered yet.
func (s *source[K, E]) underWay(v vnode.ID) bool { return s.flights[v].Load() > 0 }
