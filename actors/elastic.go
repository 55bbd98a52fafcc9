package actors

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// ElasticConfig is how an instance lives in an elastic cluster.
type ElasticConfig struct {
	Elastic
	Membership remote.Membership // who is there
	Zone       string            // failure domain
	Weight     uint32            // share of the vnodes relative to the others; 0 counts as 1
}

// How patient an instance is with those that it does not hear.
const (
	aliveEvery  = 500 * time.Millisecond  // it tells every member that it is there
	silentFor   = 2500 * time.Millisecond // a member that says nothing for so long cannot be reached
	silentLeft  = 1500 * time.Millisecond // the same, of one that the membership does not know any more
	silentDoubt = time.Second             // it may be one of those
	silentMost  = 4 * time.Second         // both, for a coordinator that most say nothing to: they may hear each other, and go first
	attention   = 2 * followerTick        // from one look to the next, that counts: who did not look has heard nothing, whoever spoke
	electTurn   = 150 * time.Millisecond  // one candidate waits for the one before it
	electStill  = 2                       // time-outs of an epoch for which the ledger may stand still while one is wanted
	electBeyond = 3 * time.Second         // for which it must before an instance that it leaves out takes over
	electSeldom = time.Hour               // the same, after many terms lost
	rememberFor = 30 * time.Second        // where somebody who is no member was heard from
)

// stretch is what an instance of an elastic cluster knows of the others, beside its peers.
type stretch struct {
	present   atomic.Pointer[map[string]remote.Member] // newest list of the membership, by instance; nil: none came
	hearing   hearing                                  // the follower's alone
	unreached []vnode.Member                           // at the last look; the follower's alone
	aliveAt   time.Time                                // when the members were last told of this one; the follower's alone
	failing   map[string]error                         // in the membership; the follower's alone
	departs   atomic.Bool
	hasLeft   atomic.Bool
	plan      atomic.Pointer[toldPlan]
	prepared  atomic.Pointer[PlanID]
	planAt    chan struct{} // holds a token when there is another plan or none, after a seal, and after a restore
}

// toldPlan is what the coordinator last said of its plan.
type toldPlan struct {
	plan    *Plan
	attempt vnode.Attempt // that carries it out; zero: none yet
	stopped atomic.Bool   // a vnode did, for that attempt
}

// id names the plan; zero: there is none.
func (t *toldPlan) id() PlanID {
	if t == nil || t.plan == nil {
		return PlanID{}
	}
	return t.plan.ID
}

// elastic reports whether this is a member of an elastic cluster.
func (in *Instance[K, E, S, R]) elastic() bool {
	return in.cfg.Cluster != nil && in.cfg.Cluster.Elastic != nil && !in.cfg.Cluster.Client
}

// election is how patient this instance is as a candidate.
func (in *Instance[K, E, S, R]) election() *Election {
	spread := float64(in.self.Incarnation[15]) / 255
	return &Election{
		Turn: electTurn, Again: max(2*in.cfg.Epoch, 2*electTurn), Still: electStill * in.cfg.Timeout,
		Outside: electBeyond, Longest: electSeldom, Jitter: spread,
	}
}

// join makes this instance known, and learns who else is there.
func (in *Instance[K, E, S, R]) join() error {
	if !in.elastic() {
		return nil
	}
	return in.cfg.Cluster.Elastic.Membership.Join(in.ctx, in.announced(), func(all []remote.Member) {
		list := make(map[string]remote.Member, len(all))
		for _, m := range all {
			list[m.Instance] = m
		}
		in.present.Store(&list)
		in.dialOthers()
		in.lookNow()
	})
}

// announced is what the membership says of this instance.
func (in *Instance[K, E, S, R]) announced() remote.Member {
	e := in.cfg.Cluster.Elastic
	return remote.Member{
		Instance: in.self.Instance, Incarnation: in.self.Incarnation, Address: in.self.Address,
		Zone: e.Zone, Weight: e.Weight, Leaving: in.departs.Load(),
	}
}

// part ends the membership: on purpose if this instance has left.
func (in *Instance[K, E, S, R]) part() error {
	if !in.elastic() {
		return nil
	}
	m := in.cfg.Cluster.Elastic.Membership
	if !in.hasLeft.Load() {
		return m.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return m.Leave(ctx)
}

// lookNow makes the follower look at what is due.
func (in *Instance[K, E, S, R]) lookNow() { in.system.Root.Send(in.follower, look{}) }

// amend brings what this instance claims up to date.
func (in *Instance[K, E, S, R]) amend(c *Claimed) {
	if !in.elastic() {
		return
	}
	c.Zone, c.Weight, c.Leaving = in.cfg.Cluster.Elastic.Zone, in.cfg.Cluster.Elastic.Weight, in.departs.Load()
	c.Offers = in.offered()
	if c.Leaving {
		c.Shut = in.shutSources()
	}
	if p := in.prepared.Load(); p != nil {
		c.Prepared = *p
	}
}

// told takes what the coordinator plans.
func (in *Instance[K, E, S, R]) told(b beat) {
	if !in.elastic() {
		return
	}
	t, old := &toldPlan{plan: b.Plan}, in.plan.Load()
	if b.Moving {
		t.attempt = b.Attempt
	}
	if old != nil && t.attempt == old.attempt {
		t.stopped.Store(old.stopped.Load())
	}
	if in.plan.Store(t); t.id() != old.id() {
		poke(in.planAt)
	}
}

// Moves reports whether a vnode that captures for an attempt moves with its seal.
func (in *Instance[K, E, S, R]) Moves(a vnode.Attempt, v vnode.ID) bool {
	t := in.plan.Load()
	if t == nil || t.plan == nil || t.attempt != a || !t.plan.Moving(v) {
		return false
	}
	if !t.stopped.Swap(true) {
		in.cfg.Timeline.Note(time.Time{}, StepMove, "vnodes stop, to move with epoch %d", a.Number)
	}
	return true
}

// departed ends an instance that was to leave, and has.
func (in *Instance[K, E, S, R]) departed() {
	in.hasLeft.Store(true)
	in.tellNews()
}

// sayAlive tells everybody, now and then, that this instance is there: the members, and those that want to be.
func (in *Instance[K, E, S, R]) sayAlive() {
	if in.elastic() && time.Since(in.aliveAt) >= aliveEvery {
		in.aliveAt = time.Now()
		in.tellPeers(alive{})
		in.noteMembership()
	}
}

// noteMembership makes what fails in the membership a problem of this instance. The membership logs it itself.
func (in *Instance[K, E, S, R]) noteMembership() {
	m, reports := in.cfg.Cluster.Elastic.Membership.(remote.Reporter)
	if !reports {
		return
	}
	now := m.Failing()
	for doing := range in.failing {
		if now[doing] == nil {
			in.problems.fine(doing)
		}
	}
	for doing, err := range now {
		in.problems.note(doing, err)
	}
	in.failing = now
}

// cannotReach lists the members that cannot be reached now: those whose id a newer incarnation has, whose address
// refuses, and those of which nothing is heard.
func (in *Instance[K, E, S, R]) cannotReach() []vnode.Member {
	k := in.newest.Load()
	if !in.elastic() || k == nil {
		return nil
	}
	refuses := map[string]bool{}
	for _, p := range in.transport.Status() {
		refuses[p.Instance] = !p.Up && errors.Is(p.Err, syscall.ECONNREFUSED)
	}
	known := k.rec.Assignment.Members
	if !slices.Contains(known, k.rec.Coordinator) && k.rec.Coordinator.Instance != "" {
		known = append(slices.Clone(known), k.rec.Coordinator)
	}
	var sights []sight
	for _, m := range known {
		if m.Instance != in.self.Instance && m.Address != "" {
			sights = append(sights, in.sees(m, refuses[m.Instance]))
		}
	}
	missed := in.hearing.look(time.Since(in.began), k.rec.Coordinator == in.self, sights)
	for _, m := range missed {
		if !slices.Contains(in.unreached, m) {
			in.cfg.Timeline.Note(time.Time{}, StepMiss, "%s cannot be reached at %s", m.Instance, m.Address)
		}
	}
	in.unreached = missed
	return missed
}

// sees is what this instance knows of a member.
func (in *Instance[K, E, S, R]) sees(m vnode.Member, refuses bool) sight {
	s := sight{member: m, quiet: in.peers.lives.quiet(m)}
	up, connected := in.peers.upOf(m.Instance)
	restarted := bytes.Compare(up.Member.Incarnation[:], m.Incarnation[:]) > 0 // the newer one is the greater
	s.ended = (connected && restarted) || (!connected && refuses)
	if list := in.present.Load(); list != nil {
		var now remote.Member
		now, s.listed = (*list)[m.Instance]
		s.replaced = s.listed && now.Incarnation != [16]byte{} && now.Incarnation != m.Incarnation
	}
	return s
}

// lives is when each instance was last heard.
type lives struct {
	began time.Time
	at    sync.Map // of instance to *life
}

type life struct {
	member vnode.Member
	heard  atomic.Int64 // nanoseconds since lives began, of the clock that nobody sets
}

func (l *lives) hear(h remote.Hello) {
	if h.Client {
		return // nobody asks whether it lives, and every one has an id of its own
	}
	m := h.Member
	x, known := l.at.Load(m.Instance)
	if !known || x.(*life).member != m {
		x = &life{member: m}
		l.at.Store(m.Instance, x)
	}
	x.(*life).heard.Store(int64(time.Since(l.began)))
}

// recent reports whether any incarnation of an instance was heard not long ago.
func (l *lives) recent(id string) (recent, known bool) {
	x, known := l.at.Load(id)
	return known && time.Since(l.began)-time.Duration(x.(*life).heard.Load()) < rememberFor, known
}

// forget drops whoever is not of those known, and was not heard for long (I8).
func (l *lives) forget(known map[string]string) {
	l.at.Range(func(id, x any) bool {
		recent, _ := l.recent(id.(string))
		if _, is := known[id.(string)]; !is && !recent {
			l.at.CompareAndDelete(id, x)
		}
		return true
	})
}

// quiet is for how long a member was not heard.
func (l *lives) quiet(m vnode.Member) time.Duration {
	if x, known := l.at.Load(m.Instance); known && x.(*life).member == m {
		return time.Since(l.began) - time.Duration(x.(*life).heard.Load())
	}
	return math.MaxInt64
}

// settleElastic makes this instance leave the others everything that it has. If there are no others, it reports so.
func (in *Instance[K, E, S, R]) settleElastic(ctx context.Context) (alone bool, err error) {
	in.departs.Store(true)
	_ = in.cfg.Cluster.Elastic.Membership.Update(in.announced()) // a hint
	in.lookNow()
	err = in.await(ctx, func() bool {
		alone = in.isAlone()
		return alone || in.hasLeft.Load()
	})
	return alone && !in.hasLeft.Load(), err
}

// isAlone reports whether no other instance is a member, or about to be one.
func (in *Instance[K, E, S, R]) isAlone() bool {
	k := in.newest.Load()
	return len(k.rec.Assignment.Members) == 1 && k.ours && !in.peers.anyMember()
}
