package vnode_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/vnode"
)

// offered is who offers each source, by name.
type offered map[string][]int

func (o offered) to(source string, member int) bool { return slices.Contains(o[source], member) }

// drawSources is some sources, their owners, and who offers them.
func drawSources(t *rapid.T, members, most int) ([]vnode.SourceOwner, offered) {
	var sources []vnode.SourceOwner
	offers := offered{}
	for i := range rapid.IntRange(0, most).Draw(t, "sources") {
		s := vnode.SourceOwner{Source: fmt.Sprintf("source-%02d", i), Owner: rapid.IntRange(vnode.Unowned, members-1).Draw(t, "owner")}
		sources = append(sources, s)
		for m := range members {
			if rapid.Bool().Draw(t, "offers") {
				offers[s.Source] = append(offers[s.Source], m)
			}
		}
	}
	return sources, offers
}

// costOf is what is to be as small as possible: first the square of each member's number of sources, then how many have
// changed hands.
func costOf(sources, now []vnode.SourceOwner, members int) [2]int {
	load, cost := make([]int, members), [2]int{}
	for i, s := range now {
		if s.Owner != sources[i].Owner {
			cost[1]++
		}
		if s.Owner != vnode.Unowned {
			cost[0] += 2*load[s.Owner] + 1
			load[s.Owner]++
		}
	}
	return cost
}

// leastCost tries every deal.
func leastCost(sources []vnode.SourceOwner, members int, offers offered) [2]int {
	now := slices.Clone(sources)
	best := [2]int{1 << 30}
	var try func(i int)
	try = func(i int) {
		if i == len(now) {
			if c := costOf(sources, now, members); slices.Compare(c[:], best[:]) < 0 {
				best = c
			}
			return
		}
		readers := offers[sources[i].Source]
		if len(readers) == 0 {
			readers = []int{sources[i].Owner}
		}
		for _, m := range readers {
			now[i].Owner = m
			try(i + 1)
		}
	}
	try(0)
	return best
}

func TestSourcesAreDealtEvenlyAndFewChangeHands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(1, 4).Draw(t, "members")
		sources, offers := drawSources(t, members, 7)
		before := slices.Clone(sources)
		got := vnode.DealSources(sources, members, offers.to)
		if !slices.Equal(sources, before) {
			t.Fatalf("the sources changed from %v to %v", before, sources)
		}
		for i, s := range got {
			switch readers := offers[s.Source]; {
			case s.Source != sources[i].Source:
				t.Fatalf("source %d is %q, want %q", i, s.Source, sources[i].Source)
			case len(readers) == 0 && s.Owner != sources[i].Owner:
				t.Fatalf("%q, which nobody offers, went from %d to %d", s.Source, sources[i].Owner, s.Owner)
			case len(readers) > 0 && !slices.Contains(readers, s.Owner):
				t.Fatalf("%d reads %q, which %v offer", s.Owner, s.Source, readers)
			}
		}
		if c, want := costOf(sources, got, members), leastCost(sources, members, offers); c != want {
			t.Fatalf("squares and changes are %v, want %v: from %v to %v, offers %v", c, want, sources, got, offers)
		}
		if again := vnode.DealSources(got, members, offers.to); !slices.Equal(again, got) {
			t.Fatalf("dealt again %v became %v", got, again)
		}
	})
}

func TestSourcesThatAllOfferDifferByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(1, 12).Draw(t, "members")
		sources, _ := drawSources(t, members, 60)
		got := vnode.DealSources(sources, members, func(string, int) bool { return true })
		load := make([]int, members)
		for _, s := range got {
			load[s.Owner]++
		}
		if slices.Max(load) > slices.Min(load)+1 {
			t.Fatalf("the members read %v of %d sources", load, len(sources))
		}
	})
}

func TestSourceWhoseOwnerStopsOfferingGoesToAnother(t *testing.T) {
	sources := []vnode.SourceOwner{{Source: "a", Owner: 0}, {Source: "b", Owner: 0}, {Source: "c", Owner: 1}, {Source: "d", Owner: vnode.Unowned}}
	offers := offered{"a": {1, 2}, "b": {0}, "c": {1, 2}}
	want := []vnode.SourceOwner{{Source: "a", Owner: 2}, {Source: "b", Owner: 0}, {Source: "c", Owner: 1}, {Source: "d", Owner: vnode.Unowned}}
	if got := vnode.DealSources(sources, 3, offers.to); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFourthReaderTakesAQuarter(t *testing.T) {
	sources := make([]vnode.SourceOwner, 48)
	for i := range sources {
		sources[i] = vnode.SourceOwner{Source: fmt.Sprintf("source-%02d", i), Owner: i % 3}
	}
	got := vnode.DealSources(sources, 4, func(string, int) bool { return true })
	took := 0
	for i, s := range got {
		switch s.Owner {
		case 3:
			took++
		case sources[i].Owner:
		default:
			t.Errorf("%q went from %d to %d", s.Source, sources[i].Owner, s.Owner)
		}
	}
	if took != 12 {
		t.Errorf("the fourth member took %d of 48 sources, want 12", took)
	}
}
