package vnode

import "maps"

// Poison remembers, across the lives of a vnode, which events panicked and how often: an event is applied at most
// Tries times, then it is rejected. It forgets an event once that is sealed.
type Poison struct {
	Tries  int
	panics map[event]int
}

// event names an event for ever.
type event struct {
	origin     string
	generation uint64
	position   uint64
}

func eventOf[E any](b *Batch[E], i int) event {
	return event{origin: b.Origin, generation: b.Generation, position: b.Position(i)}
}

// note counts a panic of the event.
func (p *Poison) note(e event) {
	if p.panics == nil {
		p.panics = map[event]int{}
	}
	p.panics[e]++
}

// spent reports whether the event has panicked too often.
func (p *Poison) spent(e event) bool { return p.panics[e] >= p.Tries }

// forget drops the events that are sealed, or whose producer's generation is over.
func (p *Poison) forget(r *Rules) {
	maps.DeleteFunc(p.panics, func(e event, _ int) bool {
		if e.generation != 0 && r.view.Generations[e.origin] != e.generation {
			return true
		}
		at := r.Sealed(e.origin)
		return at.Generation == e.generation && at.At >= e.position
	})
}
