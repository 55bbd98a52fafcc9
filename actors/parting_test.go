package actors_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestWhoIsNotHeardStaysOutForLonger: where one direction between two members is broken, one of them is left out, and has
// nothing to complain of when it asks to come again. Each time it waits for longer.
func TestWhoIsNotHeardStaysOutForLonger(t *testing.T) {
	self, deaf, mute := memberAt("a"), memberAt("b"), memberAt("c")
	all := vnode.Assignment{Version: 3, Members: []vnode.Member{self, deaf, mute}, Owners: []int{0, 1, 2}}
	rec := &backend.Record{Identity: backend.Identity{Capacity: 3}, Assignment: all, Tips: make([]vnode.SliceID, 3)}
	limits := actors.CoordinatorLimits{Interval: time.Hour, Timeout: time.Hour, Retain: 100, Step: 10, Producers: 9, Sources: 1}
	cluster := actors.Cluster{Claim: actors.Claimed{From: self}, Elastic: &actors.Elastic{Settle: time.Hour}}
	c, effects := actors.NewCoordinatorRules(self, cluster, limits, rec, nil, 0)
	var winner *backend.Record // that takes the place of the next record
	carry := func(effects []actors.Effect) {
		for len(effects) > 0 {
			e := effects[0]
			effects = effects[1:]
			switch {
			case e.Append != nil && winner != nil:
				rec, winner = winner, nil
				effects = append(effects, c.Outcome(backend.Lost, rec)...)
			case e.Append != nil:
				rec = e.Append
				effects = append(effects, c.Outcome(backend.Won, nil)...)
			case e.Stop != nil:
				t.Fatal(e.Stop)
			}
		}
	}
	carry(effects)
	now := time.Duration(0)
	var waits []time.Duration
	for range 3 {
		carry(c.Claim(actors.Claimed{From: mute, Supersedes: mute.Incarnation}))
		carry(c.Claim(actors.Claimed{From: deaf, Supersedes: deaf.Incarnation, Cut: []vnode.Member{mute}}))
		if slices.Contains(rec.Assignment.Members, mute) {
			t.Fatalf("it is still a member: %v", rec.Assignment.Members)
		}
		carry(c.Claim(actors.Claimed{From: deaf, Supersedes: deaf.Incarnation}))
		began := now
		for {
			carry(c.Claim(actors.Claimed{From: mute}))
			if plan, _ := c.Plan(); plan != nil {
				break
			}
			now += 100 * time.Millisecond
			carry(c.Tick(now))
			if now > began+time.Minute {
				t.Fatal("it never comes again")
			}
		}
		waits = append(waits, now-began)
		back := *rec // as another process of this coordinator's would have it
		back.Seq, back.Assignment = rec.Seq+1, all.Clone()
		back.Assignment.Version = rec.Assignment.Version + 1
		winner = &back
		carry(c.Ask(actors.Request{Producer: "p", Version: rec.Generation}))
	}
	if waits[0] != 0 || waits[1] < 900*time.Millisecond || waits[2] < 2*waits[1]-200*time.Millisecond {
		t.Errorf("it waited %v", waits)
	}
}
