package actors

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// InUseError says that a process that is alive has the id of this one.
type InUseError struct {
	Member vnode.Member // which answered
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("instance %s is in use: its incarnation %s answers at %s: stop it first, or give this one an id of its own",
		e.Member.Instance, e.Member.Incarnation, e.Member.Address)
}

const (
	claimAgain   = 250 * time.Millisecond // of a member that is not in force
	claimSeldom  = 2 * time.Second        // of one that is: a new coordinator may not have heard it
	searchAgain  = time.Second            // after a search that failed or found nothing new
	searchSilent = 5 * time.Second        // of the ledger, while nothing is heard
)

// FollowerRules decides for an instance that does not coordinate: which records it goes by, when it asks to be in force,
// and when it is over. It is a pure state machine: a call in, effects out. A client has no claim, and is never in force.
type FollowerRules struct {
	self   vnode.Member
	claim  *backend.Claim // nil for a client
	rec    *backend.Record
	served bool // a record named this incarnation

	called    uuid.UUID // incarnation under this id that was called
	calling   bool
	gone      bool // it did not answer
	claimAt   time.Duration
	searching bool
	searchAt  time.Duration // while nothing is heard
	nextAt    time.Duration // not again before
	behind    uint64        // a record of this number is known to stand
	now       time.Duration
}

// FollowerEffect is one thing for the shell to do.
type FollowerEffect struct {
	Publish *backend.Record // the newest record: tell vnodes, sources and producers
	Sealed  bool            // with Publish: it seals an epoch that was not known
	Open    *vnode.Attempt  // tell sources, and without sources the vnodes, behind the newest record
	Claim   *Claimed        // tell the coordinator
	Call    *vnode.Member   // find out whether it answers, then call [FollowerRules.Called]
	// Search: look for the newest record in the ledger, then call [FollowerRules.Searched]. A client, which has none, asks
	// the coordinator.
	Search bool
	Stop   error // this incarnation is over
}

// NewFollowerRules starts a follower on a record. A client, without a claim, may have none yet.
func NewFollowerRules(self vnode.Member, claim *backend.Claim, newest *backend.Record, now time.Duration) (*FollowerRules, []FollowerEffect) {
	f := &FollowerRules{self: self, claim: claim, rec: newest, now: now, searchAt: now + searchSilent}
	return f, f.step()
}

// Served reports whether a record named this incarnation.
func (f *FollowerRules) Served() bool { return f.served }

// Learn takes a record that stands.
func (f *FollowerRules) Learn(rec *backend.Record) []FollowerEffect {
	f.searchAt = f.now + searchSilent
	if f.rec != nil && rec.Seq <= f.rec.Seq {
		return nil
	}
	sealed := f.rec != nil && rec.Epoch > f.rec.Epoch
	f.rec = rec
	return append([]FollowerEffect{{Publish: rec, Sealed: sealed}}, f.step()...)
}

// Opened takes an attempt that was opened on the record of a number, or later; with a zero one it only hears of the
// record.
func (f *FollowerRules) Opened(a vnode.Attempt, seq uint64) []FollowerEffect {
	f.searchAt = f.now + searchSilent
	if f.rec == nil || seq > f.rec.Seq {
		f.behind = max(f.behind, seq)
		return f.step()
	}
	if a.IsZero() {
		return nil
	}
	return []FollowerEffect{{Open: &a}}
}

// Searched ends a search. It found rec; nil if it failed.
func (f *FollowerRules) Searched(rec *backend.Record) []FollowerEffect {
	f.searching = false
	f.searchAt, f.nextAt = f.now+searchAgain, f.now+searchAgain
	if rec == nil {
		return nil
	}
	return f.Learn(rec)
}

// Called says whether the incarnation that was to be called answered, and as whom.
func (f *FollowerRules) Called(who vnode.Member, answered bool) []FollowerEffect {
	if !f.calling {
		return nil
	}
	f.calling = false
	if answered && who.Instance == f.self.Instance && who.Incarnation != f.self.Incarnation {
		return []FollowerEffect{{Stop: &InUseError{Member: who}}}
	}
	f.gone = true
	return f.step()
}

// Tick moves the clock.
func (f *FollowerRules) Tick(now time.Duration) []FollowerEffect {
	f.now = now
	return f.step()
}

// Deadline is when Tick has something to do; false if nothing is to be done before another call.
func (f *FollowerRules) Deadline() (time.Duration, bool) {
	var at []time.Duration
	if f.claim != nil && f.rec != nil && (f.served || f.gone) {
		at = append(at, f.claimAt)
	}
	if !f.searching && f.behindAny() {
		at = append(at, f.nextAt)
	} else if !f.searching {
		at = append(at, max(f.searchAt, f.nextAt))
	}
	if len(at) == 0 {
		return 0, false
	}
	return slices.Min(at), true
}

// behindAny reports whether a record is known to stand that is not known itself.
func (f *FollowerRules) behindAny() bool {
	return (f.rec == nil && f.behind > 0) || (f.rec != nil && f.behind > f.rec.Seq)
}

// step does the next thing that is due.
func (f *FollowerRules) step() []FollowerEffect {
	var out []FollowerEffect
	if f.rec != nil && f.claim != nil {
		inForce, _ := f.rec.Assignment.InForce(f.self.Instance)
		switch {
		case inForce == f.self:
			f.served = true
		case f.served:
			return []FollowerEffect{{Stop: ErrSuperseded}}
		default:
			out = f.call(inForce)
		}
		if f.now >= f.claimAt && (f.served || f.gone) {
			out = append(out, f.tellClaim(inForce))
		}
	}
	if !f.searching && f.now >= f.nextAt && (f.behindAny() || f.now >= f.searchAt) {
		f.searching = true
		out = append(out, FollowerEffect{Search: true})
	}
	return out
}

// call calls the incarnation in force under this id, if there is one that was not called yet: one after the other, since
// what is heard of one says nothing of the next.
func (f *FollowerRules) call(inForce vnode.Member) []FollowerEffect {
	switch {
	case f.calling || (inForce.Incarnation == f.called && f.gone):
		return nil
	case inForce.Address == "" || inForce.Address == f.self.Address: // nobody else is there: this one listens there
		f.called, f.gone, f.calling = inForce.Incarnation, true, false
		return nil
	}
	f.called, f.gone, f.calling = inForce.Incarnation, false, true
	return []FollowerEffect{{Call: &inForce}}
}

func (f *FollowerRules) tellClaim(inForce vnode.Member) FollowerEffect {
	f.claimAt = f.now + claimAgain
	if f.served {
		f.claimAt = f.now + claimSeldom
	}
	return FollowerEffect{Claim: &Claimed{From: f.self, Supersedes: inForce.Incarnation, Claim: *f.claim}}
}
