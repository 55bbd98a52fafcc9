package actors_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// simStore is the object store of a simulated world: records, floor objects and segments, each operation atomic.
type simStore struct {
	records  map[uint64]*backend.Record
	truth    []*backend.Record // what the ledger says for ever, by sequence
	floors   map[uint64]uint64 // floor number -> sequence
	segments map[string]simSegment
}

// simSegment is what one process captured for one attempt.
type simSegment map[vnode.ID]simCapture

type simCapture struct {
	slice     vnode.SliceID
	delta     []byte
	partial   []byte
	producers vnode.Positions
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
		floors: map[uint64]uint64{}, segments: map[string]simSegment{},
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

// create puts a record at its sequence if that is free.
func (w *world) create(rec *backend.Record) (standing *backend.Record) {
	s := w.store
	if old := s.records[rec.Seq]; old != nil {
		return old
	}
	s.records[rec.Seq] = rec
	if rec.Seq == uint64(len(s.truth)) {
		s.truth = append(s.truth, rec)
		w.oracle.record(rec)
		w.sayf("LEDGER %d by %s term %d version %d epoch %d cuts %v emitted %d floor %v", rec.Seq, w.who(rec.Writer),
			rec.Term, rec.Assignment.Version, rec.Epoch, rec.Cuts, rec.Emitted, rec.Floor)
	} else {
		w.count("revived")
	}
	return rec
}

// append carries out one try at creating a record: the request may be lost, the answer may be lost, the writer may
// sleep before it looks at the floors.
func (w *world) append(p *process, rec *backend.Record) {
	w.later(nil, func() {
		lost := w.chance(w.putLoss)
		if !lost {
			w.create(rec)
		}
		if lost || w.chance(w.putLoss) {
			w.count("put")
			p.outcome(rec, backend.Unknown)
			return
		}
		w.later(nil, func() { w.verdict(p, rec) })
	})
}

func (w *world) verdict(p *process, rec *backend.Record) {
	standing := w.store.records[rec.Seq]
	switch {
	case w.mutation != floorUnchecked && w.store.void(max(rec.Floor.K, 1)-1, rec.Seq):
		p.outcome(rec, backend.Void)
	case standing == nil:
		p.outcome(rec, backend.Unknown)
	case standing.Nonce != rec.Nonce:
		p.lost(rec, standing)
	default:
		p.outcome(rec, backend.Won)
	}
}

// collect is a pass of the collector after the record that it has in hand: publish its floor, then delete what lies
// below. Each step may come much later, or never.
func (w *world) collect(p *process, rec *backend.Record) {
	if rec.Floor.K == 0 {
		return
	}
	w.later(p, func() {
		if w.store.floors[rec.Floor.K] == 0 {
			w.store.floors[rec.Floor.K] = rec.Floor.Seq
			w.sayf("FLOOR %d = %d", rec.Floor.K, rec.Floor.Seq)
		}
		p.coord.Published(rec.Floor.K)
		w.later(p, func() { w.sweep(p, rec) })
	})
}

func (w *world) sweep(p *process, rec *backend.Record) {
	keep := map[string]bool{}
	for seq := rec.Floor.Seq; seq <= rec.Seq; seq++ {
		r := w.store.records[seq]
		if r == nil {
			return // another collector is further
		}
		for i := range r.Segments {
			keep[r.Segments[i].Key()] = true
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(w.store.records)) {
		if seq < rec.Floor.Seq {
			w.later(p, func() { delete(w.store.records, seq) })
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.store.segments)) {
		if !keep[key] && epochOf(key) <= rec.Epoch {
			w.later(p, func() {
				delete(w.store.segments, key)
				w.oracle.reachable()
			})
		}
	}
}

// epochOf reads the epoch in a segment's name.
func epochOf(key string) vnode.Epoch {
	var e vnode.Epoch
	if _, err := fmt.Sscanf(key, "segment/%d/", &e); err != nil {
		panic(err)
	}
	return e
}

// read restores a vnode from the segments of a record: its slices in order, its producers' positions.
func (s *simStore) read(rec *backend.Record, v vnode.ID) (deltas [][]byte, producers vnode.Positions, ok bool) {
	for i := range rec.Segments {
		ref := &rec.Segments[i]
		if !ref.Vnodes.Has(v) {
			continue
		}
		seg, stands := s.segments[ref.Key()]
		if !stands {
			return nil, nil, false
		}
		c := seg[v]
		deltas = append(deltas, c.delta)
		if c.producers != nil {
			producers = c.producers
		}
	}
	return deltas, producers, true
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
