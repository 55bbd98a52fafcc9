package actors_test

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// simStore is the object store of a simulated world: records, floor objects and segments, each operation atomic.
type simStore struct {
	records  map[uint64]*backend.Record
	truth    []*backend.Record // what the ledger says for ever, by sequence
	floors   map[uint64]uint64 // floor number -> sequence
	segments map[uuid.UUID]*simSegment
}

// simSegment is what one process captured for one attempt, or what a compaction made.
type simSegment struct {
	epoch    vnode.Epoch // in its name
	captures []simCapture
}

// simCapture is one vnode's part of a segment.
type simCapture struct {
	slice     vnode.SliceID
	from      vnode.Epoch // delta holds the changes since
	delta     []byte
	entries   int
	partial   []byte
	producers vnode.Positions // nil if they are those of the slice below
	applied   applied
}

// applied says, for the oracle alone, which event of every generation of a plain producer was the last to be applied:
// what a generation left behind when another followed stays, though no record says its position any more.
type applied map[generation]uint64

func newSimSegment(e vnode.Epoch, capacity int) *simSegment {
	return &simSegment{epoch: e, captures: make([]simCapture, capacity)}
}

// add puts a vnode into the segment and the segment's reference.
func (s *simSegment) add(ref *backend.SegmentRef, v vnode.ID, c simCapture) {
	s.captures[v] = c
	ref.Size += int64(len(c.delta) + len(c.partial))
	if c.entries == 0 && len(c.producers) == 0 {
		return
	}
	ref.Vnodes.Add(v)
	ref.Live += int64(len(c.delta))
	ref.Entries += int64(c.entries)
	ref.From = max(ref.From, c.from)
}

func newSimStore(capacity int) *simStore {
	genesis := &backend.Record{
		Identity:   backend.Identity{Format: 1, Capacity: capacity, App: "sim"},
		Assignment: vnode.Assignment{Owners: make([]int, capacity)},
		Tips:       make([]vnode.SliceID, capacity),
	}
	for v := range genesis.Assignment.Owners {
		genesis.Assignment.Owners[v] = vnode.Unowned
	}
	return &simStore{
		records: map[uint64]*backend.Record{0: genesis}, truth: []*backend.Record{genesis},
		floors: map[uint64]uint64{}, segments: map[uuid.UUID]*simSegment{},
	}
}

func (s *simStore) newest() *backend.Record { return s.truth[len(s.truth)-1] }

// find searches the newest record from a hint, as a reader does: forward, then past every floor (I9).
func (s *simStore) find(hint uint64, checked bool) *backend.Record {
	at := hint
	for {
		if s.records[at] == nil {
			at = s.highestFloor()
		}
		for s.records[at+1] != nil {
			at++
		}
		r := s.records[at]
		if r != nil && (!checked || !s.void(r.Floor.K, r.Seq)) {
			return r
		}
		at = s.highestFloor()
	}
}

func (s *simStore) highestFloor() uint64 {
	at := uint64(0)
	for _, seq := range s.floors {
		at = max(at, seq)
	}
	return at
}

// void follows the floors from number k upward and reports whether one of them lies above seq.
func (s *simStore) void(k, seq uint64) bool {
	for ; ; k++ {
		floor, ok := s.floors[k]
		if !ok && k > 0 {
			return false
		}
		if ok && floor > seq {
			return true
		}
	}
}

// waiting lists the epochs that are sealed and not emitted.
func (s *simStore) waiting(rec *backend.Record) []actors.Waiting {
	var out []actors.Waiting
	for seq := rec.Floor.Seq; seq <= rec.Seq; seq++ {
		r := s.records[seq]
		if r == nil || r.Epoch <= rec.Emitted || (len(out) > 0 && out[len(out)-1].Epoch == r.Epoch) {
			continue
		}
		out = append(out, actors.Waiting{Epoch: r.Epoch, Seq: r.Seq})
	}
	return out
}

// chain is what the store holds of a vnode.
type chain struct {
	slice     vnode.SliceID // newest, if any segment holds one
	from      vnode.Epoch
	deltas    [][]byte        // oldest first
	producers vnode.Positions // newest
	applied   applied         // newest
}

func (c *chain) add(x *simCapture) {
	if len(c.deltas) == 0 {
		c.from = x.from
	}
	c.slice, c.deltas, c.applied = x.slice, append(c.deltas, x.delta), x.applied
	if x.producers != nil {
		c.producers = x.producers
	}
}

// read reads the chain of a vnode; false if a segment is missing.
func (s *simStore) read(rec *backend.Record, v vnode.ID) (c chain, ok bool) {
	for i := range rec.Segments {
		ref := &rec.Segments[i]
		if !ref.Vnodes.Has(v) {
			continue
		}
		segment := s.segments[ref.ID]
		if segment == nil {
			return chain{}, false
		}
		c.add(&segment.captures[v])
	}
	return c, true
}

// fold carries out a plan made on rec. The result has no name yet; false if a segment is missing.
func (s *simStore) fold(rec *backend.Record, plan backend.FoldPlan, dropAlways bool) (*backend.Fold, *simSegment, bool) {
	f := &backend.Fold{Ref: backend.SegmentRef{Through: plan.Segments[len(plan.Segments)-1].Through}}
	segment := newSimSegment(0, rec.Identity.Capacity)
	for _, ref := range plan.Segments {
		f.Runs = append(f.Runs, backend.FoldedRun{Segment: ref})
	}
	for v := range plan.Vnodes.All {
		var run chain
		for i := range f.Runs {
			r := &f.Runs[i]
			if !r.Segment.Vnodes.Has(v) {
				continue
			}
			from := s.segments[r.Segment.ID]
			if from == nil {
				return nil, nil, false
			}
			c := &from.captures[v]
			run.add(c)
			r.Vnodes.Add(v)
			r.Live += int64(len(c.delta))
			r.Entries += int64(c.entries)
		}
		base := slices.ContainsFunc(f.Runs, func(r backend.FoldedRun) bool {
			return r.Vnodes.Has(v) && r.Segment.ID == rec.Segments[rec.Chain(v)[0]].ID
		})
		c := simCapture{slice: run.slice, from: run.from, producers: run.producers, applied: run.applied}
		if base {
			f.Bases.Add(v)
			c.from = 0
		}
		c.delta, c.entries = foldDeltas(run.deltas, base || dropAlways)
		segment.add(&f.Ref, v, c)
	}
	return f, segment, true
}

// foldDeltas keeps the newest entry of every key; tombstones too, unless nothing is below.
func foldDeltas(deltas [][]byte, base bool) (folded []byte, entries int) {
	newest := map[string]vnode.Entry{}
	for _, rest := range deltas {
		for len(rest) > 0 {
			var e vnode.Entry
			var err error
			if e, rest, err = vnode.NextEntry(rest); err != nil {
				panic(err)
			}
			newest[string(e.Key)] = e
		}
	}
	for _, k := range slices.Sorted(maps.Keys(newest)) {
		if e := newest[k]; !e.Deleted || !base {
			folded = vnode.AppendEntry(folded, e)
			entries++
		}
	}
	return folded, entries
}
