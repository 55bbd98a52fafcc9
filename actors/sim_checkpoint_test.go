package actors_test

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// packed is a capture on its way into a segment.
type packed struct {
	capture simCapture
	note    actors.CaptureNote
}

// group is which vnodes go into one segment with v: all that the process owns, or in some worlds half of them.
func (p *process) group(v vnode.ID) []vnode.ID {
	var own []vnode.ID
	for u := range vnode.ID(p.w.capacity) {
		if p.owns(u) {
			own = append(own, u)
		}
	}
	i := slices.Index(own, v)
	switch half := len(own) / 2; {
	case i < 0:
		return nil
	case !p.w.scatter:
		return own
	case i < half:
		return own[:half]
	default:
		return own[half:]
	}
}

// pack is the checkpointer: all vnodes of a group in one segment, then one message to the coordinator and one to the
// merger. A vnode that captures an attempt again, in its next life, goes alone.
func (p *process) pack(a vnode.Attempt, c packed) {
	if a.Compare(p.packing) < 0 || a.Version != p.view.Assignment.Version {
		return
	}
	if a != p.packing {
		p.packing, p.captures, p.told = a, make([]*packed, p.w.capacity), nil
	}
	group := p.group(c.note.Vnode)
	again := p.captured(group) != nil
	p.captures[c.note.Vnode] = &c
	if again {
		p.put(a, []*packed{&c})
	} else if all := p.captured(group); all != nil {
		p.put(a, all)
	}
}

// captured returns the captures of a group, if all are there.
func (p *process) captured(group []vnode.ID) []*packed {
	var all []*packed
	for _, v := range group {
		if p.captures[v] == nil {
			return nil
		}
		all = append(all, p.captures[v])
	}
	return all
}

// put creates a segment. The request may fail before or after the object stands.
func (p *process) put(a vnode.Attempt, group []*packed) {
	w, e := p.w, vnode.Epoch(a.Number)
	m := actors.Captured{Attempt: a, From: p.self, Segment: backend.SegmentRef{
		Epoch: e, Instance: p.self.Instance, ID: w.uuid(), Through: e,
	}}
	segment, parts := newSimSegment(e, w.capacity), []merger.Partial{}
	for _, c := range group {
		v := c.note.Vnode
		segment.add(&m.Segment, v, c.capture)
		m.Notes = append(m.Notes, c.note)
		part := merger.Partial{Vnode: v, Slice: c.note.Slice, Bytes: c.capture.partial}
		if w.mutation == unboundPartials {
			part.Slice = vnode.SliceID{Attempt: a}
		}
		parts = append(parts, part)
	}
	if w.chance(.3) {
		p.coordinate(func(q *process) { q.coord.Working(a) })
	}
	w.request(p, func() {
		lost := w.chance(w.putLoss)
		if !lost || w.chance(.5) {
			w.store.segments[m.Segment.ID] = segment
		}
		if lost {
			w.count("segment")
			p.coordinate(func(q *process) { q.carry(q.coord.CaptureFailed(a)) })
			return
		}
		p.stored(m, parts)
	})
}

// stored tells of a segment that stands: the coordinator, again and again, and the merger.
func (p *process) stored(m actors.Captured, parts []merger.Partial) {
	w := p.w
	if m.Attempt == p.packing {
		p.told = append(p.told, m)
	}
	p.tellCaptured(m)
	w.tell(p, p.leader(), func(q *process) {
		if q.merge != nil {
			q.order(q.merge.Partials(m.Attempt, parts))
		}
	})
	if w.mutation == earlyEmit {
		var all [][]byte
		for _, part := range parts {
			all = append(all, part.Bytes)
		}
		w.oracle.emit(vnode.Epoch(m.Attempt.Number), foldParts(all))
	}
}

func (p *process) tellCaptured(m actors.Captured) {
	w := p.w
	w.tell(p, p.leader(), func(q *process) {
		if q.coord == nil {
			return
		}
		switch w.mutation {
		case unaligned, aheadCounted:
			w.pretend(m)
		case idsAlone:
			m.From, _ = q.rec.Assignment.InForce(m.From.Instance)
		}
		q.carry(q.coord.Captured(m))
	})
}

// pretend makes captures claim that they stand at the cuts.
func (w *world) pretend(m actors.Captured) {
	for name, cut := range w.named {
		if cut.Attempt == m.Attempt {
			for _, note := range m.Notes {
				note.Positions[name] = vnode.Position{At: cut.At}
			}
		}
	}
}

// compact is the compactor: it plans on the newest record that the process knows, folds for a while, names the result
// by an epoch that is not sealed as far as it knows, and hands it over.
func (p *process) compact() {
	w := p.w
	if p.folding >= 2 || (!w.flows && !w.chance(.04)) {
		return
	}
	var vnodes vnode.Set
	for _, v := range p.group(vnode.ID(w.r.IntN(w.capacity))) {
		vnodes.Add(v)
	}
	rec := p.rec
	for _, plan := range backend.PlanCompaction(rec, vnodes, w.policy) {
		p.folding++
		w.request(p, func() {
			f, segment, ok := w.store.fold(rec, plan, w.mutation == tombstonesDropped)
			if !ok {
				p.folding--
				p.missed(rec)
				return
			}
			f.Ref.Epoch, f.Ref.Instance, f.Ref.ID = p.rec.Epoch+1+vnode.Epoch(w.r.IntN(2)), p.self.Instance, w.uuid()
			segment.epoch = f.Ref.Epoch
			w.request(p, func() { p.folded(f, segment) })
		})
	}
}

func (p *process) folded(f *backend.Fold, segment *simSegment) {
	w := p.w
	p.folding--
	if w.chance(w.putLoss) {
		return
	}
	w.store.segments[f.Ref.ID] = segment
	w.count("fold")
	if w.mutation == foldUnnamed {
		p.retarget(f)
	}
	w.tell(p, p.leader(), func(q *process) {
		if q.coord != nil {
			q.carry(q.coord.Folded(f))
		}
	})
}

// retarget makes a fold replace whatever of its vnodes is a base or not newer than the fold.
func (p *process) retarget(f *backend.Fold) {
	folded := vnode.Set{}
	for _, run := range f.Runs {
		for v := range run.Vnodes.All {
			folded.Add(v)
		}
	}
	f.Runs = nil
	for _, s := range p.rec.Segments {
		run := backend.FoldedRun{Segment: s}
		for v := range s.Vnodes.All {
			if folded.Has(v) && (s.From == 0 || s.Through <= f.Ref.Through) {
				run.Vnodes.Add(v)
			}
		}
		if run.Vnodes.Len() > 0 {
			f.Runs = append(f.Runs, run)
		}
	}
}

// order carries out what the merger asks for.
func (p *process) order(o merger.Order) {
	m := p.merge
	switch {
	case o.Fetch != nil:
		p.w.request(p, func() { p.fetch(m, o.Fetch) })
	case o.Emit != nil:
		p.w.request(p, func() { p.emit(m, o.Emit.Epoch, foldParts(o.Parts)) })
	}
}

// then carries on a merger, if it still is the process's.
func (p *process) then(m *merger.Rules, call func() merger.Order) {
	if p.merge == m {
		p.order(call())
	}
}

// emit gives a result to the sink, which fails for a while now and then.
func (p *process) emit(m *merger.Rules, e vnode.Epoch, result uint64) {
	w := p.w
	if w.now < w.sinkFails {
		w.count("sink")
		m.Failed()
		return
	}
	w.oracle.emit(e, result)
	w.send(p, func() { p.govern(func() []actors.Effect { return p.coord.Emitted(e) }) })
	if p.merge == m {
		maps.DeleteFunc(p.sealed, func(old vnode.Epoch, _ *backend.Record) bool { return old <= e })
	}
	p.then(m, func() merger.Order { return m.Taken(e) })
}

// fetch reads an epoch's partials from the segments that its record names.
func (p *process) fetch(m *merger.Rules, s *merger.Sealed) {
	w, rec := p.w, p.sealed[s.Epoch]
	if p.merge != m {
		return
	}
	if w.chance(w.putLoss) {
		m.Failed()
		return
	}
	var parts []merger.Partial
	for i := range rec.Segments {
		segment := w.store.segments[rec.Segments[i].ID]
		if segment == nil {
			p.missed(rec)
			m.Failed()
			return
		}
		for v, c := range segment.captures {
			if c.partial != nil && c.slice == rec.Tips[v] {
				parts = append(parts, merger.Partial{Vnode: vnode.ID(v), Slice: s.Tips[v], Bytes: c.partial})
			}
		}
	}
	p.then(m, func() merger.Order { return m.Fetched(s, parts) })
}

func foldParts(parts [][]byte) uint64 {
	sum := uint64(0)
	for _, b := range parts {
		sum += binary.LittleEndian.Uint64(b)
	}
	return sum
}
