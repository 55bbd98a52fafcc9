package actors_test

import (
	"errors"
	"slices"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// attach asks for the sources and producers that this process has not opened yet.
func (p *process) attach() {
	w := p.w
	for i, o := range w.origins {
		if (w.elastic == nil || o.pushes) && !p.asked[o.name] && w.chance(.5) && p.wants(i) {
			p.attachSource(i)
		}
	}
	p.disown()
	for place := range p.producers {
		if p.free(place) && w.chance(.5) {
			p.openProducer(place)
		}
	}
}

// wants reports whether the process is to read a source: one that was dealt to its instance or, now and then, one that
// nobody reads since its instance restarted.
func (p *process) wants(i int) bool {
	if p.w.clustered() && !p.inForce() {
		return false
	}
	if p.client() {
		return false
	}
	if p.w.deal[i] == p.self.Instance || p.w.absent[p.w.deal[i]] {
		return true
	}
	at := slices.IndexFunc(p.view.Assignment.Sources, func(s vnode.SourceOwner) bool { return s.Source == p.w.origins[i].name })
	return at >= 0 && p.view.Assignment.Sources[at].Owner == vnode.Unowned && p.w.chance(.1)
}

// attachSource asks for a source. One that has ended is attached again now and then, as by a program that does not know.
func (p *process) attachSource(i int) {
	w, o := p.w, p.w.origins[i]
	p.asked[o.name] = true
	if cut, known := p.rec.CutOf(o.name); known && cut.Ended && !w.chance(.1) {
		return
	}
	p.ask(o.name, actors.Request{Source: o.name}, func(a *actors.Answer) {
		w.sayf("ATTACH %s by %s: %v", o.name, w.who(p.self), a.Err)
		switch {
		case a.Err == nil && w.chance(.05): // whoever asked for it is gone
			p.asked[o.name] = false
		case a.Err == nil:
			w.deal[i] = p.self.Instance
			p.sources[i] = newSimSource(p, o)
			w.oracle.attached(p.sources[i])
		case w.clustered() && (errors.Is(a.Err, actors.ErrAttached) || errors.Is(a.Err, actors.ErrSuperseded)):
			w.count("attached elsewhere")
			p.asked[o.name] = false
		default:
			failf("I1/I8 source %q was refused: %v", o.name, a.Err)
		}
	})
}

// disown gives a source back that the record gives to this process and that it does not read: whoever asked is gone, or
// its request was carried out again after it had been answered.
func (p *process) disown() {
	w := p.w
	for _, s := range p.view.Assignment.Sources {
		if s.Owner == vnode.Unowned || p.view.Assignment.Members[s.Owner] != p.self || p.asked[s.Source] || slices.Contains(p.says.Offers, s.Source) || w.mutation == ownedUnread {
			continue
		}
		w.count("detach")
		p.ask(s.Source, actors.Request{Detach: s.Source, Version: p.view.Assignment.Version}, func(a *actors.Answer) {
			w.sayf("DETACH %s by %s: %v", s.Source, w.who(p.self), a.Err)
			p.asked[s.Source] = false
		})
	}
}

// attached reports whether everything that the process asked for is there, and at its end.
func (p *process) attached() bool {
	w := p.w
	if len(p.answers) > 0 || p.view == nil {
		return false
	}
	for i, o := range w.origins {
		dealt := w.deal[i] == p.self.Instance || (w.absent[w.deal[i]] && !p.client())
		if (dealt && !p.asked[o.name] && (w.elastic == nil || o.pushes)) || (p.sources[i] != nil && !p.sources[i].done) {
			return false
		}
	}
	for place, q := range p.producers {
		if p.free(place) || (q != nil && q.over) { // its place is about to be free
			return false
		}
	}
	m, _ := w.store.newest().Assignment.InForce(p.self.Instance)
	return !w.clustered() || p.client() || (p.inForce() && m == p.self)
}

// free reports whether a process may have a plain producer in a place: no other has, but the one that this one follows
// under the same id.
func (p *process) free(place int) bool {
	other := func(q *process) bool { return q.up && q.opened[place] && q.self.Instance != p.self.Instance }
	return p.view != nil && !p.opened[place] && !slices.ContainsFunc(p.w.processes, other)
}
