package vnode_test

import (
	"fmt"
	"math/rand"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/vnode"
)

func candidates(weights ...uint32) []vnode.Candidate {
	all := make([]vnode.Candidate, len(weights))
	for i, w := range weights {
		all[i] = vnode.Candidate{Member: vnode.Member{Instance: fmt.Sprintf("node-%02d", i)}, Weight: w}
	}
	return all
}

func unowned(capacity int) vnode.Assignment {
	a := vnode.Assignment{Owners: make([]int, capacity)}
	for v := range a.Owners {
		a.Owners[v] = vnode.Unowned
	}
	return a
}

// counts returns how many vnodes each instance owns.
func counts(a vnode.Assignment) map[string]int {
	n := map[string]int{}
	for v := range a.Owners {
		if m, owned := a.Owner(vnode.ID(v)); owned {
			n[m.Instance]++
		}
	}
	return n
}

// moved counts vnodes that had an owner and have another now.
func moved(old, now vnode.Assignment) int {
	n := 0
	for v := range old.Owners {
		was, owned := old.Owner(vnode.ID(v))
		if is, _ := now.Owner(vnode.ID(v)); owned && is.Instance != was.Instance {
			n++
		}
	}
	return n
}

// drawAssignment is any assignment, however unbalanced.
func drawAssignment(t *rapid.T) vnode.Assignment {
	a := unowned(rapid.IntRange(1, 300).Draw(t, "capacity"))
	for _, c := range candidates(make([]uint32, rapid.IntRange(0, 6).Draw(t, "old members"))...) {
		a.Members = append(a.Members, c.Member)
	}
	for v := range a.Owners {
		a.Owners[v] = rapid.IntRange(vnode.Unowned, len(a.Members)-1).Draw(t, "owner")
	}
	return a
}

func TestRebalanceIsBalancedAndMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawAssignment(t)
		members := candidates(make([]uint32, 10)...)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(members), func(i, j int) {
			members[i], members[j] = members[j], members[i]
		})
		members = members[:rapid.IntRange(1, 10).Draw(t, "members")]
		got := vnode.Rebalance(old, members, rapid.Bool().Draw(t, "by one zone"))

		low, more := len(old.Owners)/len(members), len(old.Owners)%len(members)
		now, was := counts(got), counts(old)
		least := 0 // must move: those of who left, and what is above a share; `more` members may keep one above low
		left := more
		for _, m := range old.Members {
			keep := 0
			if stays(members, m.Instance) {
				keep = low
				if was[m.Instance] > low && left > 0 {
					keep, left = low+1, left-1
				}
			}
			least += max(0, was[m.Instance]-keep)
		}
		for _, m := range members {
			if n := now[m.Instance]; n != low && n != low+1 {
				t.Fatalf("%s owns %d of %d vnodes among %d members, want %d or one more", m.Instance, n, len(old.Owners), len(members), low)
			}
		}
		if n := moved(old, got); n != least {
			t.Fatalf("%d vnodes moved, want the least possible, %d: from %v to %v", n, least, old, got)
		}
		checkStable(t, got, members, false)
	})
}

func stays(members []vnode.Candidate, instance string) bool {
	for _, m := range members {
		if m.Instance == instance {
			return true
		}
	}
	return false
}

// checkStable: again, and with the candidates in another order, nothing but the version changes.
func checkStable(t *rapid.T, a vnode.Assignment, members []vnode.Candidate, byZone bool) {
	reversed := append([]vnode.Candidate(nil), members...)
	for i, m := range members {
		reversed[len(members)-1-i] = m
	}
	again := vnode.Rebalance(a, reversed, byZone)
	if again.Version != a.Version+1 {
		t.Fatalf("version %d after %d, want the next", again.Version, a.Version)
	}
	again.Version = a.Version
	if !reflect.DeepEqual(again, a) {
		t.Fatalf("rebalanced again %v became %v", a, again)
	}
}

func TestRebalanceGivesSharesByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawAssignment(t)
		weights := rapid.SliceOfN(rapid.Uint32Range(0, 5), 1, 8).Draw(t, "weights")
		members := candidates(weights...)
		got := vnode.Rebalance(old, members, false)
		total := 0
		for _, w := range weights {
			total += int(max(w, 1))
		}
		now := counts(got)
		for i, m := range members {
			exact := len(old.Owners) * int(max(weights[i], 1))
			if n := now[m.Instance]; n*total <= exact-total || n*total >= exact+total {
				t.Fatalf("%s of weight %d owns %d, want %d/%d rounded", m.Instance, weights[i], n, exact, total)
			}
		}
		checkStable(t, got, members, false)
	})
}

// zoned draws candidates of a few zones, in any order.
func zoned(t *rapid.T, weight *rapid.Generator[uint32]) []vnode.Candidate {
	members := candidates(make([]uint32, 10)...)
	for i := range members {
		members[i].Weight = weight.Draw(t, "weight")
		members[i].Zone = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "zone")
	}
	members = rapid.Permutation(members).Draw(t, "order")
	return members[:rapid.IntRange(1, 10).Draw(t, "members")]
}

// byZone puts candidates of a zone together.
func byZone(members []vnode.Candidate) map[string][]vnode.Candidate {
	zones := map[string][]vnode.Candidate{}
	for _, m := range members {
		zones[m.Zone] = append(zones[m.Zone], m)
	}
	return zones
}

// mostKept is how many of these vnodes n equal members can keep, if they are to own that many together.
func mostKept(owned []int, share int) int {
	low, more := share/len(owned), share%len(owned)
	kept := 0
	for _, n := range owned {
		kept += min(n, low)
		if n > low && more > 0 {
			kept, more = kept+1, more-1
		}
	}
	return kept
}

func TestZonesHaveEqualSharesAndFewVnodesMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawAssignment(t)
		members := zoned(t, rapid.Just(uint32(0)))
		got := vnode.Rebalance(old, members, true)
		zones, now, was := byZone(members), counts(got), counts(old)
		low, more := len(old.Owners)/len(zones), len(old.Owners)%len(zones)
		kept := []int{0} // the most that can be, by how many zones have one more
		for _, zone := range zones {
			total, owned, least, most := 0, []int{}, len(old.Owners), 0
			for _, m := range zone {
				n := now[m.Instance]
				total, least, most, owned = total+n, min(least, n), max(most, n), append(owned, was[m.Instance])
			}
			if total != low && total != low+1 || most > least+1 {
				t.Fatalf("zone %q owns %d of %d, its members %d to %d, want %d or one more, evenly", zone[0].Zone, total, len(old.Owners), least, most, low)
			}
			next := make([]int, len(kept)+1)
			for i, k := range kept {
				next[i], next[i+1] = max(next[i], k+mostKept(owned, low)), max(next[i+1], k+mostKept(owned, low+1))
			}
			kept = next
		}
		owned := 0
		for _, n := range was {
			owned += n
		}
		if n := moved(old, got); n != owned-kept[more] {
			t.Fatalf("%d vnodes moved, want the least possible, %d: from %v to %v", n, owned-kept[more], old, got)
		}
		checkStable(t, got, members, true)
	})
}

func TestZonesAreSharedOutByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawAssignment(t)
		members := zoned(t, rapid.Uint32Range(0, 5))
		got := vnode.Rebalance(old, members, true)
		zones, now := byZone(members), counts(got)
		for name, zone := range zones {
			share, total := 0, 0
			for _, m := range zone {
				share, total = share+now[m.Instance], total+int(max(m.Weight, 1))
			}
			if low := len(old.Owners) / len(zones); share != low && share != low+1 {
				t.Fatalf("zone %q owns %d of %d, want %d or one more", name, share, len(old.Owners), low)
			}
			for _, m := range zone {
				exact := share * int(max(m.Weight, 1))
				if n := now[m.Instance]; n*total <= exact-total || n*total >= exact+total {
					t.Fatalf("%s of weight %d owns %d, want %d/%d rounded", m.Instance, m.Weight, n, exact, total)
				}
			}
		}
		checkStable(t, got, members, true)
	})
}

func TestThirdZoneTakesAThird(t *testing.T) {
	members := candidates(0, 0, 0, 0, 0)
	for i := range members {
		members[i].Zone = []string{"a", "a", "b", "b", "c"}[i]
	}
	two := vnode.Rebalance(unowned(240), members[:4], true)
	three := vnode.Rebalance(two, members, true)
	if n := moved(two, three); n != 80 {
		t.Errorf("%d vnodes moved, want 80", n)
	}
	if n := counts(three); n["node-00"] != 40 || n["node-03"] != 40 || n["node-04"] != 80 {
		t.Errorf("the members own %v, want 40 each and 80 in the new zone", n)
	}
}

func TestAnotherIncarnationOwnsTheSame(t *testing.T) {
	members := candidates(0, 0, 0)
	old := vnode.Rebalance(unowned(64), members, false)
	members[1].Incarnation[0] = 7
	got := vnode.Rebalance(old, members, false)
	if !reflect.DeepEqual(got.Owners, old.Owners) || got.Members[1] != members[1].Member {
		t.Errorf("got owners %v among %v, want %v with the new incarnation", got.Owners, got.Members, old.Owners)
	}
}

func TestFourthMemberTakesAQuarter(t *testing.T) {
	three := vnode.Rebalance(unowned(256), candidates(0, 0, 0), false)
	four := vnode.Rebalance(three, candidates(0, 0, 0, 0), false)
	if n := moved(three, four); n != 64 {
		t.Errorf("%d vnodes moved, want 64", n)
	}
	if n := counts(four)["node-03"]; n != 64 {
		t.Errorf("the fourth member owns %d, want 64", n)
	}
}

func TestLeavingMovesOnlyTheLeaversVnodes(t *testing.T) {
	four := vnode.Rebalance(unowned(256), candidates(0, 0, 0, 0), false)
	three := vnode.Rebalance(four, candidates(0, 0, 0, 0)[1:], false)
	for v := range four.Owners {
		was, _ := four.Owner(vnode.ID(v))
		if is, _ := three.Owner(vnode.ID(v)); was.Instance != "node-00" && is.Instance != was.Instance {
			t.Errorf("vnode %d moved from %s, which stays, to %s", v, was.Instance, is.Instance)
		}
	}
}

func TestSourcesFollowTheirMembers(t *testing.T) {
	old := vnode.Rebalance(unowned(4), candidates(0, 0, 0), false)
	old.Sources = []vnode.SourceOwner{{Source: "a", Owner: 0}, {Source: "b", Owner: 2}, {Source: "c", Owner: vnode.Unowned}}
	got := vnode.Rebalance(old, candidates(0, 0, 0)[1:], false).Sources
	want := []vnode.SourceOwner{{Source: "a", Owner: vnode.Unowned}, {Source: "b", Owner: 1}, {Source: "c", Owner: vnode.Unowned}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sources = %v, want %v", got, want)
	}
	if old.Sources[1].Owner != 2 {
		t.Errorf("the old assignment changed: %v", old.Sources)
	}
}

func TestWithoutCandidatesNothingIsOwned(t *testing.T) {
	for _, byZone := range []bool{false, true} {
		got := vnode.Rebalance(vnode.Rebalance(unowned(8), candidates(0), false), nil, byZone)
		if n := counts(got); len(n) != 0 || len(got.Members) != 0 {
			t.Errorf("by zone %t: %v own vnodes, want nobody", byZone, n)
		}
	}
}

func TestLargestZoneIsWhatOneLossTakes(t *testing.T) {
	zones := map[string]string{"node-00": "b", "node-01": "a", "node-02": "b", "node-03": ""}
	zone := func(m vnode.Member) string { return zones[m.Instance] }
	members := vnode.Rebalance(unowned(8), candidates(0, 0, 0, 0), false).Members
	const none = vnode.Unowned
	for _, c := range []struct {
		owners []int
		zone   string
		share  float64
	}{
		{[]int{0, 1, 2, 3}, "b", 0.5},
		{[]int{1, 1, 3, 3}, "", 0.5},
		{[]int{0, 1, none, none}, "a", 0.25},
		{[]int{0, 2, 2, 0}, "b", 1},
		{[]int{none}, "", 0},
		{nil, "", 0},
	} {
		name, share := vnode.LargestZone(vnode.Assignment{Members: members, Owners: c.owners}, zone)
		if name != c.zone || share != c.share {
			t.Errorf("owners %v: got %q with %v, want %q with %v", c.owners, name, share, c.zone, c.share)
		}
	}
}
