package actors

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Errors with which a coordinator answers or steps down.
var (
	ErrSuperseded = errors.New("another incarnation or coordinator is in force")
	ErrLeft       = fmt.Errorf("this coordinator has left: another follows: %w", ErrSuperseded)
	ErrVoid       = fmt.Errorf("the floor has passed the record that was to be written: this writer slept: %w", ErrSuperseded)
	ErrAttached   = errors.New("a source of this name is attached already")
	ErrChanged    = errors.New("what the request goes by has changed since: ask again")
	ErrNames      = errors.New("the bound on names is reached")
	ErrKind       = errors.New("the name is one of the other kind: a source's, or a plain producer's")
)

// maxWaiting is the number of sealed epochs that may wait for the sinks before none is opened.
const maxWaiting = 4

// maxBackoff is how often the time-out of an attempt doubles.
const maxBackoff = 4

// CoordinatorLimits are the coordinator's times and bounds.
type CoordinatorLimits struct {
	Interval  time.Duration // from one open to the next
	Timeout   time.Duration // an attempt that is not sealed by then is aborted; doubles after each abort
	Retain    int           // records kept, the newest included
	Step      int           // records that a raise of the floor must free
	Producers int           // plain producers' names
	Sources   int           // sources' names, ended ones included
	Folds     backend.CompactionPolicy
}

// CoordinatorRules decides what the ledger says next: admission, attempts, seals, sources, names, the floor. It is a
// pure state machine: a call in, effects out. At any time at most one record of its is being created, and until the
// outcome of that is known it tells nobody anything (I1).
type CoordinatorRules struct {
	self    vnode.Member
	cluster Cluster
	limits  CoordinatorLimits
	rec     *backend.Record // newest known
	put     *backend.Record // being created
	sealed  bool            // put seals the open attempt
	reigns  bool            // a record names this coordinator
	over    bool            // its reign has ended

	claims   map[string]Claimed // newest of each member that was heard of, by instance
	conflict error              // why the claims make no assignment
	settled  uint64             // version of the assignment on which the claims were judged; 0: they are to be
	fresh    map[string]bool    // sources that this reign put into the assignment
	elastic

	attempt *attempt
	number  uint64 // highest ever opened
	due     time.Duration
	backoff uint
	wanted  bool
	demand  bool // an epoch is to be opened as soon as one is wanted
	closing bool // an emission is recorded at once

	emitted   vnode.Epoch
	waiting   []Waiting
	requests  []Request // in put or to be
	published uint64    // floor number known to stand in the store
	folds     []*backend.Fold
	overdue   []string // instances of which the next epoch must take a fold
	now       time.Duration
}

// Waiting is an epoch that is sealed and not emitted, and the record that sealed it.
type Waiting struct {
	Epoch vnode.Epoch
	Seq   uint64
}

// Effect is one thing for the shell to do.
type Effect struct {
	Append  *backend.Record // create it, then call Outcome
	Publish *backend.Record // it stands: tell vnodes, sources, producers and the merger
	Sealed  bool            // with Publish: it seals an epoch
	Open    *vnode.Attempt  // tell vnodes and sources, behind the newest record
	Answer  *Answer
	Aborted error // an attempt did not fill in time: what it lacks
	Stop    error // this reign is over
	// Standing, with Stop, is the record that ended it, if that is known.
	Standing *backend.Record
}

// NewCoordinatorRules starts the reign of self: the first effect creates the record that begins it. Waiting are the
// epochs that newest says are sealed and not emitted, ascending.
func NewCoordinatorRules(
	self vnode.Member, cluster Cluster, limits CoordinatorLimits, newest *backend.Record, waiting []Waiting, now time.Duration,
) (*CoordinatorRules, []Effect) {
	c := &CoordinatorRules{
		self: self, cluster: cluster, limits: limits, rec: newest, number: newest.High,
		claims:  map[string]Claimed{self.Instance: cluster.Claim},
		fresh:   map[string]bool{},
		elastic: elastic{heard: map[string]time.Duration{}, parted: map[vnode.Member]parting{}, review: true},
		emitted: newest.Emitted, waiting: waiting, now: now, due: now,
	}
	c.weigh()
	return c, c.reign()
}

// weigh finds out whether the newest record leaves room for an epoch without a fold (I8).
func (c *CoordinatorRules) weigh() {
	c.overdue = c.overdue[:0]
	for i, vnodes := range ownedBy(c.rec) {
		if backend.Overdue(c.rec, vnodes, c.limits.Folds) {
			c.overdue = append(c.overdue, c.rec.Assignment.Members[i].Instance)
		}
	}
}

// ownedBy lists the vnodes of each member of a record.
func ownedBy(rec *backend.Record) []vnode.Set {
	all := make([]vnode.Set, len(rec.Assignment.Members))
	for v, owner := range rec.Assignment.Owners {
		if owner != vnode.Unowned {
			all[owner].Add(vnode.ID(v))
		}
	}
	return all
}

// reign creates the record that begins a term. It names the members that are known, with what they own.
func (c *CoordinatorRules) reign() []Effect {
	n := c.next()
	n.Term++
	n.Coordinator = c.self
	c.dropVoid()
	a, err := c.inherit()
	a.Version = c.rec.Assignment.Version + 1
	n.Assignment, c.conflict = a, err
	return c.create(n)
}

// inherit is the assignment with which a term begins.
func (c *CoordinatorRules) inherit() (vnode.Assignment, error) {
	if c.cluster.Elastic != nil {
		a, _ := c.reassigned()
		return a, nil
	}
	a, err := c.assign()
	if err != nil {
		a = c.partly()
	}
	return a, err
}

// next copies the newest record as the base of the one to be created.
func (c *CoordinatorRules) next() *backend.Record {
	n := c.rec.Next(c.self, time.Time{}) // the shell knows the time
	n.Emitted = max(n.Emitted, c.emitted)
	n.High = max(n.High, c.number)
	c.raiseFloor(n)
	return n
}

// raiseFloor lets records go that are not retained, never past the first epoch that the sinks did not take. The floor
// before must have been published: whoever follows the floors ends at the first that is missing (I9).
func (c *CoordinatorRules) raiseFloor(n *backend.Record) {
	if c.published < n.Floor.K {
		return
	}
	waiting := n.Seq
	if len(c.waiting) > 0 {
		waiting = c.waiting[0].Seq
	}
	if to, worth := backend.PlanFloor(c.rec, c.limits.Retain, c.limits.Step, waiting); worth {
		backend.RaiseFloor(n, to)
	}
}

func (c *CoordinatorRules) create(n *backend.Record) []Effect {
	if old := c.rec.Assignment; n.Assignment.Version != old.Version {
		n.Assignment = n.Assignment.Follow(old)
	}
	c.put = n
	return []Effect{{Append: n}}
}

// Outcome says how the creation went. Unknown: the same record is tried again.
func (c *CoordinatorRules) Outcome(o backend.Outcome, winner *backend.Record) []Effect {
	switch {
	case c.put == nil:
		return nil
	case o == backend.Unknown:
		return []Effect{{Append: c.put}}
	case o == backend.Won:
		return c.won()
	case o == backend.Lost && winner.Term == c.rec.Term && c.reigns:
		return c.rebase(winner)
	case o == backend.Lost && !c.reigns && c.cluster.Elastic == nil && winner.Coordinator == c.rec.Coordinator: // which did not answer
		return append(c.take(winner), c.reign()...)
	}
	if o == backend.Void {
		return c.stop(ErrVoid, nil)
	}
	return c.stop(ErrSuperseded, winner)
}

// stop ends the reign: nothing more comes of it.
func (c *CoordinatorRules) stop(why error, standing *backend.Record) []Effect {
	c.put, c.attempt, c.reigns, c.over = nil, nil, false, true
	return []Effect{{Stop: why, Standing: standing}}
}

func (c *CoordinatorRules) won() []Effect {
	old, sealed := c.rec, c.sealed
	c.rec, c.put, c.sealed, c.reigns = c.put, nil, false, true
	c.weigh()
	if sealed {
		c.attempt, c.backoff = nil, 0
		c.waiting = append(c.waiting, Waiting{Epoch: c.rec.Epoch, Seq: c.rec.Seq})
	}
	out := []Effect{{Publish: c.rec, Sealed: sealed}}
	out = append(out, c.answer()...)
	if old.Assignment.Version != c.rec.Assignment.Version {
		c.endAttempt()
		c.review = true
		c.forgetFresh(old.Assignment)
	}
	if !slices.Equal(old.Assignment.Members, c.rec.Assignment.Members) {
		c.backoff = 0 // what the attempts before waited for may be there now
	}
	if !slices.Contains(c.rec.Assignment.Members, c.self) {
		return append(out, c.stop(ErrLeft, c.rec)...)
	}
	return append(out, c.step()...)
}

// forgetFresh notes which sources may have been read by now: those that another reads than before (I5).
func (c *CoordinatorRules) forgetFresh(old vnode.Assignment) {
	for _, s := range old.Sources {
		if s.Owner == vnode.Unowned {
			continue
		}
		now := c.rec.Assignment
		i := slices.IndexFunc(now.Sources, func(x vnode.SourceOwner) bool { return x.Source == s.Source })
		if i < 0 || now.Sources[i].Owner == vnode.Unowned || now.Members[now.Sources[i].Owner] != old.Members[s.Owner] {
			delete(c.fresh, s.Source)
		}
	}
}

// answer answers the requests that the record carries.
func (c *CoordinatorRules) answer() []Effect {
	var out []Effect
	for _, r := range c.requests {
		if r.written {
			out = append(out, Effect{Answer: &Answer{Ticket: r.Ticket, Generation: c.rec.GenerationOf(r.Producer), Epoch: c.rec.Epoch, Seq: c.rec.Seq}})
		}
	}
	c.requests = slices.DeleteFunc(c.requests, func(r Request) bool { return r.written })
	return out
}

// rebase goes on from another writer's record of the same term: every check is made again on it.
func (c *CoordinatorRules) rebase(winner *backend.Record) []Effect {
	for i := range c.requests {
		c.requests[i].written = false
	}
	c.settled, c.review = 0, true // the record that was lost may have been an admission
	return append(c.take(winner), c.step()...)
}

// take makes the next record of another writer the newest known. It may seal an epoch: a put of a process that crashed
// may land late.
func (c *CoordinatorRules) take(winner *backend.Record) []Effect {
	sealed := winner.Epoch > c.rec.Epoch
	c.rec, c.put, c.sealed = winner, nil, false
	c.weigh()
	if sealed {
		c.waiting = append(c.waiting, Waiting{Epoch: winner.Epoch, Seq: winner.Seq})
	}
	return []Effect{{Publish: winner, Sealed: sealed}}
}

// Learn takes a record that another instance tells of, or that was found. One of a later term ends this reign: a
// coordinator that has nothing to write would not hear of it otherwise, and wait for captures that nobody makes for it.
func (c *CoordinatorRules) Learn(rec *backend.Record) []Effect {
	if !c.reigns || rec.Term <= c.rec.Term {
		return nil
	}
	return c.stop(ErrSuperseded, rec)
}

// Clock moves the clock, and does nothing else yet: what is opened or heard now counts from now.
func (c *CoordinatorRules) Clock(now time.Duration) { c.now = now }

// Tick moves the clock. The shell calls it at the time that Deadline names.
func (c *CoordinatorRules) Tick(now time.Duration) []Effect {
	c.now = now
	c.expire()
	var out []Effect
	if a := c.attempt; a != nil && !c.sealed && now >= a.deadline {
		out = append(out, Effect{Aborted: c.lacks()})
		c.backoff = min(c.backoff+1, maxBackoff)
		c.endAttempt()
	}
	return append(out, c.step()...)
}

// Deadline is when Tick has something to do; false if nothing is to be done before another call.
func (c *CoordinatorRules) Deadline() (time.Duration, bool) {
	switch {
	case c.put != nil || !c.reigns:
		return 0, false
	case c.attempt != nil:
		return c.sooner(c.attempt.deadline, true)
	case c.mayOpen() || c.owesRecord():
		return c.sooner(c.due, true)
	}
	return c.sooner(0, false)
}

// Trying reports whether an attempt is open.
func (c *CoordinatorRules) Trying() bool { return c.attempt != nil }

// Open is the open attempt; zero if there is none.
func (c *CoordinatorRules) Open() vnode.Attempt {
	if c.attempt == nil {
		return vnode.Attempt{}
	}
	return c.attempt.id
}

// Reigns reports whether a record names this coordinator.
func (c *CoordinatorRules) Reigns() bool { return c.reigns }

// Want says that something changed since the last barrier.
func (c *CoordinatorRules) Want() []Effect {
	c.wanted = true
	return c.step()
}

// Demand asks for an epoch now or, if nothing has changed or an attempt is open, as soon as one can be opened. It holds
// for one epoch.
func (c *CoordinatorRules) Demand() []Effect {
	c.demand = true
	return c.step()
}

// Conclude says that the instance ends once its last emission is recorded: from now on nothing is put off.
func (c *CoordinatorRules) Conclude() []Effect {
	c.demand, c.closing = true, true
	return c.step()
}

// Ask takes a request.
func (c *CoordinatorRules) Ask(r Request) []Effect {
	c.requests = append(c.requests, r)
	return c.step()
}

// Emitted says that the sinks took an epoch.
func (c *CoordinatorRules) Emitted(e vnode.Epoch) []Effect {
	c.emitted = max(c.emitted, e)
	c.waiting = slices.DeleteFunc(c.waiting, func(w Waiting) bool { return w.Epoch <= c.emitted })
	return c.step()
}

// Published says that the floor of a number, and every one before, stands in the store.
func (c *CoordinatorRules) Published(k uint64) { c.published = max(c.published, k) }

// Folded takes a compaction, to enter with the seal that its name allows. It may be told of it again.
func (c *CoordinatorRules) Folded(f *backend.Fold) []Effect {
	if slices.ContainsFunc(c.folds, func(g *backend.Fold) bool { return g.Ref.ID == f.Ref.ID }) {
		return nil
	}
	c.folds = append(c.folds, f)
	return c.step()
}

// awaited returns the number from which on the next seal can take every fold that is overdue, or whose fold is not there.
func (c *CoordinatorRules) awaited() (number uint64, lacking string) {
	for _, instance := range c.overdue {
		i := slices.IndexFunc(c.folds, func(f *backend.Fold) bool { return f.Ref.Instance == instance && !f.Late(c.rec.Epoch) })
		if i < 0 {
			return 0, instance
		}
		number = max(number, uint64(c.folds[i].Ref.Epoch))
	}
	return number, ""
}

// AwaitsFold names an instance without whose fold the next epoch, which is wanted, is not opened; empty if there is none.
func (c *CoordinatorRules) AwaitsFold() string {
	if !c.reigns || c.attempt != nil || !c.wanted && !c.movesNow() {
		return ""
	}
	_, lacking := c.awaited()
	return lacking
}

// step does the next thing that is due.
func (c *CoordinatorRules) step() []Effect {
	if c.put != nil || !c.reigns {
		return nil
	}
	if c.attempt != nil {
		if seal := c.seal(); seal != nil {
			return seal // before requests: they must not keep epochs from being sealed
		}
	}
	if admission := c.admit(); admission != nil {
		return admission
	}
	if slices.ContainsFunc(c.requests, func(r Request) bool { return !r.written }) {
		return c.change()
	}
	if c.attempt != nil {
		return nil
	}
	due := c.now >= c.due
	switch {
	case c.mayOpen() && (due || c.demand || c.movesNow()):
		return c.openAttempt()
	case c.owesRecord() && (due || c.closing):
		return c.create(c.next())
	}
	return nil
}

// mayOpen reports whether an epoch is wanted, nobody is lacking who must take part, none waits too long for the sinks,
// and no fold must be awaited.
func (c *CoordinatorRules) mayOpen() bool {
	_, lacking := c.awaited()
	return (c.wanted || c.movesNow()) && c.Lacks() == nil && len(c.waiting) < maxWaiting && lacking == ""
}

// owesRecord reports whether an emission is to be recorded without an epoch: the system goes idle.
func (c *CoordinatorRules) owesRecord() bool {
	return !c.wanted && !c.movesNow() && c.rec.Emitted < c.emitted
}
