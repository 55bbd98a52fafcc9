package actors

import (
	"errors"
	"fmt"
	"reflect"
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
	callAgain    = 5 * time.Second        // of an incarnation that did not answer, while it is in force
	searchAgain  = time.Second            // after a search that failed or found nothing new
	searchSilent = 5 * time.Second        // of the ledger, while nothing is heard
	searchSeldom = 20 * time.Second       // of one that coordinates, and hears nobody: it may have been deposed
)

// Role is what an instance does in its cluster. Without any it owns what it claims, and another coordinates.
type Role struct {
	Client bool      // it is no member: it sends and reads
	Leads  bool      // it coordinates, by configuration
	Elects *Election // whoever begins a term coordinates; nil in a static cluster
}

// FollowerRules decides for every instance: which records it goes by, when it asks to be in force, when it tries to
// coordinate, and when it is over. It is a pure state machine: a call in, effects out. A client claims nothing, and is
// never in force.
type FollowerRules struct {
	self   vnode.Member
	role   Role
	says   Claimed
	rec    *backend.Record
	served bool // a record named this incarnation

	called    uuid.UUID // incarnation under this id that was called
	calling   bool
	callAt    time.Duration // not again before
	gone      bool          // it did not answer
	claimAt   time.Duration
	searching bool
	searchAt  time.Duration // while nothing is heard
	nextAt    time.Duration // not again before
	behind    uint64        // a record of this number is known to stand
	term      uint64        // newest of which a coordinator was heard
	doubts    bool          // see Doubt
	over      bool          // nothing more comes of it
	now       time.Duration
	candidacy
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
	// Lead: begin a term on this record, with Claim as this instance's own; when that fails, or ends, call
	// [FollowerRules.Resigned].
	Lead *backend.Record
	Left bool  // this instance was to leave and has: it owns nothing any more
	Stop error // this incarnation is over
}

// NewFollowerRules starts on a record. A client may have none yet.
func NewFollowerRules(self vnode.Member, role Role, says Claimed, newest *backend.Record, now time.Duration) (*FollowerRules, []FollowerEffect) {
	says.From = self
	f := &FollowerRules{self: self, role: role, says: says, rec: newest, now: now, searchAt: now + searchSilent}
	f.moved = now
	return f, f.step()
}

// Served reports whether a record named this incarnation.
func (f *FollowerRules) Served() bool { return f.served }

// Say changes what this instance claims.
func (f *FollowerRules) Say(change func(*Claimed)) []FollowerEffect {
	says := f.says
	change(&says)
	if reflect.DeepEqual(says, f.says) {
		return nil
	}
	f.says, f.claimAt = says, f.now
	f.suspect()
	return f.step()
}

// Learn takes a record that stands.
func (f *FollowerRules) Learn(rec *backend.Record) []FollowerEffect {
	f.listen()
	if f.rec != nil && rec.Seq <= f.rec.Seq {
		return nil
	}
	sealed := f.rec != nil && rec.Epoch > f.rec.Epoch
	if f.rec != nil && f.rec.Coordinator != rec.Coordinator {
		f.claimAt = f.now // it has heard nothing
	}
	f.rec = rec
	f.witness(sealed)
	return append([]FollowerEffect{{Publish: rec, Sealed: sealed}}, f.step()...)
}

// listen puts a search off: something was heard.
func (f *FollowerRules) listen() {
	f.searchAt = f.now + searchSilent
	if f.leading {
		f.searchAt = f.now + searchSeldom
	}
}

// Doubt says that there may be a newer record than is known: an attempt did not fill, or somebody knows of a later term.
// Also one that coordinates looks: whoever followed it may reach another process of its id.
func (f *FollowerRules) Doubt() []FollowerEffect {
	f.doubts, f.searchAt = true, f.now
	return f.step()
}

// searches reports whether this instance looks for records by itself: one that coordinates a static cluster makes them.
func (f *FollowerRules) searches() bool { return !f.leading || f.doubts || f.role.Elects != nil }

// Heeds reports whether what the coordinator of a term says counts: not if a later one is known of. Whoever was deposed
// and has not heard of it would take back what its successor plans.
func (f *FollowerRules) Heeds(term uint64) bool {
	if term < f.term || (f.rec != nil && term < f.rec.Term) {
		return false
	}
	f.term = term
	return true
}

// Opened takes an attempt that was opened on the record of a number, or later; with a zero one it only hears of the
// record. While members are at work, that the ledger stands still says nothing against the coordinator.
func (f *FollowerRules) Opened(a vnode.Attempt, seq uint64, atWork bool) []FollowerEffect {
	if atWork {
		f.worked = f.now
	}
	if !f.leading {
		f.listen()
	}
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
	f.doubts = f.doubts && rec == nil
	f.listen()
	f.nextAt = f.now + searchAgain
	if !f.leading {
		f.searchAt = f.nextAt
	}
	if f.role.Elects != nil {
		f.proveAt = f.now + f.role.Elects.Turn
	}
	if rec == nil {
		f.proveAt = f.nextAt
		return nil
	}
	at, due := f.leadAt()
	f.proven = due && f.now >= at && f.rec != nil && rec.Seq <= f.rec.Seq
	if out := f.Learn(rec); out != nil {
		return out
	}
	return f.step()
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

// Resigned says that this instance's reign has ended, or never began, and why. Standing is the record that ended it, if
// that is known.
func (f *FollowerRules) Resigned(why error, standing *backend.Record) []FollowerEffect {
	f.leading = false
	if f.role.Elects == nil || !errors.Is(why, ErrSuperseded) {
		return []FollowerEffect{{Stop: why}}
	}
	f.lost = min(f.lost+1, maxLost)
	f.moved, f.nextAt, f.searchAt = f.now, f.now, f.now
	if standing == nil {
		return f.step()
	}
	if out := f.Learn(standing); out != nil {
		return out
	}
	return f.step()
}

// Tick moves the clock.
func (f *FollowerRules) Tick(now time.Duration) []FollowerEffect {
	f.now = now
	return f.step()
}

// Clock moves the clock, and does nothing else yet.
func (f *FollowerRules) Clock(now time.Duration) { f.now = now }

// Deadline is when Tick has something to do; false if nothing is to be done before another call.
func (f *FollowerRules) Deadline() (time.Duration, bool) {
	if f.over {
		return 0, false
	}
	var at []time.Duration
	if f.mayClaim() {
		at = append(at, f.claimAt)
	}
	if lead, ok := f.leadAt(); ok && !f.searching && !f.proven {
		at = append(at, max(lead, f.proveAt))
	}
	switch {
	case f.searching || !f.searches():
	case f.behindAny():
		at = append(at, f.nextAt)
	default:
		at = append(at, max(f.searchAt, f.nextAt))
	}
	if len(at) == 0 {
		return 0, false
	}
	return slices.Min(at), true
}

// mayClaim reports whether this instance has something to claim, and may: whoever was in force under its id does not
// answer.
func (f *FollowerRules) mayClaim() bool {
	return !f.role.Client && !f.role.Leads && f.rec != nil && (f.inForce() == f.self || f.unanswered())
}

// unanswered reports whether whoever is in force under this instance's id was called, and did not answer.
func (f *FollowerRules) unanswered() bool { return f.gone && f.called == f.inForce().Incarnation }

// inForce is the member in force under this instance's id; zero if there is none.
func (f *FollowerRules) inForce() vnode.Member {
	m, _ := f.rec.Assignment.InForce(f.self.Instance)
	return m
}

// behindAny reports whether a record is known to stand that is not known itself.
func (f *FollowerRules) behindAny() bool {
	return (f.rec == nil && f.behind > 0) || (f.rec != nil && f.behind > f.rec.Seq)
}

// step does the next thing that is due.
func (f *FollowerRules) step() []FollowerEffect {
	if f.over {
		return nil
	}
	var out []FollowerEffect
	if f.rec != nil && !f.role.Client {
		inForce := f.inForce()
		absent := inForce == vnode.Member{}
		switch {
		case inForce == f.self:
			f.served = true
		case absent && f.says.Leaving:
			f.over = true
			return []FollowerEffect{{Left: true}}
		case f.served && !(absent && f.role.Elects != nil):
			f.over = true
			return []FollowerEffect{{Stop: ErrSuperseded}}
		default:
			out = f.call(inForce)
		}
		if f.now >= f.claimAt && f.mayClaim() {
			out = append(out, f.tellClaim(inForce))
		}
		out = append(out, f.lead()...)
	}
	if !f.searching && f.searches() && f.now >= f.nextAt && (f.behindAny() || f.now >= f.searchAt) {
		f.searching = true
		out = append(out, FollowerEffect{Search: true})
	}
	return out
}

// call calls the incarnation in force under this id, if there is one that was not called yet: one after the other, since
// what is heard of one says nothing of the next.
func (f *FollowerRules) call(inForce vnode.Member) []FollowerEffect {
	switch {
	case f.calling || (inForce.Incarnation == f.called && f.gone && f.now < f.callAt):
		return nil
	case inForce.Address == "" || inForce.Address == f.self.Address || f.role.Leads: // nobody else is there: this one listens there, or has called already
		f.called, f.gone, f.calling = inForce.Incarnation, true, false
		return nil
	}
	f.gone = f.gone && f.called == inForce.Incarnation
	f.called, f.calling, f.callAt = inForce.Incarnation, true, f.now+callAgain
	return []FollowerEffect{{Call: &inForce}}
}

func (f *FollowerRules) tellClaim(inForce vnode.Member) FollowerEffect {
	f.claimAt = f.now + claimAgain
	claim := f.says
	claim.Supersedes = inForce.Incarnation // its own, if it believes to be in force: that is no wish to be it again
	if inForce == f.self {
		f.claimAt = f.now + claimSeldom
	}
	return FollowerEffect{Claim: &claim}
}
