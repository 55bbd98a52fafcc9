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

// group is which vnodes go into one segment: all, or in some worlds half of them, as if there were two instances.
func (w *world) group(v vnode.ID) (first, end vnode.ID) {
	all := vnode.ID(w.capacity)
	switch half := all / 2; {
	case !w.scatter:
		return 0, all
	case v < half:
		return 0, half
	default:
		return half, all
	}
}

// pack is the checkpointer: all vnodes of a group in one segment, then one message to the coordinator and one to the
// merger. A vnode that captures an attempt again, in its next life, goes alone.
func (p *process) pack(a vnode.Attempt, c packed) {
	if a.Compare(p.packing) < 0 {
		return
	}
	if a != p.packing {
		p.packing, p.captures = a, make([]*packed, p.w.capacity)
	}
	first, end := p.w.group(c.note.Vnode)
	again := full(p.captures[first:end])
	p.captures[c.note.Vnode] = &c
	switch {
	case again:
		p.put(a, []*packed{&c})
	case full(p.captures[first:end]):
		p.put(a, p.captures[first:end])
	}
}

func full(captures []*packed) bool { return !slices.Contains(captures, nil) }

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
	w.request(p, func() {
		lost := w.chance(w.putLoss)
		if !lost || w.chance(.5) {
			w.store.segments[m.Segment.ID] = segment
		}
		if lost {
			w.count("segment")
			p.carry(p.coord.CaptureFailed(a))
			return
		}
		p.captured(m, parts)
	})
}

func (p *process) captured(m actors.Captured, parts []merger.Partial) {
	w := p.w
	for range 3 {
		w.send(p, func() {
			p.pretend(m)
			p.carry(p.coord.Captured(m))
		})
	}
	w.send(p, func() { p.order(p.merge.Partials(m.Attempt, parts)) })
	if w.mutation == earlyEmit {
		var all [][]byte
		for _, part := range parts {
			all = append(all, part.Bytes)
		}
		w.oracle.emit(vnode.Epoch(m.Attempt.Number), foldParts(all))
	}
}

// pretend makes captures claim that they stand at the cuts.
func (p *process) pretend(m actors.Captured) {
	if p.w.mutation != unaligned {
		return
	}
	for _, s := range p.sources {
		if s == nil {
			continue
		}
		if cut, ok := s.rules.Cut(); ok {
			for _, note := range m.Notes {
				note.Positions[s.name] = vnode.Position{At: cut.At}
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
	first, end := w.group(vnode.ID(w.r.IntN(w.capacity)))
	for v := first; v < end; v++ {
		vnodes.Add(v)
	}
	rec := p.rec
	plan, worth := backend.PlanCompaction(rec, vnodes, w.policy)
	if !worth {
		return
	}
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
	w.send(p, func() { p.carry(p.coord.Folded(f)) })
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
	switch {
	case o.Fetch != nil:
		p.w.request(p, func() { p.fetch(o.Fetch) })
	case o.Emit != nil:
		p.w.request(p, func() { p.emit(o.Emit.Epoch, foldParts(o.Parts)) })
	}
}

// emit gives a result to the sink, which fails for a while now and then.
func (p *process) emit(e vnode.Epoch, result uint64) {
	w := p.w
	if w.now < w.sinkFails {
		w.count("sink")
		p.merge.Failed()
		return
	}
	w.oracle.emit(e, result)
	w.send(p, func() { p.carry(p.coord.Emitted(e)) })
	maps.DeleteFunc(p.sealed, func(old vnode.Epoch, _ *backend.Record) bool { return old <= e })
	p.order(p.merge.Taken(e))
}

// fetch reads an epoch's partials from the segments that its record names.
func (p *process) fetch(s *merger.Sealed) {
	w, rec := p.w, p.sealed[s.Epoch]
	if w.chance(w.putLoss) {
		p.merge.Failed()
		return
	}
	var parts []merger.Partial
	for i := range rec.Segments {
		segment := w.store.segments[rec.Segments[i].ID]
		if segment == nil {
			p.missed(rec)
			p.merge.Failed()
			return
		}
		for v, c := range segment.captures {
			if c.partial != nil && c.slice == rec.Tips[v] {
				parts = append(parts, merger.Partial{Vnode: vnode.ID(v), Slice: s.Tips[v], Bytes: c.partial})
			}
		}
	}
	p.order(p.merge.Fetched(s, parts))
}

func foldParts(parts [][]byte) uint64 {
	sum := uint64(0)
	for _, b := range parts {
		sum += binary.LittleEndian.Uint64(b)
	}
	return sum
}
