package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// Instance runs an app on a store: it owns the actors and goroutines of one process (see the table in doc.go).
type Instance[K vnode.Key, E, S, R any] struct {
	cfg     Config[K, E, S, R]
	self    vnode.Member
	ledger  *backend.Ledger
	system  *actor.ActorSystem
	runners *runners // of the vnodes

	vnodes       []*actor.PID
	supervisor   *actor.PID
	coordinator  *actor.PID
	checkpointer *actor.PID
	merger       *actor.PID // nil if the app has no result

	ctx    context.Context // ends when the instance does
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // every goroutine and timer that the instance started
	done   chan struct{}
	over   sync.RWMutex   // guards ended against wg and stops
	ended  bool           // nothing more is started
	stops  sync.WaitGroup // goroutines that end the instance; Close waits for them
	once   sync.Once
	closer chan struct{} // closed when the first Close returns
	// closeErr is what it returned.
	closeErr error

	began     time.Time
	meters    *meters
	watch     *stopwatch
	newest    atomic.Pointer[known]
	dirty     atomic.Int64 // vnodes that hold changes that no capture holds
	lives     atomic.Uint64
	started   atomic.Bool // every vnode had its slice once: a store that turns out damaged now is a problem, not an end
	emittedAt atomic.Uint64
	waiting   atomic.Int64 // epochs that are sealed and that the sinks did not take
	left      vnode.Epoch  // sealed before this start
	emitting  atomic.Int64 // the sink that was given the newest result
	problems  *troubles
	restores  *inbox[vnode.ID]
	living    []atomic.Bool // by vnode: it has its slice
	sealedAt  chan struct{} // holds a token after a seal, for the compactor
	recordAt  chan struct{} // holds a token after a record, for the collector
	results   *results[R]

	mu        sync.Mutex // guards what follows
	sources   map[string]*source[K, E]
	producers map[string]*Producer[K, E]
	news      chan struct{} // closed and replaced at every record and emission
	closed    bool
	opening   map[string]chan struct{}                     // producers' names being opened; closed when done
	ends      map[string]func(error)                       // by resumable producer: called when the instance ends
	origins   atomic.Pointer[map[string]func(vnode.Reply)] // by name; replaced whole
}

// known is a record and what follows from it.
type known struct {
	rec  *backend.Record
	view *vnode.View
	ours bool // this incarnation is in force
}

// Start starts an instance on a store's ledger, of which newest is the newest record. It returns once this incarnation
// is in force and every vnode has its slice, or with the error of ctx.
func Start[K vnode.Key, E, S, R any](ctx context.Context, cfg Config[K, E, S, R], ledger *backend.Ledger, newest *backend.Record) (*Instance[K, E, S, R], error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an incarnation: %w", err)
	}
	in := &Instance[K, E, S, R]{
		cfg: cfg, self: vnode.Member{Instance: cfg.Instance, Incarnation: id}, ledger: ledger,
		done: make(chan struct{}), closer: make(chan struct{}), restores: newInbox[vnode.ID](),
		sealedAt: make(chan struct{}, 1), recordAt: make(chan struct{}, 1), results: newResults[R](),
		sources: map[string]*source[K, E]{}, producers: map[string]*Producer[K, E]{},
		ends: map[string]func(error){}, opening: map[string]chan struct{}{}, news: make(chan struct{}),
	}
	in.ctx, in.cancel = context.WithCancelCause(context.Background())
	in.problems = newTroubles(in.ctx, cfg.Log, cfg.Timeline)
	in.began, in.watch = time.Now(), newStopwatch(cfg.Identity.Capacity)
	in.meters = &meters{applied: make([]atomic.Uint64, cfg.Identity.Capacity)}
	in.origins.Store(&map[string]func(vnode.Reply){})
	in.emittedAt.Store(uint64(newest.Emitted))
	in.left = newest.Epoch
	in.newest.Store(&known{rec: newest, view: ViewOf(newest)})
	unsent, waiting, err := in.unemitted(ctx, newest)
	if err != nil {
		return nil, err
	}
	in.spawnActors(newest)
	in.goLoops()
	in.tell(begin{
		newest: newest, waiting: waiting, self: in.self, limits: in.coordinatorLimits(),
		cluster: Cluster{Members: []string{in.self.Instance}, Claim: backend.Claim{Instance: in.self.Instance}},
	})
	in.emitLeft(unsent)
	if err := in.ready(ctx); err != nil {
		in.Abort(err)
		in.stops.Wait()
		return nil, err
	}
	return in, nil
}

func (in *Instance[K, E, S, R]) coordinatorLimits() CoordinatorLimits {
	return CoordinatorLimits{
		Interval: in.cfg.Epoch, Timeout: in.cfg.Timeout, Retain: in.cfg.Retain, Step: max(1, in.cfg.Retain/2),
		Producers: in.cfg.Limits.Producers, Sources: in.cfg.Limits.Sources, Folds: in.folds(),
	}
}

// unemitted lists the epochs that are sealed and not emitted, ascending, from the records that sealed them.
func (in *Instance[K, E, S, R]) unemitted(ctx context.Context, newest *backend.Record) (unsent []*merger.Sealed, waiting []Waiting, err error) {
	if newest.Epoch == newest.Emitted {
		return nil, nil, nil
	}
	var later *backend.Record
	for r, err := range in.ledger.History(ctx, newest) {
		if err != nil {
			return nil, nil, fmt.Errorf("look for epochs to emit: %w", err)
		}
		if later != nil && later.Epoch > r.Epoch && later.Epoch > newest.Emitted {
			unsent = append([]*merger.Sealed{SealedOf(later)}, unsent...)
			waiting = append([]Waiting{{Epoch: later.Epoch, Seq: later.Seq}}, waiting...)
		}
		if later = r; r.Epoch <= newest.Emitted {
			break
		}
	}
	if later != nil && later.Epoch > newest.Emitted && (len(waiting) == 0 || waiting[0].Epoch > later.Epoch) {
		unsent = append([]*merger.Sealed{SealedOf(later)}, unsent...)
		waiting = append([]Waiting{{Epoch: later.Epoch, Seq: later.Seq}}, waiting...)
	}
	return unsent, waiting, nil
}

// spawnActors spawns the actors; vnodes are children of a supervisor that restarts them.
func (in *Instance[K, E, S, R]) spawnActors(newest *backend.Record) {
	in.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet(in.cfg.Log) }),
		actor.WithDeadLetterRequestLogging(false),
		// The library waits this long, in a goroutine, after a dead letter: none may outlive the instance.
		actor.WithDeadLetterThrottleInterval(time.Nanosecond),
	)
	root, fatal := in.system.Root, actor.WithGuardian(&guardian{in.stop})
	in.coordinator = root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &coordinator{in: in, ledger: in.ledger, began: time.Now(), answers: map[uint64]chan<- Answer{}}
	}, fatal))
	in.spawnVnodes()
	in.checkpointer = root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &checkpointer{
			store: in.cfg.Store, identity: in.cfg.Identity, self: in.self, in: in, vnodes: in.vnodes,
			watch: in.watch, packers: freeList[backend.Packer]{most: 1},
		}
	}, fatal))
	if in.cfg.App.Fold != nil {
		app := merger.App[R]{Merge: in.cfg.Merge, Codec: in.cfg.App.Result, Sinks: in.sinks()}
		in.merger = root.Spawn(actor.PropsFromProducer(func() actor.Actor { return merger.NewActor(app, in, newest.Emitted) }, fatal))
	}
}

// emitLeft emits what was sealed and not emitted before this start.
func (in *Instance[K, E, S, R]) emitLeft(unsent []*merger.Sealed) {
	in.waiting.Add(int64(len(unsent)))
	for _, s := range unsent {
		in.watch.waits(s.Epoch)
		if in.merger == nil {
			in.Emitted(s.Epoch)
		} else {
			in.system.Root.Send(in.merger, s)
		}
	}
}

// quiet is the actor system's log: what it says below warnings is about its own working.
func quiet(log *zap.Logger) *slog.Logger {
	core, err := zapcore.NewIncreaseLevelCore(log.Core(), zapcore.WarnLevel)
	if err != nil {
		core = log.Core() // it shows no less than warnings already
	}
	return slog.New(zapslog.NewHandler(core, zapslog.WithName("protoactor")))
}

func (in *Instance[K, E, S, R]) spawnVnodes() {
	in.runners = newRunners(in.cfg.Identity.Capacity)
	in.vnodes = make([]*actor.PID, in.cfg.Identity.Capacity)
	in.living = make([]atomic.Bool, len(in.vnodes))
	ready := make(chan struct{})
	in.supervisor = in.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); !ok {
			return
		}
		for v := range in.vnodes {
			poison := &vnode.Poison{Tries: in.cfg.Tries}
			in.vnodes[v] = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
				return vnode.NewActor(vnode.ID(v), &in.cfg.App, in, poison)
			}, actor.WithDispatcher(in.runners)))
		}
		close(ready)
	}, actor.WithSupervisor(restart{})))
	<-ready
}

// restart is the supervision of vnodes: whatever happens, start a new life from the last sealed slice (I11). An event
// that keeps panicking is given up after some tries, and an attempt that fails is tried again later and later, so
// there is no bound on restarts.
type restart struct{}

var _ actor.SupervisorStrategy = restart{}

// HandleFailure restarts the child.
func (restart) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	s.RestartChildren(child)
}

// guardian ends the instance when one of its own actors panics: a bug, of which nobody can tell what it has broken.
// What is sealed is safe, and what is not is replayed.
type guardian struct{ stop func(error) }

var _ actor.SupervisorStrategy = (*guardian)(nil)

// HandleFailure stops the child and the instance.
func (g *guardian) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any) {
	s.StopChildren(child)
	g.stop(fmt.Errorf("internal: %s panicked at a %T: %v", child.Id, message, reason))
}

// goLoops starts the long-lived goroutines.
func (in *Instance[K, E, S, R]) goLoops() {
	in.spawn(in.restoreLoop)
	in.spawn(in.compactLoop)
	in.spawn(in.collectLoop)
}

// spawn runs a function that ends soon after the instance's context; false if the instance has ended.
func (in *Instance[K, E, S, R]) spawn(f func()) bool {
	in.over.RLock()
	defer in.over.RUnlock()
	if in.ended {
		return false
	}
	in.wg.Go(f)
	return true
}

func (in *Instance[K, E, S, R]) background(f func(context.Context)) { in.spawn(func() { f(in.ctx) }) }

// Background runs a function that ends when its context does.
func (in *Instance[K, E, S, R]) Background(f func(context.Context)) { in.background(f) }

// ready waits until this incarnation is in force and every vnode has begun a life.
func (in *Instance[K, E, S, R]) ready(ctx context.Context) error {
	return in.await(ctx, in.started.Load)
}

// restored counts the vnodes that have their slices.
func (in *Instance[K, E, S, R]) restored() int {
	n := 0
	for v := range in.living {
		if in.living[v].Load() {
			n++
		}
	}
	return n
}

// await waits until something holds; it looks again at every record, emission and restore.
func (in *Instance[K, E, S, R]) await(ctx context.Context, holds func() bool) error {
	for {
		in.mu.Lock()
		news := in.news
		in.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-news:
		case <-in.ctx.Done():
			return in.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (in *Instance[K, E, S, R]) tellNews() {
	in.mu.Lock()
	defer in.mu.Unlock()
	close(in.news)
	in.news = make(chan struct{})
}

// tell sends a message to the coordinator.
func (in *Instance[K, E, S, R]) tell(message any) { in.system.Root.Send(in.coordinator, message) }

func (in *Instance[K, E, S, R]) merge(p merger.Partials) {
	if in.merger != nil {
		in.system.Root.Send(in.merger, p)
	}
}

func (in *Instance[K, E, S, R]) troubles() *troubles { return in.problems }

// publish takes a record that stands: from now on it is what every part of the instance knows.
func (in *Instance[K, E, S, R]) publish(rec *backend.Record, sealed bool) {
	old := in.newest.Load()
	k := &known{rec: rec, view: ViewOf(rec), ours: rec.Coordinator == in.self}
	in.newest.Store(k)
	for _, pid := range in.vnodes {
		in.system.Root.Send(pid, k.view)
	}
	in.mu.Lock()
	for _, s := range in.sources {
		s.inbox.put(toSource{view: k.view})
	}
	in.mu.Unlock()
	if sealed {
		in.sealed(rec)
	}
	poke(in.recordAt)
	in.fenceOld(k.view)
	if !old.ours && k.ours {
		in.cfg.Timeline.Note(in.began, StepTakeOver, "record %d begins term %d", rec.Seq, rec.Term)
	}
	if !old.ours {
		in.restores.poke()
		poke(in.sealedAt) // a fold may be overdue since before the start
	}
	in.tellNews()
}

func (in *Instance[K, E, S, R]) sealed(rec *backend.Record) {
	in.problems.fine(sealEpoch)
	in.watch.stands(rec.Attempt)
	in.waiting.Add(1)
	poke(in.sealedAt)
	if in.merger != nil {
		in.system.Root.Send(in.merger, SealedOf(rec))
	} else {
		in.Emitted(rec.Epoch)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// opened tells of an attempt: the sources, which put barriers; without sources the vnodes, a few at a time.
func (in *Instance[K, E, S, R]) opened(a vnode.Attempt) {
	in.watch.begin(a)
	k := in.newest.Load()
	if len(k.view.Sources) == 0 {
		in.system.Root.Send(in.checkpointer, &vnode.OpenAttempt{Attempt: a, View: k.view})
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.sources {
		s.inbox.put(toSource{attempt: a})
	}
}

// abandoned tells why an attempt did not fill.
func (in *Instance[K, E, S, R]) abandoned(why error) {
	in.watch.abandon()
	in.problems.failed(sealEpoch, why)
}

// stop ends the instance, from one of its own goroutines.
func (in *Instance[K, E, S, R]) stop(err error) {
	in.over.RLock()
	defer in.over.RUnlock()
	if !in.ended {
		in.stops.Go(func() { in.Abort(err) })
	}
}

func (in *Instance[K, E, S, R]) changed() int64 { return in.dirty.Load() }

// Took counts events that a vnode took.
func (in *Instance[K, E, S, R]) Took(v vnode.ID, n int) { in.meters.applied[v].Add(uint64(n)) }

// Applied counts the vnodes with changes that no capture holds; the first asks for an epoch.
func (in *Instance[K, E, S, R]) Applied(_ vnode.ID, changed bool) {
	if !changed {
		in.dirty.Add(-1)
	} else if in.dirty.Add(1) == 1 {
		in.tell(want{})
	}
}

// Answer carries a vnode's reply to its origin.
func (in *Instance[K, E, S, R]) Answer(r vnode.Reply) {
	if answer := (*in.origins.Load())[r.Origin]; answer != nil {
		answer(r)
	}
}

// Capture hands a capture to the checkpointer.
func (in *Instance[K, E, S, R]) Capture(c vnode.Capture) {
	in.problems.fine(runVnode(c.Vnode))
	in.system.Root.Send(in.checkpointer, c)
}

// Rejected gives an event to the dead-letter hook.
func (in *Instance[K, E, S, R]) Rejected(d vnode.Rejected[E]) { in.rejected(d) }

func (in *Instance[K, E, S, R]) rejected(d vnode.Rejected[E]) {
	in.meters.rejected.Add(1)
	in.cfg.Log.Warn("event rejected", zap.String("origin", d.Origin), zap.Uint64("position", d.Position), zap.Error(d.Err))
	if in.cfg.DeadLetter == nil {
		return
	}
	defer func() {
		if x := recover(); x != nil {
			in.cfg.Log.Error("the dead-letter hook panicked", zap.Any("panic", x))
		}
	}()
	in.cfg.DeadLetter(d)
}

// Panicked notes a panic of the app. The vnode restarts.
func (in *Instance[K, E, S, R]) Panicked(v vnode.ID, p *vnode.PanicError) {
	in.meters.panics.Add(1)
	in.problems.note(runVnode(v), p)
	if p.Doing != "update" {
		in.tell(captureFailed{}) // the open attempt will not fill: what this life captured, or was to, is gone
	}
	in.cfg.Log.Error("the app panicked, the vnode restarts", zap.Error(p), zap.ByteString("stack", p.Stack))
}

// Emitted says that the sinks took an epoch.
func (in *Instance[K, E, S, R]) Emitted(e vnode.Epoch) {
	in.watch.taken(e)
	if e <= in.left {
		in.cfg.Timeline.Note(in.began, StepEmit, "epoch %d, which was sealed before this start", e)
	}
	in.emittedAt.Store(uint64(e))
	in.waiting.Add(-1)
	in.tell(emitted{e})
	in.tellNews()
}

// EmitFailed notes that an epoch could not be emitted, or that it went well.
func (in *Instance[K, E, S, R]) EmitFailed(e vnode.Epoch, err error) {
	if err == nil {
		in.problems.fine("emit")
		return
	}
	in.problems.failed("emit", fmt.Errorf("epoch %d: %w", e, err))
}

// FetchPartials reads the partials of a sealed epoch from its segments.
func (in *Instance[K, E, S, R]) FetchPartials(ctx context.Context, s *merger.Sealed) ([]merger.Partial, error) {
	rec, err := in.recordOf(ctx, s.Epoch)
	if err != nil {
		return nil, err
	}
	partials, err := backend.Restorer{Objects: in.cfg.Store, Record: rec}.Partials(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the partials of epoch %d: %w", s.Epoch, err)
	}
	out := make([]merger.Partial, len(partials))
	for v, p := range partials {
		out[v] = merger.Partial{Vnode: vnode.ID(v), Slice: s.Tips[v], Bytes: p}
	}
	return out, nil
}

// recordOf finds the newest retained record that says that e is sealed.
func (in *Instance[K, E, S, R]) recordOf(ctx context.Context, e vnode.Epoch) (*backend.Record, error) {
	for r, err := range in.ledger.History(ctx, in.newest.Load().rec) {
		switch {
		case errors.Is(err, backend.ErrCollected):
			return nil, fmt.Errorf("epoch %d: %w", e, ErrNoEpoch) // the floor rose past it meanwhile
		case err != nil:
			return nil, fmt.Errorf("look for the record of epoch %d: %w", e, err)
		case r.Epoch == e:
			return r, nil
		}
		if r.Epoch < e {
			break
		}
	}
	return nil, fmt.Errorf("epoch %d: %w", e, ErrNoEpoch)
}

// ErrNoEpoch is returned for an epoch that no retained record seals.
var ErrNoEpoch = errors.New("no such epoch: it was never sealed, or is not retained any more")

// Self is this instance and its incarnation.
func (in *Instance[K, E, S, R]) Self() vnode.Member { return in.self }

// Done is closed when the instance has ended.
func (in *Instance[K, E, S, R]) Done() <-chan struct{} { return in.done }

// Err says why the instance ended, and is nil while it has not. After Close it is [ErrClosed].
func (in *Instance[K, E, S, R]) Err() error {
	if in.ctx.Err() == nil {
		return nil
	}
	return context.Cause(in.ctx)
}

// Close takes nothing more, seals and emits everything that was taken, and ends the instance. If ctx ends before that,
// what is not sealed is left to be replayed, and the error says so; the instance ends all the same.
func (in *Instance[K, E, S, R]) Close(ctx context.Context) error {
	in.mu.Lock()
	first := !in.closed
	in.closed = true
	in.mu.Unlock()
	if !first {
		select {
		case <-in.closer:
			return in.closeErr
		case <-ctx.Done():
			return fmt.Errorf("close, begun before: %w", context.Cause(ctx))
		}
	}
	defer close(in.closer)
	in.closeErr = in.settle(ctx)
	in.Abort(ErrClosed)
	in.stops.Wait()
	return in.closeErr
}

// shut makes every source and producer take nothing more.
func (in *Instance[K, E, S, R]) shut() {
	for _, p := range in.allProducers() {
		p.shut()
	}
	for _, s := range in.allSources() {
		if s.pushed != nil {
			s.pushed.shut()
			continue
		}
		s.stopping.Store(true)
		s.inbox.poke()
	}
}

func (in *Instance[K, E, S, R]) settle(ctx context.Context) error {
	if err := in.Err(); err != nil {
		return fmt.Errorf("close: the instance had ended: %w", err)
	}
	in.shut()
	if err := in.flush(ctx); err != nil {
		return fmt.Errorf("close: not everything is sealed: %w", err)
	}
	if err := in.await(ctx, in.emissionRecorded); err != nil {
		return fmt.Errorf("close: not everything is emitted, or that is not recorded: %w", err)
	}
	return nil
}

// emissionRecorded reports whether the newest record says that its epoch is emitted. Once it is, it asks for that record.
// That may bring an epoch more, if one was wanted: then it is all said again of that one.
func (in *Instance[K, E, S, R]) emissionRecorded() bool {
	rec := in.newest.Load().rec
	if rec.Emitted < rec.Epoch && in.emittedAt.Load() >= uint64(rec.Epoch) {
		in.tell(conclude{})
	}
	return rec.Emitted >= rec.Epoch
}

// Abort ends the instance at once, as a crash would, but waits for its goroutines. It may be called twice.
func (in *Instance[K, E, S, R]) Abort(why error) {
	in.once.Do(func() {
		in.mu.Lock()
		in.closed = true
		in.mu.Unlock()
		in.cancel(why)
		in.cfg.Timeline.Note(time.Time{}, StepEnd, "%v", why)
		for _, p := range in.allProducers() {
			p.fail(why)
		}
		in.mu.Lock()
		ends := maps.Clone(in.ends)
		in.mu.Unlock()
		for _, end := range ends {
			end(why)
		}
		in.stopActors()
		in.runners.end()
		in.over.Lock()
		in.ended = true
		in.over.Unlock()
		in.wg.Wait()
		in.system.Shutdown()
		close(in.done)
	})
	<-in.done
}

// stopActors stops the vnodes, then those that they talk to.
func (in *Instance[K, E, S, R]) stopActors() {
	for _, pid := range []*actor.PID{in.supervisor, in.checkpointer, in.merger, in.coordinator} {
		if pid == nil {
			continue
		}
		if err := in.system.Root.StopFuture(pid).Wait(); err != nil {
			in.cfg.Log.Warn("an actor did not stop", zap.String("actor", pid.Id), zap.Error(err))
		}
	}
}

// onEnd arranges that f is called when the instance ends; at once if it has.
func (in *Instance[K, E, S, R]) onEnd(name string, f func(error)) {
	in.mu.Lock()
	in.ends[name] = f
	in.mu.Unlock()
	if err := in.Err(); err != nil {
		f(err)
	}
}
