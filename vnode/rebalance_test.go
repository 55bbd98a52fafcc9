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
		got := vnode.Rebalance(old, members)

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
		checkStable(t, got, members)
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
func checkStable(t *rapid.T, a vnode.Assignment, members []vnode.Candidate) {
	reversed := append([]vnode.Candidate(nil), members...)
	for i, m := range members {
		reversed[len(members)-1-i] = m
	}
	again := vnode.Rebalance(a, reversed)
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
		got := vnode.Rebalance(old, members)
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
		checkStable(t, got, members)
	})
}

func TestFourthMemberTakesAQuarter(t *testing.T) {
	three := vnode.Rebalance(unowned(256), candidates(0, 0, 0))
	four := vnode.Rebalance(three, candidates(0, 0, 0, 0))
	if n := moved(three, four); n != 64 {
		t.Errorf("%d vnodes moved, want 64", n)
	}
	if n := counts(four)["node-03"]; n != 64 {
		t.Errorf("the fourth member owns %d, want 64", n)
	}
}

func TestLeavingMovesOnlyTheLeaversVnodes(t *testing.T) {
	four := vnode.Rebalance(unowned(256), candidates(0, 0, 0, 0))
	three := vnode.Rebalance(four, candidates(0, 0, 0, 0)[1:])
	for v := range four.Owners {
		was, _ := four.Owner(vnode.ID(v))
		if is, _ := three.Owner(vnode.ID(v)); was.Instance != "node-00" && is.Instance != was.Instance {
			t.Errorf("vnode %d moved from %s, which stays, to %s", v, was.Instance, is.Instance)
		}
	}
}

func TestSourcesFollowTheirMembers(t *testing.T) {
	old := vnode.Rebalance(unowned(4), candidates(0, 0, 0))
	old.Sources = []vnode.SourceOwner{{Source: "a", Owner: 0}, {Source: "b", Owner: 2}, {Source: "c", Owner: vnode.Unowned}}
	got := vnode.Rebalance(old, candidates(0, 0, 0)[1:]).Sources
	want := []vnode.SourceOwner{{Source: "a", Owner: vnode.Unowned}, {Source: "b", Owner: 1}, {Source: "c", Owner: vnode.Unowned}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sources = %v, want %v", got, want)
	}
	if old.Sources[1].Owner != 2 {
		t.Errorf("the old assignment changed: %v", old.Sources)
	}
}

func TestWithoutCandidatesNothingIsOwned(t *testing.T) {
	got := vnode.Rebalance(vnode.Rebalance(unowned(8), candidates(0)), nil)
	if n := counts(got); len(n) != 0 || len(got.Members) != 0 {
		t.Errorf("%v own vnodes, want nobody", n)
	}
}
