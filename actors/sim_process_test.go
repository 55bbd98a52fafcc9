package actors_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// process is one simulated process: the shells around the rules, without goroutines, with a network that loses,
// repeats and reorders every message between its parts and those of others. It follows and, for a while, coordinates.
type process struct {
	w      *world
	self   vnode.Member
	claim  backend.Claim
	up     bool
	paused bool

	rec     *backend.Record // newest known; nil only in a client
	view    *vnode.View     // of rec
	says    actors.Claimed
	lost    map[vnode.Member]time.Duration // members of rec that do not answer, and since when
	plan    *actors.Plan                   // newest told of
	moving  vnode.Attempt                  // that carries it out
	coord   *actors.CoordinatorRules       // while it coordinates
	newest  *backend.Record                // that it published as the coordinator
	follow  *actors.FollowerRules
	open    *vnode.Attempt // told again until it is over
	clients map[string]bool
	silent  []uuid.UUID // incarnations that were called and did not answer

	vnodes    []*simVnode
	lives     uint64
	seen      map[string]string // by plain producer: the instance that last sent
	sources   []*simSource      // by origin of the world; nil until attached
	producers [2]*simProducer   // nil until open
	opened    [2]bool           // or asked for
	over      []bool            // by origin of an elastic world: it was read here to its end
	leaving   bool
	asked     map[string]bool // names of sources and producers

	tickets   uint64
	answers   map[uint64]func(*actors.Answer)
	questions []actors.Request // not answered, to a coordinator elsewhere
	served    map[question]*granted
	theirs    map[uint64]bool // tickets of other processes' questions

	packing  vnode.Attempt // highest seen
	captures []*packed     // of packing, by vnode
	told     []actors.Captured
	folding  int // compactions at work

	merge  *merger.Rules
	sealed map[vnode.Epoch]*backend.Record // that are to be emitted
}

// start starts a process on the newest record that it finds. By the time that it tries to take over, or asks to be
// admitted, there may be newer ones. One that coordinates calls the one before first.
func (w *world) start(id string) {
	if strings.HasPrefix(id, client) {
		id = fmt.Sprintf("%s%d", client, w.ids)
	}
	p := &process{
		w: w, self: vnode.Member{Instance: id, Incarnation: w.uuid(), Address: w.address(id)}, claim: w.claim(id), up: true,
		clients: map[string]bool{}, seen: map[string]string{}, sources: make([]*simSource, len(w.origins)), over: make([]bool, len(w.origins)), asked: map[string]bool{},
		answers: map[uint64]func(*actors.Answer){}, served: map[question]*granted{}, theirs: map[uint64]bool{}, lost: map[vnode.Member]time.Duration{}, sealed: map[vnode.Epoch]*backend.Record{},
	}
	for v := range w.capacity {
		p.vnodes = append(p.vnodes, &simVnode{p: p, id: vnode.ID(v)})
	}
	if !p.client() {
		p.rec = w.store.find(w.hint(), w.mutation != floorUnchecked)
		p.view, p.says = w.viewOf(p, p.rec), w.saysOf(p)
		w.sayf("START %s on %d, claims %v", w.who(p.self), p.rec.Seq, p.claim.Vnodes)
	}
	w.processes = slices.DeleteFunc(w.processes, func(p *process) bool { return !p.up })
	if slices.ContainsFunc(w.processes, func(q *process) bool { return q.self.Instance == id }) {
		w.count("twin")
	}
	if w.leads(id) && p.inUse() {
		w.count("in use")
		return
	}
	w.request(p, p.beginFollowing)
	w.count("start")
	w.processes = append(w.processes, p)
}

// inUse reports whether the incarnation in force under the id of this process answers.
func (p *process) inUse() bool {
	old, _ := p.rec.Assignment.InForce(p.self.Instance)
	if old.Address == "" || old.Address == p.self.Address {
		return false
	}
	_, answered := p.w.whoAnswers(p, old.Address)
	return answered
}

// lead begins a reign: it emits what waits and takes over.
func (p *process) lead(rec *backend.Record, claim actors.Claimed) {
	w := p.w
	w.request(p, func() {
		waiting := w.store.waiting(rec)
		w.request(p, func() { p.reign(rec, claim, waiting) })
	})
}

func (p *process) reign(rec *backend.Record, claim actors.Claimed, waiting []actors.Waiting) {
	w := p.w
	p.merge, p.sealed = merger.NewRules(rec.Emitted), map[vnode.Epoch]*backend.Record{}
	for _, x := range waiting {
		p.seal(w.store.truth[x.Seq])
	}
	var effects []actors.Effect
	p.newest, p.open = rec, nil
	cluster := actors.Cluster{Members: w.members, Claim: claim, Elastic: w.elastic}
	p.coord, effects = actors.NewCoordinatorRules(p.self, cluster, w.limits, rec, waiting, w.now)
	p.carry(effects)
	w.collect(p, rec)
}

// resign ends a reign.
func (p *process) resign(why error, standing *backend.Record) {
	p.w.sayf("RESIGN %s: %v", p.w.who(p.self), why)
	p.w.count("resigned")
	p.coord, p.merge, p.open, p.newest = nil, nil, nil, nil
	p.answers = maps.Clone(p.answers)
	maps.DeleteFunc(p.answers, func(ticket uint64, _ func(*actors.Answer)) bool { return p.theirs[ticket] })
	p.served, p.theirs = map[question]*granted{}, map[uint64]bool{}
	p.w.post(p, func() { p.obey(p.follow.Resigned(why, standing)) })
}

// began reports whether the rules of the process run.
func (p *process) began() bool { return p.follow != nil }

// inForce reports whether the newest record that the process knows names it.
func (p *process) inForce() bool {
	m, _ := p.view.Assignment.InForce(p.self.Instance)
	return m == p.self
}

// owns reports whether the process owns a vnode as far as it knows.
func (p *process) owns(v vnode.ID) bool { return p.view != nil && p.view.Owns(p.self, v) }

// tick gives the process a turn: time passes, sources read, producers send, what was not answered is repeated.
func (p *process) tick() {
	if !p.began() {
		return
	}
	p.wake()
	if p.view == nil || (p.client() && p.w.chance(.1)) {
		p.greet()
	}
	if !p.up || p.view == nil {
		return
	}
	for _, n := range p.vnodes {
		n.tick()
	}
	p.look()
	p.attach()
	for _, s := range p.sources {
		if s != nil {
			s.tick()
		}
	}
	for _, q := range p.producers {
		if q != nil {
			q.tick()
		}
	}
	if p.merge != nil {
		p.order(p.merge.Retry())
	}
	p.remind()
	p.compact()
}

// wake calls the rules when they asked for it, and only then.
func (p *process) wake() {
	p.wakeFollower()
	if p.coord == nil || !p.up {
		return
	}
	if at, ok := p.coord.Deadline(); !ok || p.w.now < at {
		return
	}
	p.carry(p.coord.Tick(p.w.now))
	if p.coord == nil || !p.up {
		return
	}
	if at, ok := p.coord.Deadline(); ok && at <= p.w.now {
		failf("liveness: the coordinator of %s asks to be called at once, again and again", p.w.who(p.self))
	}
}

// want asks for an epoch.
func (p *process) want() {
	p.coordinate(func(q *process) { q.carry(q.coord.Want()) })
}

// remind repeats what may have been lost.
func (p *process) remind() {
	w := p.w
	if p.coord != nil && p.newest != nil && w.chance(.2) {
		p.beat()
	}
	if w.chance(.05) {
		p.tellAll()
	}
	if p.merge != nil && p.merge.Emitted() > p.rec.Emitted && w.chance(.3) {
		e := p.merge.Emitted()
		w.send(p, func() { p.govern(func() []actors.Effect { return p.coord.Emitted(e) }) })
	}
	for _, m := range p.told {
		if w.chance(.2) && vnode.Epoch(m.Attempt.Number) > p.rec.Epoch {
			p.tellCaptured(m)
		}
	}
	for _, r := range p.questions {
		if w.chance(.1) {
			p.tellQuestion(r)
		}
	}
	if w.chance(.02) {
		conclude := w.chance(.1)
		p.coordinate(func(q *process) {
			q.carry(q.coord.Demand())
			if conclude {
				q.carry(q.coord.Conclude())
			}
		})
	}
}

// carry carries out the coordinator's effects.
func (p *process) carry(effects []actors.Effect) {
	for _, e := range effects {
		switch {
		case e.Append != nil:
			p.create(e.Append)
		case e.Publish != nil:
			p.publish(e.Publish, e.Sealed)
		case e.Open != nil:
			p.open = e.Open
			p.beat()
		case e.Aborted != nil:
			p.w.post(p, func() { p.obey(p.follow.Doubt()) })
		case e.Answer != nil:
			if answer := p.answers[e.Answer.Ticket]; answer != nil {
				delete(p.answers, e.Answer.Ticket)
				answer(e.Answer)
			}
		case e.Stop != nil:
			p.resign(e.Stop, e.Standing)
			return
		}
	}
}

// govern makes a call of the coordinator that is here, if there still is one.
func (p *process) govern(call func() []actors.Effect) {
	if p.coord != nil {
		p.carry(call())
	}
}

func (p *process) create(rec *backend.Record) {
	switch p.w.mutation {
	case toldEarly:
		p.learn(rec)
	case sameTerm:
		if w := p.w; w.elastic != nil && rec.Term > p.newest.Term {
			rec.Term = p.newest.Term
		}
	case sourcesDropped:
		a := &rec.Assignment
		a.Sources = slices.DeleteFunc(slices.Clone(a.Sources), func(s vnode.SourceOwner) bool { return s.Owner == vnode.Unowned })
	}
	p.w.append(p, rec)
}

func (p *process) stop(err error) {
	var inUse *actors.InUseError
	p.w.sayf("STOP %s: %v", p.w.who(p.self), err)
	switch {
	case errors.Is(err, actors.ErrSuperseded):
		p.w.count("superseded")
	case errors.As(err, &inUse):
		p.w.count("in use")
	default:
		failf("liveness: %s stops: %v", p.w.who(p.self), err)
	}
	p.up = p.w.mutation == idsAlone
}

// missed says that a segment is gone which a record names. Whoever misses an object searches the newest record: either
// there is a newer one to go by, or another reigns.
func (p *process) missed(rec *backend.Record) {
	w := p.w
	w.oracle.missed(rec)
	newest := w.store.find(w.hint(), w.mutation != floorUnchecked)
	p.obey(p.follow.Learn(newest))
	if p.coord != nil && newest.Coordinator != p.self {
		p.resign(actors.ErrSuperseded, newest)
	}
}

func (p *process) publish(rec *backend.Record, sealed bool) {
	raised := rec.Floor.K > p.newest.Floor.K
	p.newest = rec
	p.w.oracle.believed(p, rec)
	p.w.post(p, func() { p.obey(p.follow.Learn(rec)) })
	p.tellPeers(func(q *process) { q.hear(rec) })
	if sealed && (p.w.mutation != takeoverForgets || rec.Writer == p.self) {
		p.open = nil
		p.seal(rec)
	}
	if raised {
		p.w.collect(p, rec)
	}
}

// seal tells the merger of a record that seals an epoch.
func (p *process) seal(rec *backend.Record) {
	s := actors.SealedOf(rec)
	if p.w.mutation == unboundPartials {
		s.Tips = slices.Repeat([]vnode.SliceID{{Attempt: rec.Attempt}}, len(s.Tips))
	}
	p.sealed[rec.Epoch] = rec
	p.order(p.merge.Learn(s))
}

// learn takes a record into account.
func (p *process) learn(rec *backend.Record) {
	if p.rec == nil || rec.Seq > p.rec.Seq {
		p.rec, p.view = rec, p.w.viewOf(p, rec)
		if p.inForce() {
			p.w.oracle.served[p.self.Incarnation] = true
		}
		p.readDealt()
	}
	p.tellAll()
}

// tellAll tells every part of the process of the newest record.
func (p *process) tellAll() {
	for _, n := range p.vnodes {
		if n.rules != nil {
			p.w.send(p, func() { n.learn(p.view) })
		}
	}
	for _, s := range p.sources {
		if s != nil {
			p.w.send(p, func() { s.rules.Learn(p.view) })
		}
	}
}

// beat tells of the open attempt, and of how far the ledger is.
func (p *process) beat() {
	var a vnode.Attempt
	if p.open != nil {
		a = *p.open
	}
	term, seq, plan, moving := p.newest.Term, p.newest.Seq, (*actors.Plan)(nil), false
	if p.w.elastic != nil {
		plan, moving = p.coord.Plan()
	}
	atWork := p.coord.AtWork()
	p.w.send(p, func() { p.beaten(p, term, a, seq, plan, moving, atWork) })
	p.tellPeers(func(q *process) { q.beaten(p, term, a, seq, plan, moving, atWork) })
}

// tellOpen tells every part of the process of an attempt, with the newest record. Without sources it is the barrier.
func (p *process) tellOpen(a vnode.Attempt) {
	view := p.view
	for _, s := range p.sources {
		if s != nil {
			p.w.send(p, func() { s.rules.Learn(view); s.rules.Open(a) })
		}
	}
	if len(view.Sources) > 0 {
		return
	}
	for _, n := range p.vnodes {
		p.w.send(p, func() { n.learn(view); n.open(a) })
	}
}

func (w *world) uuid() uuid.UUID {
	var id uuid.UUID
	w.ids++
	binary.BigEndian.PutUint64(id[8:], w.ids)
	return id
}
