package actors

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// I7: how long it takes until somebody counts as gone.
func TestSilenceCounts(t *testing.T) {
	const ms = time.Millisecond
	a, b := vnode.Member{Instance: "a", Incarnation: uuid.UUID{1}}, vnode.Member{Instance: "b", Incarnation: uuid.UUID{2}}
	mute := func(s sight) func(time.Duration) sight {
		return func(now time.Duration) sight { s.quiet = now; return s }
	}
	later := func(m vnode.Member) func(time.Duration) sight {
		return func(now time.Duration) sight { return sight{member: m, quiet: max(0, now-400*ms)} }
	}
	talks := func(m vnode.Member) func(time.Duration) sight {
		return func(time.Duration) sight { return sight{member: m, listed: true} }
	}
	forgotten := func(now time.Duration) sight { return sight{member: a, quiet: now, listed: now < 700*ms} }
	for name, c := range map[string]struct {
		coordinates bool
		every       time.Duration // look
		sights      []func(time.Duration) sight
		missed      []vnode.Member  // in this order
		after       []time.Duration // each
	}{
		"one of two":     {false, 100 * ms, []func(time.Duration) sight{mute(sight{member: a}), talks(b)}, []vnode.Member{a}, []time.Duration{2600 * ms}},
		"forgotten":      {false, 100 * ms, []func(time.Duration) sight{forgotten, talks(b)}, []vnode.Member{a}, []time.Duration{1600 * ms}},
		"refuses":        {true, 100 * ms, []func(time.Duration) sight{mute(sight{member: a, ended: true}), talks(b)}, []vnode.Member{a}, []time.Duration{100 * ms}},
		"seldom awake":   {false, time.Second, []func(time.Duration) sight{mute(sight{member: a}), talks(b)}, []vnode.Member{a}, []time.Duration{13 * time.Second}},
		"member, all":    {false, 100 * ms, []func(time.Duration) sight{mute(sight{member: a}), mute(sight{member: b})}, []vnode.Member{a, b}, []time.Duration{2600 * ms, 2600 * ms}},
		"outnumbered":    {true, 100 * ms, []func(time.Duration) sight{mute(sight{member: a}), mute(sight{member: b})}, []vnode.Member{a, b}, []time.Duration{4100 * ms, 4100 * ms}},
		"one by one":     {true, 100 * ms, []func(time.Duration) sight{mute(sight{member: a}), later(b)}, []vnode.Member{a, b}, []time.Duration{4100 * ms, 4500 * ms}},
		"half":           {true, 100 * ms, []func(time.Duration) sight{mute(sight{member: a})}, []vnode.Member{a}, []time.Duration{2600 * ms}},
		"one left, dead": {true, 100 * ms, []func(time.Duration) sight{mute(sight{member: a, ended: true}), mute(sight{member: b})}, []vnode.Member{a, b}, []time.Duration{100 * ms, 2600 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			var h hearing
			var missed []vnode.Member
			var after []time.Duration
			for n := range 60 {
				now := time.Duration(n+1) * c.every
				var sights []sight
				for _, s := range c.sights {
					sights = append(sights, s(now))
				}
				for _, m := range h.look(now, c.coordinates, sights) {
					if !slices.Contains(missed, m) {
						missed, after = append(missed, m), append(after, now)
					}
				}
			}
			if !slices.Equal(missed, c.missed) || !slices.Equal(after, c.after) {
				t.Errorf("missed %v after %v, want %v after %v", missed, after, c.missed, c.after)
			}
		})
	}
}

// I8: what is known of members goes with them.
func TestHearingForgets(t *testing.T) {
	var h hearing
	for n := range 1000 {
		h.look(time.Duration(n)*time.Second, false, []sight{{member: vnode.Member{Instance: "a", Incarnation: uuid.UUID{byte(n), byte(n / 256)}}, listed: true}})
	}
	if len(h.members) > 1 {
		t.Errorf("remembers %d members of one", len(h.members))
	}
}
