package vnode

import (
	"maps"
	"slices"
)

// Rules is what a vnode decides during one life: which events count (I4), when it is aligned (I5), what it captures
// and on what its captures build (I2). It is a pure state machine: calls in, a [Step] out. The slice, the held-back
// batches and all I/O belong to the caller, which must carry out every step in full before the next call.
type Rules struct {
	self  Member
	since uint64 // version of the assignment with which self came
	id    ID
	life  Life
	view  *View

	standing Positions
	sealed   Positions // standing at base
	base     SliceID   // newest sealed slice of this history
	pending  []pending // captures that no record has named yet, oldest first

	marks   uint64  // captures of this life
	high    Attempt // highest seen
	open    Attempt // being aligned; zero for none
	got     map[string]bool
	holding bool // the caller holds batches back
	stopped bool // it is about to move: whatever comes is held back
}

// maxPending is how many captures a life remembers that no record has named (I8). If one is named that is forgotten,
// the life ends.
const maxPending = 8

type pending struct {
	slice    SliceID
	mark     uint64
	standing Positions
}

// Step is what a call asks of the caller, in this order: apply, capture, hold, release, the rest.
type Step struct {
	Apply   bool   // apply the batch's events at positions above Above
	Above   uint64 //
	Capture *CaptureOrder
	Hold    bool // keep the batch, behind those already held
	Release bool // deliver all held batches again, oldest first

	Reply  Reply
	Sealed uint64 // a record named the capture of this mark: forget the changes up to it; 0 for none
	Acks   []Reply
	Lost   bool // this history is not the sealed one, or another owns the vnode: drop the slice, end the life
}

// CaptureOrder asks for a capture in this very turn (I3).
type CaptureOrder struct {
	Attempt   Attempt
	Slice     SliceID
	Base      SliceID
	Mark      uint64    // numbers the captures of a life from 1
	Sources   Positions // of every source of the assignment: its cut
	Producers Positions // of plain producers in force; nil if they are those of Base
}

// NewRules begins a life: restored says which slice was restored and where every origin stood at it.
func NewRules(self Member, id ID, life Life, view *View, restored SliceID, positions Positions) *Rules {
	return &Rules{
		self: self, since: view.Assignment.SinceOf(self), id: id, life: life, view: view, base: restored,
		standing: positions.Clone(), sealed: positions.Clone(), got: map[string]bool{},
	}
}

// Standing returns how far the origin has been applied.
func (r *Rules) Standing(origin string) Position { return r.standing[origin] }

// Sealed returns how far the origin's events are sealed.
func (r *Rules) Sealed(origin string) Position { return r.sealed[origin] }

// Base returns the newest sealed slice of this life's history.
func (r *Rules) Base() SliceID { return r.base }

// Announce returns where this life stands for every source and producer in force, so that they replay from there.
func (r *Rules) Announce() []Reply {
	var out []Reply
	for _, s := range r.view.Sources {
		h := Header{Origin: s, Round: AnyRound}
		out = append(out, r.reply(Gap, &h, r.standingOf(&h)))
	}
	for _, name := range slices.Sorted(maps.Keys(r.view.Generations)) {
		h := Header{Origin: name, Generation: r.view.Generations[name], Round: AnyRound}
		out = append(out, r.reply(Gap, &h, r.standingOf(&h)))
	}
	return out
}

// AnyRound in a reply is at or above every round: a new life speaks for itself, not about a batch.
const AnyRound = ^uint64(0)

// Deliver decides about one batch.
func (r *Rules) Deliver(h *Header) Step {
	if h.IsSource() {
		return r.deliverSource(h)
	}
	return r.deliverProducer(h)
}

func (r *Rules) deliverProducer(h *Header) Step {
	inForce := r.view.Generations[h.Origin]
	switch {
	case h.Generation > r.view.LastGeneration:
		return r.hold()
	case h.Generation != inForce:
		return Step{Reply: r.reply(Superseded, h, 0)}
	}
	if r.stopped {
		return r.hold()
	}
	at := r.standingOf(h)
	if h.From > at {
		return Step{Reply: r.reply(Gap, h, at)}
	}
	return r.take(h, at)
}

func (r *Rules) deliverSource(h *Header) Step {
	at := r.standingOf(h)
	switch {
	case h.Version > r.view.Assignment.Version:
		return r.hold()
	case h.Version < r.view.Assignment.Version || !r.view.HasSource(h.Origin):
		return Step{Reply: r.reply(Stale, h, at)}
	}
	if h.Barrier.IsZero() && h.To <= at {
		return Step{Reply: r.reply(Took, h, at)} // nothing of it is new: it asks where this vnode stands, or comes again
	}
	if !h.Barrier.IsZero() && r.raise(h.Barrier) && r.holding {
		step := r.hold()
		step.Release, r.holding = true, false
		return step
	}
	if r.stopped {
		return r.hold()
	}
	aligning := !r.open.IsZero()
	if aligning && r.got[h.Origin] && h.Barrier != r.open {
		return r.hold()
	}
	switch {
	case h.From > at:
		return Step{Reply: r.reply(Gap, h, at)}
	case !h.Barrier.IsZero() && at > h.To:
		return Step{Reply: r.reply(Ahead, h, at)}
	}
	step := r.take(h, at)
	if aligning && h.Barrier == r.open {
		r.got[h.Origin] = true
		r.align(&step)
	}
	return step
}

// take applies the part of a batch above at and stands at its end.
func (r *Rules) take(h *Header, at uint64) Step {
	to := max(at, h.To)
	r.standing[h.Origin] = Position{Generation: h.Generation, At: to}
	step := Step{Apply: h.To > at, Above: at, Reply: r.reply(Took, h, to)}
	step.Reply.Barrier = h.Barrier
	return step
}

// Open tells of an attempt. Without sources the open is the barrier.
func (r *Rules) Open(a Attempt) Step {
	var step Step
	if !r.raise(a) {
		return step
	}
	r.align(&step)
	if r.holding {
		step.Release, r.holding = true, false
	}
	return step
}

// raise makes a the attempt being aligned if it is above every attempt seen and opened under the assignment known here,
// and reports whether it did.
func (r *Rules) raise(a Attempt) bool {
	if a.Term < r.view.Term || a.Version != r.view.Assignment.Version || a.Compare(r.high) <= 0 {
		return false
	}
	r.high, r.open, r.stopped = a, a, false
	clear(r.got)
	return true
}

// Stop says that the capture of an attempt, which has just been ordered, moves the vnode: what comes behind it is held
// back until a higher attempt is opened, or a record leaves the vnode here.
func (r *Rules) Stop(a Attempt) { r.stopped = a == r.high }

// align captures once every source of the assignment stands at its cut.
func (r *Rules) align(step *Step) {
	if len(r.got) < len(r.view.Sources) {
		return
	}
	a := r.open
	r.open = Attempt{}
	clear(r.got)
	order := &CaptureOrder{
		Attempt: a, Slice: SliceID{Life: r.life, Attempt: a}, Base: r.base,
		Mark: r.nextMark(), Sources: r.sources(), Producers: r.producers(),
	}
	if len(r.pending) == maxPending {
		r.pending = append(r.pending[:0], r.pending[1:]...)
	}
	r.pending = append(r.pending, pending{slice: order.Slice, mark: order.Mark, standing: r.standing.Clone()})
	step.Capture = order
	if r.holding {
		step.Release, r.holding = true, false
	}
}

func (r *Rules) nextMark() uint64 {
	r.marks++
	return r.marks
}

func (r *Rules) sources() Positions {
	out := make(Positions, len(r.view.Sources))
	for _, name := range r.view.Sources {
		out[name] = r.standing[name]
	}
	return out
}

// producers returns the positions of producer generations in force if one is not that of the base, and forgets
// generations that are over (I8).
func (r *Rules) producers() Positions {
	var out Positions
	changed := false
	for origin, p := range r.standing {
		switch {
		case p.Generation == 0:
		case r.view.Generations[origin] == p.Generation:
			if out == nil {
				out = Positions{}
			}
			out[origin] = p
			changed = changed || r.sealed[origin] != p
		default:
			delete(r.standing, origin)
		}
	}
	if !changed {
		return nil
	}
	return out
}

// Learn takes a newer record into account.
func (r *Rules) Learn(w *View) Step {
	var step Step
	if w.Seq <= r.view.Seq {
		return step
	}
	r.view, r.stopped = w, false
	if !w.Owns(r.self, r.id) || w.Assignment.SinceOf(r.self) != r.since || !r.adopt(w.Tips[r.id], &step) {
		return Step{Lost: true}
	}
	if !r.open.IsZero() && (r.open.Version != w.Assignment.Version || r.open.Term != w.Term) {
		r.open = Attempt{}
		clear(r.got)
	}
	if r.holding {
		step.Release, r.holding = true, false
	}
	return step
}

// adopt makes tip the base if it is the base already or one of this life's captures.
func (r *Rules) adopt(tip SliceID, step *Step) bool {
	if tip == r.base {
		return true
	}
	for i, p := range r.pending {
		if p.slice != tip {
			continue
		}
		r.base = tip
		r.pending = append(r.pending[:0], r.pending[i+1:]...)
		step.Sealed = p.mark
		step.Acks = r.sealTo(p.standing)
		return true
	}
	return false
}

// sealTo notes what is durable now and returns the news for plain producers.
func (r *Rules) sealTo(at Positions) []Reply {
	var acks []Reply
	for _, origin := range slices.Sorted(maps.Keys(at)) {
		p := at[origin]
		if p.Generation == 0 || r.sealed[origin] == p {
			continue
		}
		acks = append(acks, Reply{
			Kind: Took, Vnode: r.id, Origin: origin, Generation: p.Generation,
			Standing: r.standing[origin].At, Sealed: p.At, Round: AnyRound,
		})
	}
	r.sealed = at
	return acks
}

func (r *Rules) hold() Step {
	r.holding = true
	return Step{Hold: true}
}

// standingOf is where the origin of h stands under h's generation.
func (r *Rules) standingOf(h *Header) uint64 {
	if p := r.standing[h.Origin]; p.Generation == h.Generation {
		return p.At
	}
	return 0
}

func (r *Rules) reply(kind ReplyKind, h *Header, at uint64) Reply {
	reply := Reply{
		Kind: kind, Vnode: r.id, Origin: h.Origin, Generation: h.Generation,
		Standing: at, Version: r.view.Assignment.Version, Round: h.Round,
	}
	if p := r.sealed[h.Origin]; p.Generation == h.Generation {
		reply.Sealed = p.At
	}
	return reply
}
