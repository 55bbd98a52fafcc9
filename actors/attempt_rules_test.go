package actors_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// An attempt has until its time-out, again from when a member says that it is at work on it, and 16 times that at most. One
// that cannot fill ends at once, whoever is at work on it.
func TestAttemptEndsWhenNobodyIsAtWork(t *testing.T) {
	const timeout = time.Second
	for name, c := range map[string]struct {
		works  time.Duration // a member says so until then
		failed bool          // after 2 s, a capture
		want   time.Duration // when it is given up
	}{
		"nobody":            {0, false, timeout},
		"for a while":       {5 * time.Second, false, 6 * time.Second},
		"for ever":          {time.Hour, false, 16 * timeout},
		"though it is vain": {time.Hour, true, 2100 * time.Millisecond},
		"another attempt":   {-time.Hour, false, timeout},
	} {
		t.Run(name, func(t *testing.T) {
			self := vnode.Member{Instance: "a", Incarnation: uuid.New()}
			rec := &backend.Record{Identity: backend.Identity{Capacity: 1}, Tips: make([]vnode.SliceID, 1)}
			limits := actors.CoordinatorLimits{Interval: 100 * time.Millisecond, Timeout: timeout, Retain: 9, Step: 3, Producers: 9, Sources: 1}
			cluster := actors.Cluster{Claim: actors.Claimed{From: self, Claim: backend.Claim{Instance: "a"}}, Members: []string{"a"}}
			rules, _ := actors.NewCoordinatorRules(self, cluster, limits, rec, nil, 0)
			rules.Outcome(backend.Won, nil)
			rules.Want()
			begun := rules.Open()
			if begun.IsZero() {
				t.Fatalf("no attempt is open: %v, %v", rules.Lacks(), rules.Conflict())
			}
			says := begun
			if c.works < 0 {
				c.works, says.Number = time.Hour, says.Number+1
			}
			now := time.Duration(0)
			for rules.Open() == begun && now < time.Minute {
				now += 50 * time.Millisecond
				rules.Tick(now)
				if now <= c.works {
					rules.Working(says)
				}
				if rules.Open() == begun && rules.AtWork() != (says == begun && c.works > 0) {
					t.Fatalf("at work after %v: got %t", now, rules.AtWork())
				}
				if c.failed && now == 2*time.Second {
					rules.CaptureFailed(begun)
				}
			}
			if now != c.want {
				t.Errorf("given up after %v, want %v", now, c.want)
			}
		})
	}
}

// A coordinator that is heard is not replaced while members are at work for it, however long the ledger stands still.
func TestCoordinatorOfThoseAtWorkStays(t *testing.T) {
	const still = 20 * time.Second
	leader := vnode.Member{Instance: "a", Incarnation: uuid.New(), Address: "a:1"}
	self := vnode.Member{Instance: "b", Incarnation: uuid.New(), Address: "b:1"}
	rec := &backend.Record{Seq: 9, Term: 2, Coordinator: leader, Assignment: vnode.Assignment{
		Version: 3, Members: []vnode.Member{leader, self}, Owners: []int{0, 1},
	}}
	for atWork, want := range map[time.Duration]time.Duration{0: still, time.Minute: time.Minute + still} {
		role := actors.Role{Elects: &actors.Election{Turn: time.Second, Still: still, Outside: 3 * time.Second, Longest: time.Hour}}
		f, effects := actors.NewFollowerRules(self, role, actors.Claimed{}, rec, 0)
		f.Wants(true)
		led := time.Duration(0)
		for now := time.Duration(0); now < 10*time.Minute && led == 0; now += 250 * time.Millisecond {
			effects = append(effects, f.Tick(now)...)
			effects = append(effects, f.Opened(vnode.Attempt{Term: 2, Number: 9, Version: 3}, rec.Seq, now > 0 && now <= atWork)...)
			for ; len(effects) > 0; effects = effects[1:] {
				if effects[0].Lead != nil {
					led = now
				} else if effects[0].Search {
					effects = append(effects, f.Searched(rec)...)
				}
			}
		}
		if late := led - want; late < 0 || late > 3*time.Second {
			t.Errorf("at work for %v: another takes over after %v, want about %v", atWork, led, want)
		}
	}
}
