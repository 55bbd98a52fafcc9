package actors

import (
	"slices"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// PlanID names a plan for ever. The zero value is none.
type PlanID struct{ Term, Number uint64 }

// Plan is an assignment that is to come: one record will seal an epoch and carry it out. Until then those to whom vnodes
// move load them.
type Plan struct {
	ID    PlanID
	Moves []Move

	to    vnode.Assignment
	base  uint64        // version of the assignment that it changes
	at    time.Duration // not before: others may come or go
	until time.Duration // when it waits for nobody any more
}

// Move is what one instance gets.
type Move struct {
	To     string // its id
	Vnodes vnode.Set
}

// Moving reports whether a vnode moves.
func (p *Plan) Moving(v vnode.ID) bool {
	return slices.ContainsFunc(p.Moves, func(m Move) bool { return m.Vnodes.Has(v) })
}

// Plan is what is to be carried out; nil if nothing is. Moving says that the open attempt carries it out.
func (c *CoordinatorRules) Plan() (p *Plan, moving bool) {
	return c.plan, c.plan != nil && c.attempt != nil && c.attempt.plan == c.plan
}

// aim makes a plan if the balanced assignment of all who are there, and of those who ask to be, is another than the
// newest. It must know all members: what they weigh, and who leaves.
func (c *CoordinatorRules) aim() {
	old := c.rec.Assignment
	candidates, known := c.stayers()
	if !known {
		c.plan = nil
		return
	}
	to := vnode.Rebalance(old, candidates, c.cluster.Elastic.ByZone)
	to.Sources = c.withoutShut(old, c.dealt(old, to.Members))
	switch {
	case sameOwners(to, old) && slices.Equal(to.Sources, old.Sources):
		c.plan = nil
		return
	case c.plan != nil && c.plan.base == old.Version && sameOwners(to, c.plan.to) && slices.Equal(to.Sources, c.plan.to.Sources):
		return
	}
	c.plans++
	c.plan = &Plan{ID: PlanID{c.rec.Term, c.plans}, Moves: movesOf(old, to), to: to, base: old.Version, at: c.now + c.cluster.Elastic.Settle}
	c.plan.until = c.plan.at + c.cluster.Elastic.Patience
}

// stayers are the members that stay and those that come; false if one was not heard of. If all are to leave, this instance
// stays until it is alone.
func (c *CoordinatorRules) stayers() (all []vnode.Candidate, known bool) {
	members := append(slices.Clone(c.rec.Assignment.Members), c.joiners()...)
	stays := slices.ContainsFunc(members, func(m vnode.Member) bool { claim, _ := c.claimOf(m); return !claim.Leaving })
	for _, m := range members {
		claim, heard := c.claimOf(m)
		switch {
		case !heard:
			return nil, false
		case !claim.Leaving, !stays && m == c.self: // if all leave, the coordinator is the last
			all = append(all, vnode.Candidate{Member: m, Weight: claim.Weight, Zone: claim.Zone})
		}
	}
	return all, true
}

// dealt shares the sources out among the members that can read them.
func (c *CoordinatorRules) dealt(old vnode.Assignment, members []vnode.Member) []vnode.SourceOwner {
	sources := slices.Clone(old.Sources)
	for i := range sources {
		if s := &sources[i]; s.Owner != vnode.Unowned {
			s.Owner = slices.Index(members, old.Members[s.Owner])
		}
	}
	return vnode.DealSources(sources, len(members), func(source string, m int) bool {
		claim, heard := c.claimOf(members[m])
		return heard && slices.Contains(claim.Offers, source)
	})
}

// withoutShut drops the sources of leaving members that nobody else reads, and of which nothing more comes: no vnode holds
// anything of them behind the cut of the epoch that moves them (I5). The cut stays, for whoever opens them again.
func (c *CoordinatorRules) withoutShut(old vnode.Assignment, sources []vnode.SourceOwner) []vnode.SourceOwner {
	return slices.DeleteFunc(sources, func(s vnode.SourceOwner) bool {
		i := slices.IndexFunc(old.Sources, func(x vnode.SourceOwner) bool { return x.Source == s.Source })
		if s.Owner != vnode.Unowned || i < 0 || old.Sources[i].Owner == vnode.Unowned {
			return false
		}
		claim, _ := c.claimOf(old.Members[old.Sources[i].Owner])
		return claim.Leaving && slices.Contains(claim.Shut, s.Source)
	})
}

// movesOf lists who gets what.
func movesOf(old, to vnode.Assignment) []Move {
	gets := make([]Move, len(to.Members))
	for v := range to.Owners {
		before, _ := old.Owner(vnode.ID(v))
		if after, ok := to.Owner(vnode.ID(v)); ok && after != before {
			gets[to.Owners[v]].To = after.Instance
			gets[to.Owners[v]].Vnodes.Add(vnode.ID(v))
		}
	}
	return slices.DeleteFunc(gets, func(m Move) bool { return m.To == "" })
}

// movesNow reports whether the next epoch is to carry out the plan.
func (c *CoordinatorRules) movesNow() bool {
	p := c.plan
	if p == nil || c.now < p.at || p.base != c.rec.Assignment.Version {
		return false
	}
	return c.now >= p.until || c.prepared(p)
}

// prepared reports whether all have loaded what moves to them.
func (c *CoordinatorRules) prepared(p *Plan) bool {
	return !slices.ContainsFunc(p.Moves, func(m Move) bool { return c.claims[m.To].Prepared != p.ID })
}

// move makes the record of a seal carry out the attempt's plan, if that is still the plan.
func (c *CoordinatorRules) move(n *backend.Record) {
	p := c.attempt.plan
	if p == nil || p != c.plan || p.base != c.rec.Assignment.Version {
		return
	}
	a := p.to.Clone()
	a.Version = c.rec.Assignment.Version + 1
	a.Sources = slices.DeleteFunc(a.Sources, func(s vnode.SourceOwner) bool { return c.attempt.cuts[s.Source].Ended })
	n.Assignment = a
}

// sooner is the earlier of a time, if there is one, and when a plan or a claim is due.
func (c *CoordinatorRules) sooner(at time.Duration, ok bool) (time.Duration, bool) {
	take := func(x time.Duration) {
		if !ok || x < at {
			at, ok = x, true
		}
	}
	switch p := c.plan; {
	case p == nil || c.attempt != nil:
	case c.now < p.at:
		take(p.at)
	case c.now < p.until && !c.prepared(p):
		take(p.until)
	}
	for m, p := range c.parted {
		if c.now < p.until && c.claims[m.Instance].From == m {
			take(p.until)
		}
	}
	for id, heard := range c.heard {
		if inForce, _ := c.rec.Assignment.InForce(id); inForce != c.claims[id].From {
			take(heard + lease)
		}
	}
	return at, ok
}
