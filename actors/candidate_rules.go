package actors

import (
	"fmt"
	"slices"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
)

// Election says how patient a candidate is. Whatever these are, a term is begun by a record alone (I7).
type Election struct {
	Turn    time.Duration // that a candidate waits for each one before it
	Again   time.Duration // for which the ledger must stand still once it moved while the coordinator could not be reached
	Still   time.Duration // that the ledger stands still while an epoch is wanted, and nobody at work on one, before its coordinator counts as gone
	Outside time.Duration // the same, for an instance that the record leaves out; with the nth term lost it doubles n times
	Longest time.Duration // that it becomes
	Jitter  float64       // 0 to 1: of this incarnation
}

// maxLost is how many terms lost make an instance more patient.
const maxLost = 5

// candidacy is what an instance knows of its chance to coordinate.
type candidacy struct {
	leading bool          // it tries, or does
	lost    uint          // terms, since one of which it was a member sealed
	moved   time.Duration // when the ledger last did, as far as it knows
	missed  time.Duration // since when the coordinator cannot be reached; 0: it can be
	heard   int           // records since then
	wanted  time.Duration // since when an epoch is wanted here; 0: none is
	worked  time.Duration // when members were last at work on one, as its coordinator says
	proven  bool          // a search found that the ledger stands still
	proveAt time.Duration // no search for that before
}

// witness takes the newest record into account.
func (f *FollowerRules) witness(sealed bool) {
	f.moved, f.proven = f.now, false
	f.heard++
	if sealed && f.inForce() == f.self {
		f.lost = 0
	}
	f.suspect()
}

// Cannot says which members this instance cannot reach now. The coordinator is told.
func (f *FollowerRules) Cannot(reach []vnode.Member) []FollowerEffect {
	return f.Say(func(c *Claimed) { c.Cut = reach })
}

// suspect notes since when the coordinator cannot be reached.
func (f *FollowerRules) suspect() {
	switch {
	case f.rec == nil || !slices.Contains(f.says.Cut, f.rec.Coordinator):
		f.missed = 0
	case f.missed == 0:
		f.missed, f.heard = max(f.now, 1), 0
		f.doubts, f.searchAt = true, f.now // its last record may have reached nobody
	}
}

// Wants says whether an epoch is wanted here.
func (f *FollowerRules) Wants(epoch bool) {
	switch {
	case !epoch:
		f.wanted = 0
	case f.wanted == 0:
		f.wanted = max(f.now, 1)
	}
}

// lead begins a term if that is due. One that is elected looks first whether the ledger really stands still.
func (f *FollowerRules) lead() []FollowerEffect {
	at, may := f.leadAt()
	switch {
	case !may || f.now < at:
		return nil
	case f.role.Leads || f.proven:
		f.leading, f.proven = true, false
		says := f.says
		return []FollowerEffect{{Lead: f.rec, Claim: &says}}
	case f.searching || f.now < f.proveAt:
		return nil
	}
	f.searching = true
	return []FollowerEffect{{Search: true}}
}

// leadAt is when this instance tries to begin a term if nothing happens until then; false: as things are it does not. One
// that leaves lets the others go first; that there are any who stay it does not know.
func (f *FollowerRules) leadAt() (time.Duration, bool) {
	at, may := f.turnAt()
	if may && f.role.Elects != nil && f.says.Leaving && !f.lasts() {
		return at + f.role.Elects.Outside, slices.Contains(f.rec.Assignment.Members, f.self)
	}
	return at, may
}

// turnAt is leadAt of an instance that stays.
func (f *FollowerRules) turnAt() (time.Duration, bool) {
	switch {
	case f.leading || f.rec == nil || f.role.Client:
		return 0, false
	case f.role.Leads:
		return 0, true
	case f.role.Elects == nil:
		return 0, false
	}
	e, coordinator := f.role.Elects, f.rec.Coordinator
	rank := slices.Index(f.candidates(), f.self)
	turns := time.Duration(rank) * e.Turn
	switch {
	case len(f.rec.Assignment.Members) == 0:
		return f.moved + time.Duration(e.Jitter*float64(e.Turn)), true
	case rank < 0 && f.inForce() != (vnode.Member{}) && !f.unanswered():
		return 0, false // another incarnation of this instance is in force, and may answer
	case rank < 0 && coordinator.Instance == f.self.Instance:
		return f.moved, true // that one coordinated
	case rank < 0:
		// An idle cluster writes nothing, and who reaches the store alone cannot tell it from one that is gone. It is told by
		// the term that it loses: so each makes it much more patient, and the operator sees what it lacks ([FollowerRules.Outside]).
		patience := min(e.Outside<<(f.lost*(f.lost+1)/2), e.Longest)
		if f.missed == 0 {
			patience = e.Outside << maxLost // who coordinates is there, and may have nothing to seal while this instance loads its share
		}
		return max(f.moved, f.missed) + time.Duration((1+e.Jitter)*float64(patience)), true
	case !slices.Contains(f.rec.Assignment.Members, coordinator): // it has left
		return f.moved + turns, true
	case coordinator == f.self: // its reign ended, and nobody else's began
		return f.moved + e.Outside, true
	case f.missed > 0 && f.heard == 0:
		return f.missed + turns, true
	case f.missed > 0 && f.heard == 1: // the last record of one that is gone, or others reach it
		return f.moved + e.Again + turns, true
	case f.missed > 0:
		return f.moved + e.Outside + turns, true
	case f.wanted > 0 && lacking(f.rec.Assignment) == nil:
		return max(f.moved, f.wanted, f.worked) + e.Still<<f.lost + turns, true
	}
	return 0, false
}

// Outside says that this instance is no member and does not reach who could admit it; nil if that is not so.
func (f *FollowerRules) Outside() error {
	if f.rec == nil || f.role.Elects == nil || f.missed == 0 || f.leading || f.rec.Assignment.Index(f.self.Instance) >= 0 {
		return nil
	}
	by := f.rec.Coordinator
	return fmt.Errorf("instance %s, which coordinates, is not reached at %s: this one takes its place when the ledger stands still for long", by.Instance, by.Address)
}

// lasts reports whether this is the only member: there is nobody to whom it could leave what it has.
func (f *FollowerRules) lasts() bool {
	members := f.rec.Assignment.Members
	return len(members) == 1 && members[0] == f.self
}

// candidates are the members that may follow the coordinator, by id: not those that cannot be reached.
func (f *FollowerRules) candidates() []vnode.Member {
	return slices.DeleteFunc(slices.Clone(f.rec.Assignment.Members), func(m vnode.Member) bool {
		return m != f.self && (m == f.rec.Coordinator || slices.Contains(f.says.Cut, m))
	})
}
