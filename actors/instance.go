package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// Instance runs an app on a store: it owns the actors and goroutines of one process (see the table in doc.go).
type Instance[K vnode.Key, E, S, R any] struct {
	cfg      Config[K, E, S, R]
	self     vnode.Member
	ledger   *backend.Ledger // nil for a client
	segments *backend.Recent // the store, for what writes and folds segments
	system   *actor.ActorSystem
	runners  *runners // of the vnodes

	vnodes       []*actor.PID // all, also those that other instances own; none for a client
	supervisor   *actor.PID
	follower     *actor.PID
	checkpointer *actor.PID
	reign        atomic.Pointer[reign] // nil while another instance coordinates
	lastReign    *reign                // the follower's alone

	transport remote.Transport // nil for an instance that is alone
	hears     atomic.Bool      // the actors are there: peers may come
	peers     peers
	stretch
	loads    loads[K, S]
	modes    wireModes
	records  *backend.RecordWire
	landings freeList[landing[E]]
	seen     seenOrigins
	asks     asks
	finds    finds
	routes   atomic.Pointer[routes]
	leader   atomic.Pointer[string]        // the coordinator's instance; nil while none is known
	open     atomic.Pointer[vnode.Attempt] // newest told of

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
	waiting   atomic.Int64           // epochs that are sealed and that the sinks did not take
	left      vnode.Epoch            // sealed before this start
	emitting  atomic.Int64           // the sink that was given the newest result
	sinking   atomic.Pointer[string] // the sink that has one and has not returned
	problems  *troubles
	restores  *inbox[vnode.ID]
	living    []atomic.Bool // by vnode: it has its slice
	greeted   []atomic.Bool // by vnode: it asked for one before
	sealedAt  chan struct{} // holds a token after a seal, for the compactor
	recordAt  chan struct{} // holds a token after a record, for the collector
	results   *results[R]

	mu        sync.Mutex // guards what follows
	sources   map[string]*source[K, E]
	leaving   map[string]bool // sources that are being given back
	offers    map[string]*offer[E]
	claiming  map[string]bool // sources that are pushed here, and being attached again
	producers map[string]*Producer[K, E]
	news      chan struct{} // closed and replaced at every record and emission
	closed    bool
	opening   map[string]chan struct{}                     // producers' names being opened; closed when done
	ends      map[string]func(error)                       // by resumable producer: called when the instance ends
	origins   atomic.Pointer[map[string]func(vnode.Reply)] // by name; replaced whole
}

// known is a record and what follows from it.
type known struct {
	rec   *backend.Record
	view  *vnode.View
	ours  bool       // this incarnation is in force
	owned []vnode.ID // by this incarnation, ascending
}

func (in *Instance[K, E, S, R]) knownOf(rec *backend.Record) *known {
	k := &known{rec: rec, view: ViewOf(rec)}
	i := slices.Index(rec.Assignment.Members, in.self)
	if k.ours = i >= 0; !k.ours {
		return k
	}
	for v, owner := range rec.Assignment.Owners {
		if owner == i {
			k.owned = append(k.owned, vnode.ID(v))
		}
	}
	return k
}

// owns reports whether this incarnation owns a vnode.
func (k *known) owns(v vnode.ID) bool {
	_, found := slices.BinarySearch(k.owned, v)
	return found
}

// capacity is the number of vnodes of the store.
func (in *Instance[K, E, S, R]) capacity() int { return in.cfg.Identity.Capacity }

// Start starts an instance on a store's ledger, of which newest is the newest record. It returns once this incarnation
// is in force and every vnode that it owns has its slice, or with the error of ctx.
func Start[K vnode.Key, E, S, R any](ctx context.Context, cfg Config[K, E, S, R], ledger *backend.Ledger, newest *backend.Record) (*Instance[K, E, S, R], error) {
	in, err := newInstance(cfg)
	if err != nil {
		return nil, err
	}
	in.ledger = ledger
	in.emittedAt.Store(uint64(newest.Emitted))
	in.left = newest.Epoch
	in.newest.Store(in.knownOf(newest))
	if err := in.begin(ctx, newest); err != nil {
		in.cancel(err)
		return nil, errors.Join(err, in.closeTransport())
	}
	err = in.join()
	if err == nil {
		err = in.ready(ctx)
	}
	if err != nil {
		in.Abort(err)
		in.stops.Wait()
		return nil, err
	}
	return in, nil
}

// newInstance makes an instance that does nothing yet, but has an address.
func newInstance[K vnode.Key, E, S, R any](cfg Config[K, E, S, R]) (*Instance[K, E, S, R], error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an incarnation: %w", err)
	}
	in := &Instance[K, E, S, R]{
		cfg: cfg, self: vnode.Member{Instance: cfg.Instance, Incarnation: id}, segments: backend.NewRecent(cfg.Store),
		done: make(chan struct{}), closer: make(chan struct{}), restores: newInbox[vnode.ID](),
		sealedAt: make(chan struct{}, 1), stretch: stretch{planAt: make(chan struct{}, 1)}, recordAt: make(chan struct{}, 1), results: newResults[R](),
		sources: map[string]*source[K, E]{}, leaving: map[string]bool{}, claiming: map[string]bool{}, producers: map[string]*Producer[K, E]{},
		ends: map[string]func(error){}, opening: map[string]chan struct{}{}, news: make(chan struct{}),
	}
	in.ctx, in.cancel = context.WithCancelCause(context.Background())
	in.problems = newTroubles(in.ctx, cfg.Log, cfg.Timeline)
	in.began, in.watch = time.Now(), newStopwatch()
	in.meters = &meters{applied: make([]atomic.Uint64, cfg.Identity.Capacity)}
	in.origins.Store(&map[string]func(vnode.Reply){})
	in.asks.tickets.Store(rand.Uint64()) // an answer to the incarnation before is none to this one
	in.finds.tickets.Store(rand.Uint64())
	return in, in.openTransport()
}

// begin spawns the actors and tells the first of them where to begin.
func (in *Instance[K, E, S, R]) begin(ctx context.Context, newest *backend.Record) error {
	if in.clustered() {
		if err := in.callThoseBefore(ctx, newest); err != nil {
			return err
		}
	}
	in.leader.Store(in.firstLeader(newest))
	in.spawnActors(newest)
	in.system.Root.Send(in.follower, beginFollowing{newest: newest, self: in.self, role: in.role(), claim: in.claim()})
	in.hear() // behind it: the first that an actor takes is where it begins
	return nil
}

// firstLeader is the instance that coordinates as far as is known at the start.
func (in *Instance[K, E, S, R]) firstLeader(newest *backend.Record) *string {
	switch {
	case in.cfg.Cluster == nil:
		return &in.self.Instance
	case !in.elastic():
		return &in.cfg.Cluster.Coordinator
	case newest.Coordinator.Instance == "":
		return nil
	}
	return &newest.Coordinator.Instance
}

// cluster is who may be a member.
func (in *Instance[K, E, S, R]) cluster(claim Claimed) Cluster {
	c := Cluster{Members: in.memberIDs(), Claim: claim}
	if in.elastic() {
		c.Elastic = &in.cfg.Cluster.Elastic.Elastic
	}
	return c
}

// claim is what this instance claims at its start.
func (in *Instance[K, E, S, R]) claim() Claimed {
	c := Claimed{From: in.self, Claim: backend.Claim{Instance: in.self.Instance}}
	switch {
	case in.cfg.Cluster == nil:
	case in.elastic():
		in.amend(&c)
	default:
		c.Claim = in.cfg.Cluster.Claim
	}
	return c
}

// role is what this instance is by its configuration.
func (in *Instance[K, E, S, R]) role() Role {
	if in.elastic() {
		return Role{Elects: in.election()}
	}
	return Role{Leads: in.leadsByConfig()}
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
