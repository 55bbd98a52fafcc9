package actors

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// reign is what an instance runs while it coordinates, or tries to: the coordinator, and the merger beside it.
type reign struct {
	coordinator *actor.PID
	merger      *actor.PID             // nil if the app has no result
	says        atomic.Pointer[beat]   // newest
	awaits      atomic.Pointer[string] // whose fold the next epoch waits for; empty if for none
	ctx         context.Context        // ends with the reign
	cancel      context.CancelFunc
	wg          sync.WaitGroup // of what the merger does; the next reign waits for it
}

// lead begins a term on a record, in the background: it finds what is to be emitted first. A reign before must have let
// go of the sinks.
func (in *Instance[K, E, S, R]) lead(rec *backend.Record, claim Claimed) {
	last := in.lastReign
	r := &reign{}
	in.lastReign = r
	r.ctx, r.cancel = context.WithCancel(in.ctx)
	in.background(func(ctx context.Context) {
		if last != nil && !in.letGo(ctx, last) {
			return
		}
		unsent, waiting, err := in.unemitted(ctx, rec)
		if err != nil {
			if in.elastic() {
				in.problems.failed(findRecord, err)
				err = fmt.Errorf("%w: %w", ErrSuperseded, err)
			}
			in.system.Root.Send(in.follower, resigned{why: err})
			return
		}
		in.waiting.Store(int64(len(unsent)))
		if !in.enthrone(r, rec) {
			return
		}
		in.system.Root.Send(r.coordinator, begin{newest: rec, waiting: waiting, self: in.self, cluster: in.cluster(claim), limits: in.coordinatorLimits()})
		in.emitLeft(r, unsent)
	})
}

// letGo waits until a reign that has ended has let go of the sinks: results are given in order, one at a time (I6). It is
// false if the instance ends first. Meanwhile others may begin the term.
func (in *Instance[K, E, S, R]) letGo(ctx context.Context, last *reign) bool {
	gone := make(chan struct{})
	if !in.spawn(func() { last.wg.Wait(); close(gone) }) {
		return false
	}
	for {
		select {
		case <-gone:
			in.problems.fine(beginTerm)
			return true
		case <-ctx.Done():
			return false
		case <-time.After(letGoTime):
			in.problems.failed(beginTerm, in.unreturned())
		}
	}
}

const beginTerm = "begin a term"

// letGoTime is how long something of the program's may take to return once its context has ended, before that is a problem.
const letGoTime = 5 * time.Second

// enthrone spawns the actors of a reign; false if the instance has ended.
func (in *Instance[K, E, S, R]) enthrone(r *reign, newest *backend.Record) bool {
	root, fatal := in.system.Root, actor.WithGuardian(&guardian{in.stop})
	at := reigning[K, E, S, R]{in, r}
	in.over.RLock() // Abort stops what is there when it comes
	defer in.over.RUnlock()
	if in.ctx.Err() != nil {
		return false
	}
	if in.cfg.App.Fold != nil {
		app := merger.App[R]{Merge: in.cfg.Merge, Codec: in.cfg.App.Result, Sinks: in.sinks()}
		r.merger = root.Spawn(actor.PropsFromProducer(func() actor.Actor { return merger.NewActor(app, at, newest.Emitted) }, fatal))
	}
	r.coordinator = root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &coordinator{in: at, ledger: in.ledger, began: time.Now(), answers: map[uint64]func(Answer){}}
	}, fatal))
	in.reign.Store(r)
	return true
}

// emitLeft emits what was sealed and not emitted before this reign.
func (in *Instance[K, E, S, R]) emitLeft(r *reign, unsent []*merger.Sealed) {
	for _, s := range unsent {
		in.watch.waits(s.Epoch)
		if r.merger == nil {
			reigning[K, E, S, R]{in, r}.Emitted(s.Epoch)
		} else {
			in.system.Root.Send(r.merger, s)
		}
	}
}

// reigning is an instance as the coordinator and the merger of a reign see it.
type reigning[K vnode.Key, E, S, R any] struct {
	in *Instance[K, E, S, R]
	r  *reign
}

var (
	_ host            = reigning[string, int, int, int]{}
	_ merger.Instance = reigning[string, int, int, int]{}
)

// proclaim tells everybody of a record that stands; this instance goes by it as all others do. What is sealed goes to the
// merger.
func (g reigning[K, E, S, R]) proclaim(rec *backend.Record, sealed bool) {
	p := proclaimed{rec: rec}
	if sealed {
		p.emit = g.emit
	}
	g.in.system.Root.Send(g.in.follower, p)
	g.in.tellPeers(rec)
}

// emit has a sealed epoch emitted, once this instance knows its record.
func (g reigning[K, E, S, R]) emit(rec *backend.Record) {
	g.in.waiting.Add(1)
	if g.r.merger != nil {
		g.in.system.Root.Send(g.r.merger, SealedOf(rec))
	} else {
		g.Emitted(rec.Epoch)
	}
}

// say keeps what is repeated, and says it at once if it is news.
func (g reigning[K, E, S, R]) say(b beat, news bool) {
	g.r.says.Store(&b)
	if news {
		g.in.system.Root.Send(g.in.follower, b)
		g.in.tellPeers(b)
	}
}

// awaits keeps whose fold the next epoch waits for.
func (g reigning[K, E, S, R]) awaits(fold string) { g.r.awaits.Store(&fold) }

// heldByFold says whose fold keeps an epoch from being opened; empty if none does, or another instance coordinates.
func (in *Instance[K, E, S, R]) heldByFold() string {
	r := in.reign.Load()
	if r == nil {
		return ""
	}
	if fold := r.awaits.Load(); fold != nil && *fold != "" {
		return "compaction: the next epoch waits for a fold by " + *fold
	}
	return ""
}

// reply answers a question.
func (g reigning[K, E, S, R]) reply(to vnode.Member, a Answer) {
	if to == g.in.self {
		g.in.asks.answer(a)
		return
	}
	g.in.system.Root.Send(farPID(to.Instance), a)
}

// resign ends the reign.
func (g reigning[K, E, S, R]) resign(why error, standing *backend.Record) {
	if !g.in.reign.CompareAndSwap(g.r, nil) {
		return
	}
	g.r.cancel()
	g.in.waiting.Store(0)
	root := g.in.system.Root
	root.Stop(g.r.coordinator)
	if g.r.merger != nil {
		root.Stop(g.r.merger)
	}
	root.Send(g.in.follower, resigned{why, standing})
}

// abandoned tells why an attempt did not fill.
func (g reigning[K, E, S, R]) abandoned(why error) {
	g.in.watch.abandon()
	g.in.problems.failed(sealEpoch, why)
	g.in.system.Root.Send(g.in.follower, doubt{})
}

func (g reigning[K, E, S, R]) stop(err error)                         { g.in.stop(err) }
func (g reigning[K, E, S, R]) changed() int64                         { return g.in.changed() }
func (g reigning[K, E, S, R]) troubles() *troubles                    { return g.in.problems }
func (g reigning[K, E, S, R]) background(f func(ctx context.Context)) { g.in.background(f) }

// FetchPartials implements [merger.Instance].
func (g reigning[K, E, S, R]) FetchPartials(ctx context.Context, s *merger.Sealed) ([]merger.Partial, error) {
	return g.in.fetchPartials(ctx, s)
}

// Background implements [merger.Instance].
func (g reigning[K, E, S, R]) Background(f func(context.Context)) {
	g.r.wg.Add(1)
	if !g.in.spawn(func() { defer g.r.wg.Done(); f(g.r.ctx) }) {
		g.r.wg.Done()
	}
}

// Emitted says that the sinks took an epoch.
func (g reigning[K, E, S, R]) Emitted(e vnode.Epoch) {
	in := g.in
	in.watch.taken(e)
	if e <= in.left {
		in.cfg.Timeline.Note(in.began, StepEmit, "epoch %d, which was sealed before this start", e)
	}
	in.emittedAt.Store(uint64(e))
	if in.reign.Load() == g.r {
		in.waiting.Add(-1)
		in.system.Root.Send(g.r.coordinator, emitted{e})
	}
	in.tellNews()
}

// EmitFailed notes that an epoch could not be emitted, or that it went well.
func (g reigning[K, E, S, R]) EmitFailed(e vnode.Epoch, err error) {
	if err == nil {
		g.in.problems.fine("emit")
		return
	}
	g.in.problems.failed("emit", fmt.Errorf("epoch %d: %w", e, err))
}

// tellReign sends a message to the coordinator that is here, if there is one.
func (in *Instance[K, E, S, R]) tellReign(message any) {
	if r := in.reign.Load(); r != nil {
		in.system.Root.Send(r.coordinator, message)
	}
}

// leads reports whether this instance coordinates, by the newest record and by what it runs.
func (in *Instance[K, E, S, R]) leads() bool {
	k := in.newest.Load()
	return k != nil && k.rec.Coordinator == in.self && in.reign.Load() != nil
}

// beatEvery is how often the coordinator says where it stands.
const beatEvery = 250 * time.Millisecond

// beatLoop repeats what the coordinator says: messages between instances may be lost.
func (in *Instance[K, E, S, R]) beatLoop() {
	every := time.NewTicker(beatEvery)
	defer every.Stop()
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-every.C:
			if b := in.beatNow(); b != nil {
				in.tellPeers(*b)
			}
		}
	}
}

// beatNow is what the coordinator repeats; nil if none is here.
func (in *Instance[K, E, S, R]) beatNow() *beat {
	r := in.reign.Load()
	if r == nil {
		return nil
	}
	return r.says.Load()
}
