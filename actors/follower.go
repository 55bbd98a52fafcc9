package actors

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// follower is the shell around [FollowerRules]. Every instance has one: all that an instance knows of the ledger comes
// through it, also while the coordinator is here.
type follower struct {
	in    following
	rules *FollowerRules
	began time.Time
	timer *time.Timer
	lacks string // that the coordinator last told of

	outside bool // it was, and does not reach who coordinates
}

// following is what the follower needs of its instance.
type following interface {
	publish(rec *backend.Record, sealed bool)
	opened(a vnode.Attempt)
	stop(err error)
	changed() int64
	background(func(ctx context.Context))
	troubles() *troubles
	tell(message any) // to the coordinator, wherever it is
	// lead tries to begin a term.
	lead(rec *backend.Record, claim Claimed)
	// departed ends an instance that was to leave.
	departed()
	// told takes what the coordinator plans.
	told(b beat)
	// cannotReach lists the members that this instance cannot reach now; nil where nobody asks.
	cannotReach() []vnode.Member
	// amend brings what this instance claims up to date.
	amend(c *Claimed)
	// repeat sends again what may have been lost on its way to the coordinator.
	repeat()
	// search looks for the newest record of the ledger.
	search(ctx context.Context) (*backend.Record, error)
	// call asks who is at the address of a member.
	call(ctx context.Context, m vnode.Member) (vnode.Member, bool)
}

// Messages to the follower, beside *backend.Record and beat.
type (
	beginFollowing struct {
		newest *backend.Record
		self   vnode.Member
		role   Role
		claim  Claimed
	}
	resigned struct {
		why      error
		standing *backend.Record
	}
	look       struct{} // at what is due, now
	doubt      struct{} // whether the newest record known is the newest
	proclaimed struct { // by the coordinator that is here
		rec  *backend.Record
		emit func(*backend.Record) // nil if it seals nothing
	}
	searched struct{ rec *backend.Record }
	called   struct {
		who      vnode.Member
		answered bool
	}
)

// followerTick is how often a follower looks at what is due.
const followerTick = 100 * time.Millisecond

func (f *follower) Receive(ctx actor.Context) {
	if f.rules != nil {
		f.rules.Clock(f.now())
	}
	switch m := ctx.Message().(type) {
	case beginFollowing:
		var effects []FollowerEffect
		f.rules, effects = NewFollowerRules(m.self, m.role, m.claim, m.newest, f.now())
		f.carry(ctx, effects)
		f.arm(ctx)
	case tick:
		f.look(ctx)
		f.in.repeat()
		f.arm(ctx)
	case look:
		f.look(ctx)
	case doubt:
		f.carry(ctx, f.rules.Doubt())
	case proclaimed:
		f.carry(ctx, f.rules.Learn(m.rec))
		if m.emit != nil {
			m.emit(m.rec)
		}
	case resigned:
		f.carry(ctx, f.rules.Resigned(m.why, m.standing))
	case *backend.Record:
		f.carry(ctx, f.rules.Learn(m))
	case beat:
		if !f.rules.Heeds(m.Term) {
			return
		}
		f.noteLacks(m.Lacks)
		f.in.told(m)
		f.carry(ctx, f.rules.Opened(m.Attempt, m.Seq, m.AtWork))
	case searched:
		f.carry(ctx, f.rules.Searched(m.rec))
	case called:
		f.carry(ctx, f.rules.Called(m.who, m.answered))
	case *actor.Stopping:
		if f.timer != nil {
			f.timer.Stop()
		}
	}
}

// look does what is due.
func (f *follower) look(ctx actor.Context) {
	f.rules.Wants(f.in.changed() > 0)
	f.carry(ctx, f.rules.Cannot(f.in.cannotReach()))
	f.carry(ctx, f.rules.Say(f.in.amend))
	f.carry(ctx, f.rules.Tick(f.now()))
	f.noteOutside(f.rules.Outside())
}

// noteOutside makes it a problem that this instance is no member, and does not reach who could admit it.
func (f *follower) noteOutside(err error) {
	switch {
	case err != nil:
		f.in.troubles().failed(beAdmitted, err)
	case f.outside:
		f.in.troubles().fine(beAdmitted)
	}
	f.outside = err != nil
}

const beAdmitted = "be admitted by who coordinates"

// noteLacks makes a problem of the coordinator's this instance's too.
func (f *follower) noteLacks(lacks string) {
	switch {
	case lacks == "" && f.lacks != "":
		f.in.troubles().fine(gatherMembers)
	case lacks != "":
		f.in.troubles().failed(gatherMembers, errors.New(lacks))
	}
	f.lacks = lacks
}

func (f *follower) now() time.Duration { return time.Since(f.began) }

func (f *follower) arm(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	f.timer = time.AfterFunc(followerTick, func() { root.Send(self, tick{}) })
}

const gatherMembers = "gather what an epoch needs"

const findRecord = "look for the newest record"

func (f *follower) carry(ctx actor.Context, effects []FollowerEffect) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	for _, e := range effects {
		switch {
		case e.Publish != nil:
			f.in.publish(e.Publish, e.Sealed)
			if e.Sealed && f.in.changed() > 0 {
				f.in.tell(want{})
			}
		case e.Lead != nil:
			f.in.lead(e.Lead, *e.Claim)
		case e.Left:
			f.in.departed()
		case e.Open != nil:
			f.in.opened(*e.Open)
		case e.Claim != nil:
			f.in.tell(*e.Claim)
		case e.Call != nil:
			f.in.background(func(bg context.Context) {
				who, answered := f.in.call(bg, *e.Call)
				root.Send(self, called{who, answered})
			})
		case e.Search:
			f.in.background(func(bg context.Context) {
				rec, err := f.in.search(bg)
				if err != nil {
					f.in.troubles().failed(findRecord, err)
				} else {
					f.in.troubles().fine(findRecord)
				}
				root.Send(self, searched{rec})
			})
		case e.Stop != nil:
			f.in.stop(e.Stop)
		}
	}
}
