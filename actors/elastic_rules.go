package actors

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// Elastic is how the members of an elastic cluster share its vnodes.
type Elastic struct {
	ByZone   bool          // failure domains have equal shares
	Settle   time.Duration // that a planned move waits for more members to come or go; a crash waits for nothing
	Patience time.Duration // that a planned move waits for those to whom vnodes move to load them
}

// lease is how long a claim of an instance that is not in force stands without being repeated.
const lease = 12 * claimAgain

// elastic is what the coordinator of an elastic cluster knows of those who are, or want to be, its members.
type elastic struct {
	heard  map[string]time.Duration // by instance: when it last claimed
	review bool                     // what makes an assignment has changed since one was made
	plan   *Plan                    // nil: nothing is to move
	plans  uint64
	parted map[vnode.Member]parting // those that this reign left out
}

// parting is when a member that was left out since somebody could not reach it may be one again: the later, the more often
// that came. Where only one direction is broken it has nothing to complain of itself.
type parting struct {
	times uint
	until time.Duration
}

const (
	partFor   = time.Second // the second time
	maxParted = 3           // how often that doubles
	// partForgot is how long after its end a parting is forgotten.
	partForgot = time.Minute
)

// part notes who was a member and is left out.
func (c *CoordinatorRules) part(old, now []vnode.Member) {
	for _, m := range old {
		if slices.Contains(now, m) {
			continue
		}
		p := c.parted[m]
		if p.until = c.now; p.times > 0 {
			p.until += partFor << min(p.times-1, maxParted)
		}
		p.times++
		c.parted[m] = p
	}
}

func (c *CoordinatorRules) claimElastic(m Claimed) []Effect {
	id := m.From.Instance
	inForce, _ := c.rec.Assignment.InForce(id)
	if c.over || (inForce != m.From && inForce.Incarnation != m.Supersedes) || (id == c.self.Instance && m.From != c.self) {
		return nil
	}
	old, known := c.claims[id]
	if known && old.From != m.From && inForce == (vnode.Member{}) && c.now < c.heard[id]+lease {
		return nil // two processes ask under one id: the first does, as long as it does
	}
	c.claims[id], c.heard[id] = m, c.now
	c.review = c.review || !known || !reflect.DeepEqual(old, m)
	return c.step()
}

// expire forgets the claims of instances outside that say nothing any more.
func (c *CoordinatorRules) expire() {
	for id, at := range c.heard {
		if inForce, _ := c.rec.Assignment.InForce(id); inForce != c.claims[id].From && c.now >= at+lease {
			delete(c.claims, id)
			delete(c.heard, id)
			c.review = true
		}
	}
	for m, p := range c.parted {
		switch {
		case c.now >= p.until+partForgot:
			delete(c.parted, m)
		case c.now >= p.until && c.claims[m.Instance].From == m && c.rec.Assignment.Index(m.Instance) < 0:
			c.review = true
		}
	}
}

// readmit makes the assignment follow from who is there: what a crash has left without an owner at once, everything else
// by a plan.
func (c *CoordinatorRules) readmit() []Effect {
	if !c.review {
		return nil
	}
	c.review = false
	c.dropVoid()
	if a, changed := c.reassigned(); changed {
		n := c.next()
		a.Version = c.rec.Assignment.Version + 1
		n.Assignment = a
		c.plan = nil
		c.part(c.rec.Assignment.Members, a.Members)
		return c.create(n)
	}
	c.aim()
	return nil
}

// claimOf is what a member in force claims; false if it was not heard of in this reign.
func (c *CoordinatorRules) claimOf(m vnode.Member) (Claimed, bool) {
	claim, heard := c.claims[m.Instance]
	return claim, heard && claim.From == m
}

// gone lists the members that the others must do without: those that the coordinator cannot reach, or that cannot reach
// it, and as few others as leave none that cannot reach each other.
func (c *CoordinatorRules) gone() []vnode.Member {
	cut := map[[2]vnode.Member]bool{} // both ways; true where the first says so
	for _, m := range c.rec.Assignment.Members {
		claim, _ := c.claimOf(m)
		for _, other := range claim.Cut {
			if other != m && slices.Contains(c.rec.Assignment.Members, other) {
				cut[[2]vnode.Member{m, other}] = true
				if back := [2]vnode.Member{other, m}; !cut[back] {
					cut[back] = false
				}
			}
		}
	}
	var gone []vnode.Member
	leave := func(m vnode.Member) {
		gone = append(gone, m)
		maps.DeleteFunc(cut, func(pair [2]vnode.Member, _ bool) bool { return pair[0] == m || pair[1] == m })
	}
	if c.cluster.Claim.From == c.self && !slices.Contains(c.rec.Assignment.Members, c.self) {
		gone = append(gone, c.claims[c.self.Instance].Cut...) // it is about to be a member
	}
	for _, m := range c.rec.Assignment.Members {
		if _, apart := cut[[2]vnode.Member{c.self, m}]; apart {
			leave(m)
		}
	}
	for len(cut) > 0 {
		leave(c.mostCut(cut))
	}
	return gone
}

// mostCut is the member that is apart from the most others; among equals the one of which the most say so, who may have
// crashed, and then the last.
func (c *CoordinatorRules) mostCut(cut map[[2]vnode.Member]bool) vnode.Member {
	count, missed := map[vnode.Member]int{}, map[vnode.Member]int{}
	for pair, says := range cut {
		if count[pair[0]]++; says {
			missed[pair[1]]++
		}
	}
	return slices.MaxFunc(slices.Collect(maps.Keys(count)), func(a, b vnode.Member) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), cmp.Compare(missed[a], missed[b]), strings.Compare(a.Instance, b.Instance))
	})
}

// reassigned is the newest assignment without the members that are gone, with those that have restarted, and with an
// owner for whatever has none: nothing that has one moves.
func (c *CoordinatorRules) reassigned() (a vnode.Assignment, changed bool) {
	old, gone := c.rec.Assignment, c.gone()
	lacks := c.reigns && c.Lacks() != nil // no plan can be carried out
	for _, m := range old.Members {
		claim, heard := c.claims[m.Instance]
		switch {
		case heard && claim.From != m:
			m = claim.From // it has restarted
		case m != c.self && (slices.Contains(gone, m) || (lacks && heard && claim.Leaving)):
			continue
		}
		a.Members = append(a.Members, m)
	}
	if a.Index(c.self.Instance) < 0 {
		a.Members = append(a.Members, c.self)
	}
	if lacks {
		a.Members = append(a.Members, c.joiners()...)
	}
	slices.SortFunc(a.Members, byInstance)
	for v := range old.Owners {
		owner, _ := old.Owner(vnode.ID(v))
		a.Owners = append(a.Owners, a.Index(owner.Instance))
	}
	a.Sources = c.offered(carriedSources(old, a.Members))
	c.adopt(&a)
	changed = !sameOwners(a, old) || !slices.Equal(a.Sources, old.Sources)
	return a, changed
}

func byInstance(a, b vnode.Member) int { return strings.Compare(a.Instance, b.Instance) }

// joiners are those outside that ask to be members and can be: every member can be reached by them.
func (c *CoordinatorRules) joiners() []vnode.Member {
	var out []vnode.Member
	for _, claim := range c.claims {
		cut := slices.ContainsFunc(claim.Cut, func(m vnode.Member) bool { return slices.Contains(c.rec.Assignment.Members, m) })
		asks := c.rec.Assignment.Index(claim.From.Instance) < 0 && claim.From != c.self && claim.Supersedes == uuid.Nil
		if asks && !claim.Leaving && !cut && c.now >= c.parted[claim.From].until {
			out = append(out, claim.From)
		}
	}
	slices.SortFunc(out, byInstance)
	return out
}

// offered adds the sources that members offer and that no record knows yet. Nobody reads them so far.
func (c *CoordinatorRules) offered(sources []vnode.SourceOwner) []vnode.SourceOwner {
	sources = slices.Clone(sources)
	names := namesOfSources(c.rec)
	for _, m := range c.rec.Assignment.Members {
		claim, _ := c.claimOf(m)
		for _, name := range claim.Offers {
			at, found := slices.BinarySearchFunc(sources, name, func(s vnode.SourceOwner, name string) int { return strings.Compare(s.Source, name) })
			cut, known := c.rec.CutOf(name)
			if found || (known && cut.Ended) || c.rec.GenerationOf(name) != 0 || len(names) >= c.limits.Sources && !names[name] {
				continue
			}
			names[name] = true
			sources = slices.Insert(sources, at, vnode.SourceOwner{Source: name, Owner: vnode.Unowned})
			c.fresh[name] = true
		}
	}
	return sources
}

// adopt gives whatever has no owner to the member that has the least for its weight. Those that leave get none if there
// are others.
func (c *CoordinatorRules) adopt(a *vnode.Assignment) {
	claims, held := make([]Claimed, len(a.Members)), make([]int, len(a.Members))
	stays := false
	for i, m := range a.Members {
		claims[i] = c.claims[m.Instance]
		stays = stays || !claims[i].Leaving
	}
	least := func(held []int, may func(i int) bool) int {
		best := vnode.Unowned
		for i := range held {
			if (stays && claims[i].Leaving) || !may(i) {
				continue
			}
			if best < 0 || held[i]*int(max(claims[best].Weight, 1)) < held[best]*int(max(claims[i].Weight, 1)) {
				best = i
			}
		}
		return best
	}
	for _, owner := range a.Owners {
		if owner != vnode.Unowned {
			held[owner]++
		}
	}
	for v, owner := range a.Owners {
		if owner == vnode.Unowned {
			a.Owners[v] = least(held, func(int) bool { return true })
			held[a.Owners[v]]++
		}
	}
	reads := make([]int, len(a.Members))
	for _, s := range a.Sources {
		if s.Owner != vnode.Unowned {
			reads[s.Owner]++
		}
	}
	for i := range a.Sources {
		if s := &a.Sources[i]; s.Owner == vnode.Unowned {
			s.Owner = least(reads, func(m int) bool { return claims[m].From == a.Members[m] && slices.Contains(claims[m].Offers, s.Source) })
			if s.Owner != vnode.Unowned {
				reads[s.Owner]++
			}
		}
	}
}
