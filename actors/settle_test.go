package actors_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// memberAt is a new incarnation, with an address.
func memberAt(id string) vnode.Member {
	return vnode.Member{Instance: id, Incarnation: uuid.New(), Address: id + ":1"}
}

// winAll has a coordinator win every record that it is to create, and returns the newest.
func winAll(c *actors.CoordinatorRules, newest *backend.Record, effects []actors.Effect) *backend.Record {
	for ; len(effects) > 0; effects = effects[1:] {
		if effects[0].Append != nil {
			newest = effects[0].Append
			effects = append(effects, c.Outcome(backend.Won, nil)...)
		}
	}
	return newest
}

// TestWhatIsPlannedSettlesAndACrashDoesNot: a move waits for as long as members come or go, and begins when that is over.
// What a crash leaves without an owner has one at once, and nothing else moves with it.
func TestWhatIsPlannedSettlesAndACrashDoesNot(t *testing.T) {
	const settle, step = time.Second, 50 * time.Millisecond
	self, crashes, stays := memberAt("a"), memberAt("b"), memberAt("c")
	rec := &backend.Record{Identity: backend.Identity{Capacity: 6}, Tips: make([]vnode.SliceID, 6), Assignment: vnode.Assignment{
		Version: 3, Members: []vnode.Member{self, crashes, stays}, Owners: []int{0, 0, 1, 1, 2, 2},
	}}
	limits := actors.CoordinatorLimits{Interval: time.Hour, Timeout: time.Hour, Retain: 100, Step: 10, Producers: 9, Sources: 1}
	cluster := actors.Cluster{Claim: actors.Claimed{From: self}, Elastic: &actors.Elastic{Settle: settle}}
	c, effects := actors.NewCoordinatorRules(self, cluster, limits, rec, nil, 0)
	carry := func(effects []actors.Effect) { rec = winAll(c, rec, effects) }
	now := time.Duration(0)
	pass := func(d time.Duration) { // nothing moves meanwhile
		t.Helper()
		for end := now + d; now < end; {
			now += step
			carry(c.Tick(now))
			if _, moving := c.Plan(); moving {
				t.Fatalf("at %v it moves: %v", now, rec.Assignment)
			}
		}
	}
	come := func(id string) {
		t.Helper()
		carry(c.Claim(actors.Claimed{From: memberAt(id)}))
		if plan, moving := c.Plan(); plan == nil || moving || rec.Assignment.Index(id) >= 0 {
			t.Fatalf("%s comes: the plan is %+v, moving %t, of %v; want one that waits", id, plan, moving, rec.Assignment)
		}
	}
	carry(effects)
	carry(c.Claim(actors.Claimed{From: crashes, Supersedes: crashes.Incarnation}))
	carry(c.Claim(actors.Claimed{From: stays, Supersedes: stays.Incarnation}))
	come("d")
	pass(settle - step)
	come("e")
	pass(settle - step)

	old := rec.Assignment
	carry(c.Claim(actors.Claimed{From: self, Supersedes: self.Incarnation, Cut: []vnode.Member{crashes}}))
	if a := rec.Assignment; !slices.Equal(a.Members, []vnode.Member{self, stays}) || !slices.Equal(a.Owners, []int{0, 0, 0, 1, 1, 1}) {
		t.Fatalf("a crash: %v became %v, want all that was of the lost shared out between the others", old, a)
	}
	pass(settle - step)
	now += step
	carry(c.Tick(now))
	if plan, moving := c.Plan(); !moving || len(plan.Moves) != 2 {
		t.Errorf("at %v it has settled: the plan is %+v, moving %t", now, plan, moving)
	}
}

// TestWhoMissesAnotherStays: a member that has crashed is often missed by another first, whose own vnodes stay where they are.
func TestWhoMissesAnotherStays(t *testing.T) {
	self, b, d := memberAt("a"), memberAt("b"), memberAt("d")
	for name, c := range map[string]struct{ says, gone vnode.Member }{
		"the last misses the first": {d, b},
		"the first misses the last": {b, d},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &backend.Record{Identity: backend.Identity{Capacity: 6}, Tips: make([]vnode.SliceID, 6), Assignment: vnode.Assignment{
				Version: 3, Members: []vnode.Member{self, b, d}, Owners: []int{0, 0, 1, 1, 2, 2},
			}}
			limits := actors.CoordinatorLimits{Interval: time.Hour, Timeout: time.Hour, Retain: 100, Step: 10, Producers: 9, Sources: 1}
			rules, effects := actors.NewCoordinatorRules(self, actors.Cluster{Claim: actors.Claimed{From: self}, Elastic: &actors.Elastic{}}, limits, rec, nil, 0)
			rec = winAll(rules, rec, effects)
			rec = winAll(rules, rec, rules.Claim(actors.Claimed{From: c.says, Supersedes: c.says.Incarnation, Cut: []vnode.Member{c.gone}}))
			if !slices.Equal(rec.Assignment.Members, []vnode.Member{self, c.says}) {
				t.Errorf("%s cannot reach %s: members are %v", c.says.Instance, c.gone.Instance, rec.Assignment.Members)
			}
		})
	}
}
