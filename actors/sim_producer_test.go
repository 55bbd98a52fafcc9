package actors_test

import (
	"errors"
	"slices"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// producerNames are more than the bound that a world has: a name has to retire for another.
var producerNames = [...]string{"p0", "p1", "p2", "p3"}

const maxProducers = len(producerNames) - 1

// simProducer is the shell of a plain producer: one generation of a name.
type simProducer struct {
	p          *process
	name       string
	generation uint64
	rules      *actors.ProducerRules[[]simEvent]
	buffer     [][]simEvent // by vnode, not sent
	freed      uint64       // events that it was told are sealed
	silence    int          // turns since a vnode last answered
	over       bool         // another generation of its name is in force
}

func newSimProducer(p *process, name string, generation uint64) *simProducer {
	p.w.oracle.opened(name, generation)
	counted := generation
	if p.w.mutation == noGenerations {
		counted = 1
	}
	return &simProducer{
		p: p, name: name, generation: generation,
		rules:  actors.NewProducerRules[[]simEvent](name, counted, p.w.capacity),
		buffer: make([][]simEvent, p.w.capacity),
	}
}

func (q *simProducer) tick() {
	w := q.p.w
	if q.over {
		q.p.leave(q)
		return
	}
	if (!w.quiet || w.flows) && w.chance(w.pushes) {
		e, v := w.event(q.name, q.generation, q.rules.Count())
		q.buffer[v] = append(q.buffer[v], e)
	}
	for v := range vnode.ID(w.capacity) {
		if len(q.buffer[v]) > 0 && w.chance(.5) {
			q.send(q.rules.Flush(v, q.buffer[v]))
			q.buffer[v] = nil
		}
	}
	if q.silence++; q.silence > 6 {
		q.silence = 0
		for _, s := range q.rules.Resend(nothingUnderWay) {
			q.send(s)
		}
	}
}

// leave makes the place of a producer free that is over, unless it is being opened again.
func (p *process) leave(q *simProducer) {
	for place := range p.producers {
		if p.producers[place] == q && len(p.answers) == 0 {
			p.producers[place], p.opened[place], p.asked[q.name] = nil, false, false
		}
	}
}

// unsealed reports whether it was not told of some event that it is sealed.
func (q *simProducer) unsealed() bool { return q != nil && !q.over && q.freed < q.rules.At() }

func (q *simProducer) send(s actors.Sending[[]simEvent]) {
	q.p.send(&simBatch{vnode: s.Vnode, header: s.Header, events: s.Events})
}

func (q *simProducer) reply(r vnode.Reply) {
	if q == nil || r.Origin != q.name || q.over {
		return
	}
	q.silence = 0
	again, over := q.rules.Reply(r, func(events []simEvent) {
		q.freed += uint64(len(events))
		for _, e := range events {
			q.p.w.oracle.durable(r.Vnode, q.name, r.Generation, e.position)
		}
	})
	if over {
		q.p.w.count("producer over")
		q.over = true
	}
	for _, s := range again {
		q.send(s)
	}
}

// openProducer asks for a name in one of the process's places: the one that stands there, or any that is free. If the
// names have reached their bound it mostly says which may go.
func (p *process) openProducer(place int) {
	w := p.w
	name := producerNames[w.r.IntN(len(producerNames))]
	if q := p.producers[place]; q != nil {
		name = q.name
	} else if w.inUse(name, p) {
		return
	}
	p.opened[place] = true
	r := actors.Request{Producer: name, Version: p.rec.Generation}
	for _, known := range p.rec.Producers {
		if !w.inUse(known.Name, p) && w.chance(.7) {
			r.Retire = known.Name
		}
	}
	w.oracle.asks(p, r)
	p.ask(name, r, func(a *actors.Answer) {
		switch {
		case a.Err == nil:
			p.producers[place] = newSimProducer(p, name, a.Generation)
			return
		case errors.Is(a.Err, actors.ErrChanged):
			w.count("opened meanwhile")
		case !errors.Is(a.Err, actors.ErrNames) || (!w.clustered() && !p.namesFull(name)):
			failf("I8 producer %q was refused with %d names open: %v", name, len(p.rec.Producers), a.Err)
		default:
			w.count("refused")
		}
		p.asked[name], p.opened[place] = false, false
	})
}

// inUse reports whether a process has a name of a plain producer, or has asked for it. That of another with the same id,
// and now and then any, is taken all the same.
func (w *world) inUse(name string, by *process) bool {
	return slices.ContainsFunc(w.processes, func(q *process) bool {
		return q.up && q.asked[name] && (q == by || (q.self.Instance != by.self.Instance && !w.chance(.1)))
	})
}

// namesFull reports whether there can be no place for a name beside those that are open or asked for.
func (p *process) namesFull(name string) bool {
	n := 0
	for _, other := range producerNames {
		if other != name && (p.asked[other] || p.rec.GenerationOf(other) != 0) {
			n++
		}
	}
	return n >= maxProducers
}

// viewOf is what all parts of a process are told of a record.
func (w *world) viewOf(p *process, rec *backend.Record) *vnode.View {
	view := actors.ViewOf(rec)
	switch w.mutation {
	case noGenerations:
		for name := range view.Generations {
			view.Generations[name] = 1
		}
	case cameAgain:
		view.Assignment = view.Assignment.Clone()
		view.Assignment.Since = nil
	case idsAlone:
		view.Assignment = view.Assignment.Clone()
		if i := view.Assignment.Index(p.self.Instance); i >= 0 {
			view.Assignment.Members[i] = p.self
		}
	}
	return view
}
