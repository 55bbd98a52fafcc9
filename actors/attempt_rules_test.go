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
