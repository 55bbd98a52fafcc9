package actors_test

import (
	"encoding/binary"

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

	rec       *backend.Record
	view      *vnode.View
	coord     *actors.CoordinatorRules
	open      *vnode.Attempt
	lives     uint64
	vnodes    []*simVnode
	sources   map[string]*simSource
	producers map[string]*simProducer
	merge     *merger.Rules
	packing   map[vnode.Attempt]map[vnode.ID]packed
	tickets   uint64
	answers   map[uint64]func(*actors.Answer)
	asked     map[string]bool
}

// packed is a capture on its way into a segment.
type packed struct {
	capture simCapture
	note    actors.CaptureNote
}

// start starts a process on the newest record that it finds.
func (w *world) start() *process {
	p := &process{
		w: w, self: vnode.Member{Instance: "node", Incarnation: w.uuid()}, up: true,
		sources: map[string]*simSource{}, producers: map[string]*simProducer{},
		packing: map[vnode.Attempt]map[vnode.ID]packed{}, answers: map[uint64]func(*actors.Answer){}, asked: map[string]bool{},
	}
	w.processes = append(w.processes, p)
	rec := w.store.find(w.hint(), w.mutation != floorUnchecked)
	w.sayf("START %s on %d", w.who(p.self), rec.Seq)
	w.collect(p, rec)
	p.rec, p.view = rec, actors.ViewOf(rec)
	p.merge = merger.NewRules(rec.Emitted)
	waiting := w.store.waiting(rec)
	for _, x := range waiting {
		p.order(p.merge.Learn(actors.SealedOf(w.store.records[x.Seq])))
	}
	for v := range w.capacity {
		p.vnodes = append(p.vnodes, &simVnode{p: p, id: vnode.ID(v)})
	}
	var effects []actors.Effect
	p.coord, effects = actors.NewCoordinatorRules(p.self, w.limits, rec, waiting, w.now)
	p.carry(effects)
	return p
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
			p.repeat()
		case e.Answer != nil:
			p.answers[e.Answer.Ticket](e.Answer)
		case e.Stop != nil:
			p.w.sayf("STOP %s: %v", p.w.who(p.self), e.Stop)
			p.up = false
		}
	}
}

func (p *process) outcome(rec *backend.Record, o backend.Outcome) {
	p.w.post(p, func() { p.carry(p.coord.Outcome(o, nil)) })
}

func (p *process) lost(_, winner *backend.Record) {
	p.w.post(p, func() {
		if newest := p.w.store.find(winner.Seq, p.w.mutation != floorUnchecked); newest.Term == winner.Term {
			winner = newest
		}
		p.carry(p.coord.Outcome(backend.Lost, winner))
	})
}

func (p *process) publish(rec *backend.Record, sealed bool) {
	raised := rec.Floor.K > p.rec.Floor.K
	p.w.oracle.believed(p, rec)
	p.learn(rec)
	if sealed {
		p.open = nil
		p.order(p.merge.Learn(actors.SealedOf(rec)))
	}
	if raised {
		p.w.collect(p, rec)
	}
}

// learn tells every part of the process of a record.
func (p *process) learn(rec *backend.Record) {
	if rec.Seq > p.rec.Seq {
		p.rec, p.view = rec, actors.ViewOf(rec)
	}
	for _, n := range p.vnodes {
		p.w.send(p, func() { n.learn(p.view) })
	}
	for _, name := range p.names() {
		p.w.send(p, func() { p.sources[name].rules.Learn(p.view) })
	}
}

func (p *process) names() []string {
	var out []string
	for _, name := range sourceNames {
		if p.sources[name] != nil {
			out = append(out, name)
		}
	}
	return out
}

// repeat tells of the open attempt again, with the newest record.
func (p *process) repeat() {
	if p.open == nil {
		return
	}
	a, view := *p.open, p.view
	for _, name := range p.names() {
		s := p.sources[name]
		p.w.send(p, func() { s.rules.Learn(view); s.rules.Open(a) })
	}
	for _, n := range p.vnodes {
		p.w.send(p, func() {
			n.learn(view)
			if n.rules != nil && len(view.Sources) == 0 {
				n.do(n.rules.Open(a), nil)
			}
		})
	}
}

// tick gives the process a turn: time passes, sources read, producers send, what was not answered is repeated.
func (p *process) tick() {
	w := p.w
	p.carry(p.coord.Tick(w.now))
	for _, n := range p.vnodes {
		if n.rules == nil && !n.restoring {
			n.restore()
		}
		if n.dirty {
			p.carry(p.coord.Want())
		}
	}
	p.attach()
	for _, name := range p.names() {
		p.sources[name].tick()
	}
	for _, name := range producerNames {
		if q := p.producers[name]; q != nil {
			q.tick()
		}
	}
	p.order(p.merge.Retry())
	if w.chance(.2) {
		p.repeat()
	}
	if w.chance(.05) {
		p.learn(p.rec)
	}
}

// attach asks for sources and producers that this process has not opened yet.
func (p *process) attach() {
	for _, name := range sourceNames {
		cut, known := p.rec.CutOf(name)
		if p.asked[name] || (known && cut.Ended) || !p.w.chance(.5) {
			continue
		}
		p.ask(actors.Request{Source: name}, func(*actors.Answer) {
			p.sources[name] = newSimSource(p, name)
		})
	}
	for _, name := range producerNames {
		if p.asked[name] || !p.w.chance(.5) {
			continue
		}
		p.ask(actors.Request{Producer: name}, func(a *actors.Answer) {
			p.producers[name] = newSimProducer(p, name, a.Generation)
		})
	}
}

func (p *process) ask(r actors.Request, answer func(*actors.Answer)) {
	p.asked[r.Source+r.Producer] = true
	p.tickets++
	r.Ticket = p.tickets
	p.answers[r.Ticket] = func(a *actors.Answer) {
		if a.Err != nil {
			panic(a.Err)
		}
		answer(a)
	}
	p.carry(p.coord.Ask(r))
}

// pack is the checkpointer: all vnodes of an attempt in one segment, then one message to the coordinator and one to
// the merger.
func (p *process) pack(a vnode.Attempt, c packed) {
	w := p.w
	if p.packing[a] == nil {
		p.packing[a] = map[vnode.ID]packed{}
	}
	p.packing[a][c.note.Vnode] = c
	if len(p.packing[a]) < w.capacity {
		return
	}
	all := p.packing[a]
	delete(p.packing, a)
	segment, m, parts := simSegment{}, actors.Captured{Attempt: a, From: p.self}, []merger.Partial{}
	m.Segment = backend.SegmentRef{
		Epoch: vnode.Epoch(a.Number), Instance: p.self.Instance, ID: w.uuid(),
		From: p.rec.Epoch, Through: vnode.Epoch(a.Number),
	}
	for v := range vnode.ID(w.capacity) {
		c := all[v]
		segment[v] = c.capture
		m.Notes = append(m.Notes, c.note)
		parts = append(parts, merger.Partial{Vnode: v, Slice: c.note.Slice, Bytes: c.capture.partial})
		if len(c.capture.delta) > 0 || c.capture.producers != nil {
			m.Segment.Vnodes.Add(v)
		}
	}
	w.later(p, func() { p.packedOut(segment, m, parts) })
}

func (p *process) packedOut(segment simSegment, m actors.Captured, parts []merger.Partial) {
	w := p.w
	if w.chance(w.putLoss) {
		w.count("segment")
		if w.chance(.5) {
			p.carry(p.coord.CaptureFailed(m.Attempt))
			return
		}
	}
	w.store.segments[m.Segment.Key()] = segment
	for range 3 {
		w.send(p, func() {
			p.pretend(m)
			p.carry(p.coord.Captured(m))
		})
	}
	w.send(p, func() { p.order(p.merge.Partials(m.Attempt, parts)) })
	if w.mutation == earlyEmit {
		w.oracle.emit(vnode.Epoch(m.Attempt.Number), foldParts(parts))
	}
}

// pretend makes captures claim that they stand at the cuts: no cut check.
func (p *process) pretend(m actors.Captured) {
	if p.w.mutation != unaligned {
		return
	}
	for _, name := range p.names() {
		if cut, ok := p.sources[name].rules.Cut(); ok {
			for _, note := range m.Notes {
				note.Positions[name] = vnode.Position{At: cut.At}
			}
		}
	}
}

func foldParts(parts []merger.Partial) uint64 {
	sum := uint64(0)
	for _, x := range parts {
		sum += binary.LittleEndian.Uint64(x.Bytes)
	}
	return sum
}

// order carries out what the merger asks for.
func (p *process) order(o merger.Order) {
	switch {
	case o.Fetch != nil:
		p.w.later(p, func() { p.fetch(o.Fetch) })
	case o.Emit != nil:
		p.w.later(p, func() {
			sum := uint64(0)
			for _, b := range o.Parts {
				sum += binary.LittleEndian.Uint64(b)
			}
			p.w.oracle.emit(o.Emit.Epoch, sum)
			p.w.post(p, func() { p.carry(p.coord.Emitted(o.Emit.Epoch)) })
			p.order(p.merge.Taken(o.Emit.Epoch))
		})
	}
}

// fetch reads an epoch's partials from the segment that holds its captures.
func (p *process) fetch(s *merger.Sealed) {
	var parts []merger.Partial
	for _, seg := range p.w.store.segments {
		for v, c := range seg { // the order does not matter: the merger looks them up
			if int(v) < len(s.Tips) && c.slice == s.Tips[v] {
				parts = append(parts, merger.Partial{Vnode: v, Slice: c.slice, Bytes: c.partial})
			}
		}
	}
	if len(parts) < len(s.Tips) {
		p.w.oracle.collected(p, s)
		p.up = false
		return
	}
	p.order(p.merge.Fetched(s, parts))
}

func (w *world) uuid() uuid.UUID {
	var id uuid.UUID
	w.ids++
	binary.BigEndian.PutUint64(id[8:], w.ids)
	return id
}
