package actors_test

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// process is one simulated process: the shells around the rules, without goroutines, with a network that loses,
// repeats and reorders every message between its parts.
type process struct {
	w      *world
	self   vnode.Member
	up     bool
	paused bool

	rec   *backend.Record // newest known
	view  *vnode.View     // of rec
	coord *actors.CoordinatorRules
	open  *vnode.Attempt // told again until it is over

	vnodes    []*simVnode
	lives     uint64
	sources   []*simSource    // by origin of the world; nil until attached
	producers [2]*simProducer // nil until open
	opened    [2]bool         // or asked for
	asked     map[string]bool // names of sources and producers

	tickets uint64
	answers map[uint64]func(*actors.Answer)

	packing  vnode.Attempt // highest seen
	captures []*packed     // of packing, by vnode
	folding  int           // compactions at work

	merge  *merger.Rules
	sealed map[vnode.Epoch]*backend.Record // that are to be emitted
}

// start starts a process on the newest record that it finds. By the time that it tries to take over there may be newer
// ones.
func (w *world) start() {
	p := &process{
		w: w, self: vnode.Member{Instance: "node", Incarnation: w.uuid()}, up: true,
		sources: make([]*simSource, len(w.origins)), asked: map[string]bool{}, answers: map[uint64]func(*actors.Answer){},
		sealed: map[vnode.Epoch]*backend.Record{},
	}
	w.processes = append(w.processes, p)
	p.rec = w.store.find(w.hint(), w.mutation != floorUnchecked)
	p.view = w.viewOf(p.rec)
	w.sayf("START %s on %d", w.who(p.self), p.rec.Seq)
	waiting := w.store.waiting(p.rec)
	w.request(p, func() { p.boot(waiting) })
}

// boot emits what waits, begins a life of every vnode, and takes over.
func (p *process) boot(waiting []actors.Waiting) {
	w := p.w
	p.merge = merger.NewRules(p.rec.Emitted)
	for _, x := range waiting {
		p.seal(w.store.truth[x.Seq])
	}
	for v := range w.capacity {
		p.vnodes = append(p.vnodes, &simVnode{p: p, id: vnode.ID(v)})
	}
	var effects []actors.Effect
	p.coord, effects = actors.NewCoordinatorRules(p.self, actors.Cluster{Members: []string{p.self.Instance}, Claim: backend.Claim{Instance: p.self.Instance}}, w.limits, p.rec, waiting, w.now)
	p.carry(effects)
	w.collect(p, p.rec)
}

// tick gives the process a turn: time passes, sources read, producers send, what was not answered is repeated.
func (p *process) tick() {
	if p.coord == nil {
		return
	}
	p.wake()
	for _, n := range p.vnodes {
		if n.rules == nil && !n.waiting {
			n.restore()
		}
		if n.dirty {
			p.carry(p.coord.Want())
		}
	}
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
	p.order(p.merge.Retry())
	p.remind()
	p.compact()
}

// wake calls the coordinator when it asked for it, and only then.
func (p *process) wake() {
	if at, ok := p.coord.Deadline(); !ok || p.w.now < at {
		return
	}
	p.carry(p.coord.Tick(p.w.now))
	if at, ok := p.coord.Deadline(); ok && at <= p.w.now && p.up {
		failf("liveness: the coordinator of %s asks to be called at once, again and again", p.w.who(p.self))
	}
}

// remind repeats what may have been lost.
func (p *process) remind() {
	w := p.w
	if w.chance(.2) {
		p.tellOpen()
	}
	if w.chance(.05) {
		p.tellAll()
	}
	if e := p.merge.Emitted(); e > p.rec.Emitted && w.chance(.3) {
		w.send(p, func() { p.carry(p.coord.Emitted(e)) })
	}
	if w.chance(.02) {
		p.carry(p.coord.Demand())
		if w.chance(.1) {
			p.carry(p.coord.Conclude())
		}
	}
}

// carry carries out the coordinator's effects.
func (p *process) carry(effects []actors.Effect) {
	for _, e := range effects {
		switch {
		case e.Append != nil:
			if p.w.mutation == toldEarly {
				p.learn(e.Append)
			}
			p.w.append(p, e.Append)
		case e.Publish != nil:
			p.publish(e.Publish, e.Sealed)
		case e.Open != nil:
			p.open = e.Open
			p.tellOpen()
		case e.Answer != nil:
			p.answers[e.Answer.Ticket](e.Answer)
			delete(p.answers, e.Answer.Ticket)
		case e.Stop != nil:
			p.stop(e.Stop)
		}
	}
}

func (p *process) stop(err error) {
	p.w.sayf("STOP %s: %v", p.w.who(p.self), err)
	if !errors.Is(err, actors.ErrSuperseded) {
		failf("liveness: %s stops: %v", p.w.who(p.self), err)
	}
	p.up = false
}

// missed says that a segment is gone which a record names. Whoever misses an object searches the newest record: either
// there is a newer one to go by, or another reigns.
func (p *process) missed(rec *backend.Record) {
	w := p.w
	w.oracle.missed(rec)
	if newest := w.store.find(w.hint(), w.mutation != floorUnchecked); newest.Coordinator != p.self {
		p.stop(actors.ErrSuperseded)
	}
}

func (p *process) publish(rec *backend.Record, sealed bool) {
	raised := rec.Floor.K > p.rec.Floor.K
	p.w.oracle.believed(p, rec)
	p.learn(rec)
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
	if rec.Seq > p.rec.Seq {
		p.rec, p.view = rec, p.w.viewOf(rec)
	}
	p.tellAll()
}

// tellAll tells every part of the process of the newest record.
func (p *process) tellAll() {
	for _, n := range p.vnodes {
		p.w.send(p, func() { n.learn(p.view) })
	}
	for _, s := range p.sources {
		if s != nil {
			p.w.send(p, func() { s.rules.Learn(p.view) })
		}
	}
}

// tellOpen tells of the open attempt, with the newest record. Without sources it is the barrier.
func (p *process) tellOpen() {
	if p.open == nil {
		return
	}
	a, view := *p.open, p.view
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

// attach asks for the sources and producers that this process has not opened yet. A source that has ended is attached
// again now and then, as by a program that does not know.
func (p *process) attach() {
	w := p.w
	for i, o := range w.origins {
		if p.asked[o.name] || !w.chance(.5) {
			continue
		}
		p.asked[o.name] = true
		if cut, known := p.rec.CutOf(o.name); known && cut.Ended && !w.chance(.1) {
			continue
		}
		p.ask(o.name, actors.Request{Source: o.name, From: p.self}, func(a *actors.Answer) {
			if a.Err != nil {
				failf("I1/I8 source %q was refused: %v", o.name, a.Err)
			}
			p.sources[i] = newSimSource(p, o)
		})
	}
	for place := range p.producers {
		if !p.opened[place] && w.chance(.5) {
			p.openProducer(place)
		}
	}
}

func (p *process) ask(name string, r actors.Request, answer func(*actors.Answer)) {
	p.asked[name] = true
	p.tickets++
	r.Ticket = p.tickets
	p.answers[r.Ticket] = answer
	p.carry(p.coord.Ask(r))
}

// attached reports whether everything that the process asked for is there, and at its end.
func (p *process) attached() bool {
	if p.opened != [2]bool{true, true} {
		return false
	}
	for i, o := range p.w.origins {
		if !p.asked[o.name] || (p.sources[i] != nil && !p.sources[i].rules.Done()) {
			return false
		}
	}
	return len(p.answers) == 0
}

func (w *world) uuid() uuid.UUID {
	var id uuid.UUID
	w.ids++
	binary.BigEndian.PutUint64(id[8:], w.ids)
	return id
}
