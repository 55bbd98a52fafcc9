package vnode

import (
	"cmp"
	"slices"
)

// DealSources gives every source a reader among the members that offer it, which are 0 to members-1. The numbers of
// sources that they read are as equal as the offers allow: where everybody offers everything, they differ by at most
// one. As few sources as possible change hands. One that nobody offers keeps the owner that it has, and counts. The
// result is another slice, in the order of sources.
//
// It puts one source after another, each along the shortest path of moves that ends at the member with the fewest: the
// successive shortest paths of a flow whose cost is first the square of each member's number, then the moves. A thousand
// sources among a hundred members take a fifth of a second.
func DealSources(sources []SourceOwner, members int, offers func(source string, member int) bool) []SourceOwner {
	d := &deal{
		sources: sources, readers: make([][]int, len(sources)), owner: make([]int, len(sources)), load: make([]int, members),
		cost: make([]int, members), last: make([]int, members),
	}
	for i, s := range sources {
		d.owner[i] = Unowned
		for m := range members {
			if offers(s.Source, m) {
				d.readers[i] = append(d.readers[i], m)
			}
		}
		if len(d.readers[i]) == 0 && s.Owner != Unowned {
			d.owner[i] = s.Owner
			d.load[s.Owner]++
		}
	}
	for i := range sources {
		if len(d.readers[i]) > 0 {
			d.put(i)
		}
	}
	out := slices.Clone(sources)
	for i := range out {
		out[i].Owner = d.owner[i]
	}
	return out
}

// deal is a deal of some of the sources that no other is better than.
type deal struct {
	sources []SourceOwner
	readers [][]int // by source: who offers it
	owner   []int   // by source; Unowned if it is not dealt yet
	load    []int   // by member: sources that it owns

	// The shortest paths to each member: how many sources more than before change hands, and the last one that moves.
	cost, last []int
}

// moved is 1 if source i changes hands when m reads it, else 0.
func (d *deal) moved(i, m int) int {
	if d.sources[i].Owner == m {
		return 0
	}
	return 1
}

// put deals one source more.
func (d *deal) put(i int) {
	d.search(i)
	target := Unowned
	for m := range d.load {
		if d.last[m] >= 0 && (target == Unowned || cmp.Or(cmp.Compare(d.load[m], d.load[target]), cmp.Compare(d.cost[m], d.cost[target])) < 0) {
			target = m
		}
	}
	d.load[target]++
	for m := target; m != Unowned; {
		moves := d.last[m]
		m, d.owner[moves] = d.owner[moves], m
	}
}

// search finds the shortest paths from a source that is not dealt yet: a member takes it, gives another of its own away,
// and so on. No path is shorter for a round trip, since the deal so far is the best.
func (d *deal) search(i int) {
	for m := range d.last {
		d.last[m] = -1
	}
	for _, m := range d.readers[i] {
		d.cost[m], d.last[m] = d.moved(i, m), i
	}
	for again := true; again; {
		again = false
		for j, owner := range d.owner {
			if owner == Unowned || d.last[owner] < 0 {
				continue
			}
			kept := d.cost[owner] - d.moved(j, owner)
			for _, m := range d.readers[j] {
				if cost := kept + d.moved(j, m); d.last[m] < 0 || cost < d.cost[m] {
					d.cost[m], d.last[m], again = cost, j, true
				}
			}
		}
	}
}
