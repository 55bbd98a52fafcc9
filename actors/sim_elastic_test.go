package actors_test

import (
	"slices"
	"time"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// In an elastic world whoever begins a term coordinates, members come and go, and the assignment follows from who is
// there: each process tells whom it cannot reach, as gossip and broken connections would, sometimes wrongly.

// stretch makes a world elastic.
func (w *world) stretch() {
	w.elastic = &actors.Elastic{
		ByZone: w.chance(.3), Settle: time.Duration(w.r.IntN(40)) * turn, Patience: time.Duration(1+w.r.IntN(100)) * turn,
	}
	w.choosy = w.chance(.3)
}

// saysOf is what a new process claims.
func (w *world) saysOf(p *process) actors.Claimed {
	says := actors.Claimed{From: p.self, Claim: p.claim}
	if w.elastic == nil {
		return says
	}
	i := slices.Index(w.members, p.self.Instance)
	says.Zone, says.Weight = string(rune('a'+i%2)), 1
	for j, o := range w.origins {
		if !o.pushes && (!w.choosy || len(w.members) == 1 || j%len(w.members) != i) {
			says.Offers = append(says.Offers, o.name)
		}
	}
	return says
}

// look finds out whom a process cannot reach, and what it has to say.
func (p *process) look() {
	w := p.w
	if w.elastic == nil || p.client() || p.follow == nil {
		return
	}
	var cut []vnode.Member
	for _, m := range append(slices.Clone(p.rec.Assignment.Members), p.rec.Coordinator) {
		if m == p.self || m == (vnode.Member{}) || slices.Contains(cut, m) {
			continue
		}
		if w.reaches(p, m) && (w.quiet || !w.chance(.0005)) {
			delete(p.lost, m)
			continue
		}
		if _, known := p.lost[m]; !known {
			p.lost[m] = w.now
		}
		if w.isGone(m) || w.now-p.lost[m] > 12*turn || w.chance(.02) {
			cut = append(cut, m)
		}
	}
	p.obey(p.follow.Cannot(cut))
	if p.leaving && w.quiet && p.up && slices.Equal(p.rec.Assignment.Members, []vnode.Member{p.self}) {
		w.restart(p.self.Instance) // it is the last, and ends
		return
	}
	p.follow.Wants(p.unsealed())
	if p.plan != nil && w.chance(.3) && p.up {
		p.obey(p.follow.Say(func(c *actors.Claimed) { c.Prepared = p.plan.ID }))
	}
}

// unsealed reports whether something is there that no record seals.
func (p *process) unsealed() bool {
	return slices.ContainsFunc(p.vnodes, func(n *simVnode) bool { return n.rules != nil && (n.dirty || n.owed > 0) }) ||
		slices.ContainsFunc(p.sources, func(s *simSource) bool { return s != nil && !s.done && s.rules.Unsealed() })
}

// reaches reports whether a process and a member hear each other.
func (w *world) reaches(p *process, m vnode.Member) bool {
	return slices.ContainsFunc(w.processes, func(q *process) bool {
		return q.awake() && q.self == m && !w.cuts[link{p, q}] && !w.cuts[link{q, p}]
	})
}

func (w *world) isGone(m vnode.Member) bool {
	return !slices.ContainsFunc(w.processes, func(q *process) bool { return q.up && q.self == m })
}

// readDealt begins to read the sources that a record gives to the process, and ends those that it gives to others.
func (p *process) readDealt() {
	w := p.w
	if w.elastic == nil || p.client() {
		return
	}
	for i, o := range w.origins {
		s, mine := p.sources[i], p.reads(o.name)
		switch {
		case o.pushes && s != nil && !mine && !s.done: // it was left out: it is to be attached again
			p.sources[i], p.asked[o.name] = nil, false
		case o.pushes:
		case mine && s == nil && !p.over[i]:
			p.sources[i] = newSimSource(p, o)
			w.count("dealt")
		case !mine && s != nil:
			p.over[i] = s.done || s.rules.Done()
			p.sources[i] = nil
		}
	}
}

// reads reports whether a record gives a source to the process.
func (p *process) reads(source string) bool {
	a := p.view.Assignment
	return slices.ContainsFunc(a.Sources, func(s vnode.SourceOwner) bool {
		return s.Source == source && s.Owner != vnode.Unowned && a.Members[s.Owner] == p.self
	})
}

// drain makes a process leave; if no other stays, it does not.
func (w *world) drain(p *process) {
	stays := func(q *process) bool { return q.up && !q.client() && !q.leaving && q.self.Instance != p.self.Instance }
	if p.client() || p.leaving || p.follow == nil || !slices.ContainsFunc(w.processes, stays) {
		return
	}
	w.sayf("DRAIN %s", w.who(p.self))
	w.count("drain")
	p.leaving = true
	p.obey(p.follow.Say(func(c *actors.Claimed) { c.Leaving = true }))
}

// reunite brings back, for the quiet end, those without whom it could not be reached.
func (w *world) reunite() {
	if w.elastic == nil {
		return
	}
	if w.choosy || w.chance(.5) {
		clear(w.absent)
	}
	stays := func(q *process) bool { return q.up && !q.client() && !q.leaving }
	for _, p := range slices.Clone(w.processes) {
		if p.up && p.leaving && (w.choosy || !slices.ContainsFunc(w.processes, stays)) {
			w.crash(p)
		}
	}
	if !slices.ContainsFunc(w.members, func(id string) bool { return !w.absent[id] }) {
		clear(w.absent)
	}
}

// balanced reports whether nothing is left to be moved: vnodes are shared out evenly, by zone if that was asked for.
func (w *world) balanced() bool {
	if w.elastic == nil {
		return true
	}
	a := w.store.newest().Assignment
	held, zones := make([]int, len(a.Members)), map[string]int{}
	zoneOf := func(m vnode.Member) string { return string(rune('a' + slices.Index(w.members, m.Instance)%2)) }
	for _, m := range a.Members {
		zones[zoneOf(m)] += 0
	}
	for _, owner := range a.Owners {
		held[owner]++
		zones[zoneOf(a.Members[owner])]++
	}
	if w.elastic.ByZone {
		held = held[:0]
		for _, n := range zones {
			held = append(held, n)
		}
	}
	return slices.Max(held)-slices.Min(held) <= 1
}
