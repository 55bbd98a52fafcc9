package actors

import (
	"sort"

	"github.com/sheaf-go/sheaf/vnode"
)

// ProducerRules is what a plain producer decides: it counts the positions, keeps every batch until its events are
// sealed, and sends again what a vnode lacks. It is a pure state machine; B is the shell's batch of events.
type ProducerRules[B any] struct {
	name       string
	generation uint64
	at         uint64
	lanes      []lane[B]
}

// lane is the history of one vnode.
type lane[B any] struct {
	flushed  uint64 // batches up to here were made
	standing uint64
	sealed   uint64
	round    uint64
	batches  []sentBatch[B] // unsealed, oldest first
}

type sentBatch[B any] struct {
	from, to uint64
	events   B
}

// Sending is a batch to be sent: the header, and the events that the shell gave for it.
type Sending[B any] struct {
	Header vnode.Header
	Vnode  vnode.ID
	Events B
}

// NewProducerRules starts a generation of a name: its positions begin at 0.
func NewProducerRules[B any](name string, generation uint64, capacity int) *ProducerRules[B] {
	return &ProducerRules[B]{name: name, generation: generation, lanes: make([]lane[B], capacity)}
}

// Count gives the next event its position.
func (p *ProducerRules[B]) Count() uint64 {
	p.at++
	return p.at
}

// At is the position of the newest event.
func (p *ProducerRules[B]) At() uint64 { return p.at }

// Flush makes a batch of all events of v counted since its last flush.
func (p *ProducerRules[B]) Flush(v vnode.ID, events B) Sending[B] {
	l := &p.lanes[v]
	b := sentBatch[B]{from: l.flushed, to: p.at, events: events}
	l.flushed = p.at
	l.batches = append(l.batches, b)
	return p.sending(v, b)
}

func (p *ProducerRules[B]) sending(v vnode.ID, b sentBatch[B]) Sending[B] {
	h := vnode.Header{Origin: p.name, Generation: p.generation, From: b.from, To: b.to, Round: p.lanes[v].round}
	return Sending[B]{Header: h, Vnode: v, Events: b.events}
}

// Reply takes a vnode's answer: what became sealed is given back, what must be sent again is returned.
func (p *ProducerRules[B]) Reply(r vnode.Reply, freed func(B)) (again []Sending[B], superseded bool) {
	if r.Generation != p.generation {
		return nil, false
	}
	l := &p.lanes[r.Vnode]
	l.free(r.Sealed, freed)
	switch {
	case r.Kind == vnode.Superseded:
		return nil, true
	case r.Kind == vnode.Gap && r.Round >= l.round:
		l.standing = max(r.Standing, l.sealed)
		return p.resend(r.Vnode), false
	case r.Kind == vnode.Took && r.Round >= l.round:
		l.standing = max(l.standing, r.Standing)
	}
	return nil, false
}

func (l *lane[B]) free(sealed uint64, freed func(B)) {
	if sealed <= l.sealed {
		return
	}
	l.sealed = sealed
	n := 0
	for n < len(l.batches) && l.batches[n].to <= sealed {
		freed(l.batches[n].events)
		n++
	}
	rest := copy(l.batches, l.batches[n:])
	clear(l.batches[rest:])
	l.batches = l.batches[:rest]
}

// resend returns every batch behind v's standing, under a new round.
func (p *ProducerRules[B]) resend(v vnode.ID) []Sending[B] {
	l := &p.lanes[v]
	l.round++
	var out []Sending[B]
	for _, b := range l.batches {
		if b.to > l.standing {
			b.from = max(b.from, l.standing) // a part of it may have arrived
			out = append(out, p.sending(v, b))
		}
	}
	return out
}

// Resend returns all batches that no vnode has answered for, and an empty one as a question to each vnode that has
// answered but not sealed: it may have lost what it took. Vnodes that something is still under way to are left out. The
// shell calls it when nothing was heard for a while.
func (p *ProducerRules[B]) Resend(underWay func(vnode.ID) bool) []Sending[B] {
	var out []Sending[B]
	for v := range p.lanes {
		l := &p.lanes[v]
		n := len(l.batches)
		switch {
		case n == 0 || underWay(vnode.ID(v)):
		case l.batches[n-1].to > l.standing:
			out = append(out, p.resend(vnode.ID(v))...)
		default:
			out = append(out, p.sending(vnode.ID(v), sentBatch[B]{from: l.standing, to: l.standing}))
		}
	}
	return out
}

// Unsealed reports whether any event at or below a position, at which every vnode was flushed, is not sealed.
func (p *ProducerRules[B]) Unsealed(to uint64) bool {
	for v := range p.lanes {
		if l := &p.lanes[v]; len(l.batches) > 0 && l.batches[0].to <= to {
			return true
		}
	}
	return false
}

// Standing reports whether the vnodes have all taken their events at or below such a position: an epoch opened from now
// on seals them.
func (p *ProducerRules[B]) Standing(to uint64) bool {
	for v := range p.lanes {
		l := &p.lanes[v]
		n := sort.Search(len(l.batches), func(i int) bool { return l.batches[i].to > to })
		if n > 0 && l.batches[n-1].to > l.standing {
			return false
		}
	}
	return true
}
