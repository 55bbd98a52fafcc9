package actors

import (
	"slices"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
)

// hearing decides which members cannot be reached, from what is seen and heard of them. It is a pure state machine.
type hearing struct {
	lookedAt time.Duration
	members  map[vnode.Member]heard // of the last look
}

type heard struct {
	quiet  time.Duration // for how long nothing was heard of it while this instance looked
	listed bool          // the membership has known it
}

// sight is what is known of a member when it is looked for.
type sight struct {
	member   vnode.Member
	quiet    time.Duration // since it was last heard
	ended    bool          // for certain: its address refuses, or a newer incarnation has its id
	listed   bool          // the membership knows the instance
	replaced bool          // as another incarnation
}

// look lists the members that cannot be reached now. Who was not awake has heard nothing, whoever spoke, so that only a
// short time since the last look counts. A coordinator whom most say nothing lets them go first: they may hear each other. Who
// is in doubt is one of them already, lest they be left out one by one.
func (h *hearing) look(now time.Duration, coordinates bool, sights []sight) []vnode.Member {
	awake := min(now-h.lookedAt, attention)
	members := make(map[vnode.Member]heard, len(sights))
	var out, mute []vnode.Member
	reached, doubted := 1, 0 // this one reaches itself
	for _, s := range sights {
		was := h.members[s.member]
		is := heard{quiet: min(was.quiet+awake, s.quiet), listed: was.listed || s.listed}
		members[s.member] = is
		vanished := s.replaced || (is.listed && !s.listed)
		if s.ended {
			out = append(out, s.member)
			continue
		}
		if is.quiet > silentDoubt {
			doubted++
		} else {
			reached++
		}
		if is.quiet > silentFor || (is.quiet > silentLeft && vanished) {
			mute = append(mute, s.member)
		}
	}
	h.lookedAt, h.members = now, members
	for _, m := range mute {
		if !coordinates || doubted <= reached || members[m].quiet > silentMost {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, byInstance)
	return out
}
