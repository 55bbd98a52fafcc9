package actors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

type attempt struct {
	id       vnode.Attempt
	demanded bool
	deadline time.Duration
	latest   time.Duration // the deadline at most, however much members are at work
	worked   bool          // a member said that it is
	cuts     map[string]CutNamed
	captures map[vnode.ID]*captured
	plan     *Plan // that its seal carries out; nil if nothing moves
}

type captured struct {
	note    CaptureNote
	from    vnode.Member
	segment *backend.SegmentRef
}

// CaptureNote is what the coordinator must know of one vnode's capture.
type CaptureNote struct {
	Vnode     vnode.ID
	Slice     vnode.SliceID
	Base      vnode.SliceID
	Positions vnode.Positions // of the sources
}

// Captured tells that one instance's segment of an attempt stands in the store.
type Captured struct {
	Attempt vnode.Attempt
	From    vnode.Member
	Segment backend.SegmentRef
	Notes   []CaptureNote
}

// lacks says what the open attempt waits for.
func (c *CoordinatorRules) lacks() error {
	for _, s := range c.rec.Assignment.Sources {
		if _, named := c.attempt.cuts[s.Source]; !named {
			return fmt.Errorf("attempt %v: source %s named no cut", c.attempt.id, s.Source)
		}
	}
	n, first := 0, -1
	for v := range c.rec.Tips {
		if !c.fits(c.attempt.captures[vnode.ID(v)]) {
			if n++; first < 0 {
				first = v
			}
		}
	}
	return fmt.Errorf("attempt %v: %d of %d captures are missing, the first of vnode %d", c.attempt.id, n, len(c.rec.Tips), first)
}

// endAttempt gives up the open attempt; what it captured is still to be sealed.
func (c *CoordinatorRules) endAttempt() {
	if c.attempt != nil {
		c.demand = c.demand || c.attempt.demanded
		c.attempt, c.wanted = nil, true
	}
}

// Cut takes a source's cut. A source that names two is broken, and the attempt with it.
func (c *CoordinatorRules) Cut(n CutNamed) []Effect {
	a := c.attempt
	if a == nil || n.Attempt != a.id || c.sealed || !c.attached(n.Source) {
		return nil
	}
	if old, ok := a.cuts[n.Source]; ok && old.At != n.At {
		c.endAttempt()
		return c.step()
	}
	a.cuts[n.Source] = n
	return c.step()
}

// attached reports whether a source is of the assignment: one that has left it names no cut.
func (c *CoordinatorRules) attached(source string) bool {
	return slices.ContainsFunc(c.rec.Assignment.Sources, func(s vnode.SourceOwner) bool { return s.Source == source })
}

// Captured takes one instance's captures.
func (c *CoordinatorRules) Captured(m Captured) []Effect {
	a := c.attempt
	if a == nil || m.Attempt != a.id || c.sealed {
		return nil
	}
	for _, note := range m.Notes {
		a.captures[note.Vnode] = &captured{note: note, from: m.From, segment: &m.Segment}
	}
	return c.step()
}

// CaptureFailed says that an attempt, or if it is zero the open one, will not fill: a segment cannot be put, or a vnode
// could not capture. It is given up soon instead of at its deadline.
func (c *CoordinatorRules) CaptureFailed(a vnode.Attempt) []Effect {
	if c.attempt != nil && (a.IsZero() || c.attempt.id == a) && !c.sealed {
		c.attempt.deadline = min(c.attempt.deadline, c.now+c.pause())
		c.attempt.latest = c.attempt.deadline // whoever is at work on it works in vain
	}
	return nil
}

// Working says that a member is at work on captures of an attempt: its time-out begins anew, up to a bound. What is large
// takes its time, and to begin again would take more.
func (c *CoordinatorRules) Working(a vnode.Attempt) {
	if c.attempt != nil && c.attempt.id == a {
		c.attempt.worked = true
		c.attempt.deadline = max(c.attempt.deadline, min(c.now+c.limits.Timeout, c.attempt.latest))
	}
}

// AtWork reports whether the next epoch waits for what members are making: their segments, or a fold that it must take.
// Another coordinator would have to wait for it as well.
func (c *CoordinatorRules) AtWork() bool {
	return c.attempt != nil && c.attempt.worked && !c.sealed || c.AwaitsFold() != ""
}

func (c *CoordinatorRules) pause() time.Duration { return c.limits.Interval << c.backoff }

// openAttempt opens the next number under the newest record; one with which a fold can enter, if one must.
func (c *CoordinatorRules) openAttempt() []Effect {
	from, _ := c.awaited()
	c.number = max(max(c.number, c.rec.High)+1, from)
	id := vnode.Attempt{Term: c.rec.Term, Number: c.number, Version: c.rec.Assignment.Version}
	c.attempt = &attempt{
		id: id, demanded: c.demand, deadline: c.now + c.limits.Timeout<<c.backoff, latest: c.now + c.limits.Timeout<<maxBackoff,
		cuts: map[string]CutNamed{}, captures: map[vnode.ID]*captured{},
	}
	if c.movesNow() {
		c.attempt.plan = c.plan
	}
	c.wanted, c.demand = false, false
	c.due = c.now + c.limits.Interval
	return []Effect{{Open: &id}}
}

// seal creates the record of the open attempt once every vnode is in.
func (c *CoordinatorRules) seal() []Effect {
	a := c.attempt
	if len(a.captures) < c.rec.Identity.Capacity || len(a.cuts) < len(c.rec.Assignment.Sources) {
		return nil
	}
	for v := range c.rec.Tips {
		if !c.fits(a.captures[vnode.ID(v)]) {
			return nil
		}
	}
	n, err := c.sealing()
	if err != nil {
		return c.stop(fmt.Errorf("seal attempt %v: %w", a.id, err), nil)
	}
	c.sealed = true
	return c.create(n)
}

// sealing is the record that seals the open attempt: every capture fits.
func (c *CoordinatorRules) sealing() (*backend.Record, error) {
	a, n := c.attempt, c.next()
	captures := make([]backend.SealedCapture, len(n.Tips))
	for v := range captures {
		x := a.captures[vnode.ID(v)]
		captures[v] = backend.SealedCapture{Slice: x.note.Slice, Segment: x.segment}
	}
	if err := backend.SealInto(n, a.id, captures); err != nil {
		return nil, err
	}
	c.sealCuts(n)
	c.move(n)
	c.folds = slices.DeleteFunc(c.folds, func(f *backend.Fold) bool { return f.Late(c.rec.Epoch) })
	for _, f := range c.folds {
		backend.ApplyFold(n, c.rec.Epoch, f)
	}
	return n, nil
}

// fits is the check of the seal (I2, I5): the owner in force, every source at its one cut, and a base that is the
// newest slice of the chain, or a newest slice of the same life.
func (c *CoordinatorRules) fits(x *captured) bool {
	if x == nil {
		return false
	}
	owner, ok := c.rec.Assignment.Owner(x.note.Vnode)
	e := vnode.Epoch(c.attempt.id.Number)
	if !ok || owner != x.from || x.segment.Epoch != e || x.segment.Through != e {
		return false
	}
	for _, s := range c.rec.Assignment.Sources {
		cut, named := c.attempt.cuts[s.Source]
		if !named || x.note.Positions[s.Source].At != cut.At {
			return false
		}
	}
	tip := c.rec.Tips[x.note.Vnode]
	return x.note.Base == tip || x.note.Slice.Life == tip.Life
}

// sealCuts writes the cuts, and lets ended sources leave the assignment.
func (c *CoordinatorRules) sealCuts(n *backend.Record) {
	left := false
	for _, cut := range c.attempt.cuts {
		left = left || cut.Ended
		to := backend.Cut{Source: cut.Source, At: cut.At, Ended: cut.Ended}
		i, found := slices.BinarySearchFunc(n.Cuts, cut.Source, func(c backend.Cut, s string) int { return strings.Compare(c.Source, s) })
		if found {
			n.Cuts[i] = to
		} else {
			n.Cuts = slices.Insert(n.Cuts, i, to)
		}
	}
	if left {
		n.Assignment.Version++
		n.Assignment.Sources = slices.DeleteFunc(n.Assignment.Sources, func(s vnode.SourceOwner) bool {
			return c.attempt.cuts[s.Source].Ended
		})
	}
}
