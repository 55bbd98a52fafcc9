package vnode

import (
	"cmp"
	"maps"
	"slices"
)

// Candidate is a member that can own vnodes.
type Candidate struct {
	Member
	Weight uint32 // its share relative to the others'; 0 counts as 1
	Zone   string // its failure domain; the members that name none are one of their own
}

// Rebalance returns the next version of an assignment, with the candidates as its members. Each owns its exact
// share of the vnodes by weight, rounded by largest remainder: without weights, counts differ by at most one. By zone,
// the zones have equal shares whoever is in them, and each is shared out by weight among its members. As few vnodes as
// possible move. The order of the candidates does not matter. A member is known by its instance: another incarnation
// owns what the one before owned. Without candidates nothing has an owner; a source whose owner is gone has none.
func Rebalance(old Assignment, candidates []Candidate, byZone bool) Assignment {
	candidates = slices.Clone(candidates)
	slices.SortFunc(candidates, func(a, b Candidate) int { return cmp.Compare(a.Instance, b.Instance) })
	next := old.Clone()
	next.Version++
	next.Members = nil
	for _, c := range candidates {
		next.Members = append(next.Members, c.Member)
	}
	for v, owner := range old.Owners {
		next.Owners[v] = memberIndex(old, owner, next.Members)
	}
	for i, s := range old.Sources {
		next.Sources[i].Owner = memberIndex(old, s.Owner, next.Members)
	}
	if len(candidates) > 0 {
		held := heldBy(len(candidates), next.Owners)
		balance(next.Owners, shareOut(len(next.Owners), domains(candidates, held, byZone)), held)
	}
	return next
}

// memberIndex finds a member of old among members, by its instance.
func memberIndex(old Assignment, owner int, members []Member) int {
	if owner == Unowned {
		return Unowned
	}
	return slices.IndexFunc(members, func(m Member) bool { return m.Instance == old.Members[owner].Instance })
}

// heldBy counts the vnodes of each of n members.
func heldBy(n int, owners []int) []int {
	held := make([]int, n)
	for _, o := range owners {
		if o != Unowned {
			held[o]++
		}
	}
	return held
}

// balance changes owners until each member owns its share: from the highest vnodes of those that own too many to the
// first of those that own too few.
func balance(owners, shares, held []int) {
	spare := make([]int, len(shares)) // what each may still take; negative: must give
	for i := range spare {
		spare[i] = shares[i] - held[i]
	}
	for v, o := range slices.Backward(owners) {
		if o != Unowned && spare[o] < 0 {
			owners[v] = Unowned
			spare[o]++
		}
	}
	taker := 0
	for v, o := range owners {
		if o != Unowned {
			continue
		}
		for spare[taker] == 0 {
			taker++
		}
		owners[v] = taker
		spare[taker]--
	}
}

// domain is members that share vnodes by weight.
type domain struct {
	places  []int // among all members
	weights []uint64
	held    []int
}

// domains returns the zones by name, or all members as one.
func domains(candidates []Candidate, held []int, byZone bool) []*domain {
	zones := map[string]*domain{}
	for i, c := range candidates {
		name := ""
		if byZone {
			name = c.Zone
		}
		d := zones[name]
		if d == nil {
			d = &domain{}
			zones[name] = d
		}
		d.places, d.weights, d.held = append(d.places, i), append(d.weights, uint64(max(c.Weight, 1))), append(d.held, held[i])
	}
	var list []*domain
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		list = append(list, zones[name])
	}
	return list
}

// shareOut returns each member's share of n vnodes. Every domain has as many, or one more: those have one more that so
// keep most of what their members own already.
func shareOut(n int, domains []*domain) []int {
	low, more := n/len(domains), n%len(domains)
	members := 0
	order, gain := make([]int, len(domains)), make([]int, len(domains))
	for i, d := range domains {
		members += len(d.places)
		order[i], gain[i] = i, d.kept(d.shares(low+1))-d.kept(d.shares(low))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
	all := make([]int, members)
	for rank, i := range order {
		share := low
		if rank < more {
			share++
		}
		for j, s := range domains[i].shares(share) {
			all[domains[i].places[j]] = s
		}
	}
	return all
}

// kept counts the vnodes that stay where they are under these shares.
func (d *domain) kept(shares []int) int {
	n := 0
	for i, s := range shares {
		n += min(s, d.held[i])
	}
	return n
}

// shares divides n by weight. Where remainders are equal, the one more goes to who owns it already, so that it
// does not move.
func (d *domain) shares(n int) []int {
	total := uint64(0)
	for _, w := range d.weights {
		total += w
	}
	parts := make([]int, len(d.weights))
	rest, order := make([]uint64, len(d.weights)), make([]int, len(d.weights))
	left := n
	for i, w := range d.weights {
		exact := uint64(n) * w
		parts[i], rest[i], order[i] = int(exact/total), exact%total, i
		left -= parts[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(rest[b], rest[a]),
			compareBool(d.held[b] > parts[b], d.held[a] > parts[a]),
			cmp.Compare(a, b),
		)
	})
	for _, i := range order[:left] {
		parts[i]++
	}
	return parts
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
