package vnode

import (
	"cmp"
	"slices"
)

// Candidate is a member that can own vnodes.
type Candidate struct {
	Member
	Weight uint32 // its share relative to the others'; 0 counts as 1
}

// Rebalance returns the next version of an assignment, with the candidates as its members. Each owns its exact
// share of the vnodes by weight, rounded by largest remainder: without weights, counts differ by at most one. As
// few vnodes as possible move. The order of the candidates does not matter. Without candidates nothing has an
// owner; a source whose owner is gone has none.
func Rebalance(old Assignment, candidates []Candidate) Assignment {
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
	balance(next.Owners, candidates)
	return next
}

// memberIndex finds a member of old among members, by its instance.
func memberIndex(old Assignment, owner int, members []Member) int {
	if owner == Unowned {
		return Unowned
	}
	return slices.IndexFunc(members, func(m Member) bool { return m.Instance == old.Members[owner].Instance })
}

// balance changes owners until each candidate owns its share: from the highest vnodes of those that own too many
// to the first of those that own too few.
func balance(owners []int, candidates []Candidate) {
	if len(candidates) == 0 {
		return
	}
	held := make([]int, len(candidates))
	for _, o := range owners {
		if o != Unowned {
			held[o]++
		}
	}
	spare := shares(len(owners), candidates, held) // what each may still take; negative: must give
	for i := range spare {
		spare[i] -= held[i]
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

// shares divides n by weight. Where remainders are equal, the one more goes to who owns it already, so that it
// does not move.
func shares(n int, candidates []Candidate, held []int) []int {
	total := uint64(0)
	for _, c := range candidates {
		total += uint64(max(c.Weight, 1))
	}
	parts := make([]int, len(candidates))
	rest, order := make([]uint64, len(candidates)), make([]int, len(candidates))
	left := n
	for i, c := range candidates {
		exact := uint64(n) * uint64(max(c.Weight, 1))
		parts[i], rest[i], order[i] = int(exact/total), exact%total, i
		left -= parts[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(rest[b], rest[a]),
			compareBool(held[b] > parts[b], held[a] > parts[a]),
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
