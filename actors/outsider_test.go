package actors_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestWhoComesLeavesACoordinatorThatIsThere: an idle one appends nothing while who comes loads what is to move there.
func TestWhoComesLeavesACoordinatorThatIsThere(t *testing.T) {
	leader := vnode.Member{Instance: "a", Incarnation: uuid.New(), Address: "a:1"}
	self := vnode.Member{Instance: "b", Incarnation: uuid.New(), Address: "b:1"}
	rec := &backend.Record{Seq: 9, Term: 2, Coordinator: leader, Assignment: vnode.Assignment{
		Version: 3, Members: []vnode.Member{leader}, Owners: []int{0, 0},
	}}
	tries := func(cut ...vnode.Member) (time.Duration, bool) {
		role := actors.Role{Elects: &actors.Election{Turn: time.Second, Still: 4 * time.Second, Outside: 3 * time.Second, Longest: time.Hour}}
		f, _ := actors.NewFollowerRules(self, role, actors.Claimed{}, rec, 0)
		effects := f.Cannot(cut)
		for now := time.Duration(0); now < time.Minute; now += 100 * time.Millisecond {
			effects = append(effects, f.Tick(now)...)
			for len(effects) > 0 {
				e := effects[0]
				effects = effects[1:]
				switch {
				case e.Lead != nil:
					return now, true
				case e.Search:
					effects = append(effects, f.Searched(rec)...)
				}
			}
		}
		return 0, false
	}
	if at, leads := tries(); leads {
		t.Errorf("it takes over after %v from a coordinator that it reaches", at)
	}
	if _, leads := tries(leader); !leads {
		t.Error("it does not take over from a coordinator that is gone")
	}
}

// TestWhoReachesTheStoreAloneLetsAnIdleClusterBe: it cannot know that the others live, and deposes them; they take the term
// back. That comes to be seldom, and is named as long as it lasts.
func TestWhoReachesTheStoreAloneLetsAnIdleClusterBe(t *testing.T) {
	leader := vnode.Member{Instance: "a", Incarnation: uuid.New(), Address: "a:1"}
	self := vnode.Member{Instance: "b", Incarnation: uuid.New(), Address: "b:1"}
	led := func(seq uint64, by vnode.Member) *backend.Record {
		return &backend.Record{Seq: seq, Term: seq, Coordinator: by, Assignment: vnode.Assignment{Version: seq, Members: []vnode.Member{by}, Owners: []int{0, 0}}}
	}
	rec := led(9, leader)
	role := actors.Role{Elects: &actors.Election{Turn: 150 * time.Millisecond, Still: 20 * time.Second, Outside: 3 * time.Second, Longest: time.Hour, Jitter: .5}}
	f, effects := actors.NewFollowerRules(self, role, actors.Claimed{}, rec, 0)
	effects = append(effects, f.Cannot([]vnode.Member{leader})...)
	if err := f.Outside(); err == nil || !strings.Contains(err.Error(), leader.Address) {
		t.Errorf("it does not reach %s, and says %v", leader.Address, err)
	}
	const day = 24 * time.Hour
	taken, first, back := 0, time.Duration(0), time.Duration(-1) // back: when the others take the term back
	for now := time.Duration(0); now < day; now += 250 * time.Millisecond {
		if effects = append(effects, f.Tick(now)...); back >= 0 && now >= back {
			rec, back = led(rec.Seq+1, leader), -1
			effects = append(effects, f.Resigned(actors.ErrSuperseded, rec)...)
		}
		for len(effects) > 0 {
			e := effects[0]
			effects = effects[1:]
			switch {
			case e.Lead != nil:
				if taken++; taken == 1 {
					first = now
				}
				rec, back = led(rec.Seq+1, self), now+20*time.Second
				effects = append(effects, f.Learn(rec)...)
			case e.Search:
				effects = append(effects, f.Searched(rec)...)
			}
		}
	}
	if first > 10*time.Second {
		t.Errorf("the first time it waits for %v: the others may be dead", first)
	}
	if taken > 30 {
		t.Errorf("it deposes an idle cluster %d times a day", taken)
	}
}

// TestLastMemberLeadsThoughItLeaves: what the coordinator sealed when it left is emitted by nobody else. Of several that
// leave one leads after a while: if all do, nobody else seals what they have.
func TestLastMemberLeadsThoughItLeaves(t *testing.T) {
	self := vnode.Member{Instance: "b", Incarnation: uuid.New(), Address: "b:1"}
	other := vnode.Member{Instance: "c", Incarnation: uuid.New(), Address: "c:1"}
	for _, members := range [][]vnode.Member{{self}, {self, other}} {
		rec := &backend.Record{Seq: 9, Term: 2, Coordinator: vnode.Member{Instance: "a", Incarnation: uuid.New()}, Assignment: vnode.Assignment{
			Version: 3, Members: members, Owners: []int{0, 0},
		}}
		role := actors.Role{Elects: &actors.Election{Turn: time.Second, Still: 4 * time.Second, Outside: 3 * time.Second}}
		f, _ := actors.NewFollowerRules(self, role, actors.Claimed{Leaving: true}, rec, 0)
		f.Tick(time.Second)
		leads := slices.ContainsFunc(f.Searched(rec), func(e actors.FollowerEffect) bool { return e.Lead != nil })
		if alone := len(members) == 1; leads != alone {
			t.Errorf("it leaves, of %d members: got %t, that it begins a term, want %t", len(members), leads, alone)
		} else if alone {
			continue
		}
		f.Tick(10 * time.Second)
		if !slices.ContainsFunc(f.Searched(rec), func(e actors.FollowerEffect) bool { return e.Lead != nil }) {
			t.Errorf("it leaves, of %d members, and nobody begins a term: want that it does after a while", len(members))
		}
	}
}
