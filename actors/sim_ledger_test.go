package actors_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// append carries out one try at creating a record: create, look what stands there, look at the floors. The request may
// be lost, the answer may be lost, and the writer may sleep before each step.
func (w *world) append(p *process, rec *backend.Record) { w.try(p, p.coord, rec) }

func (w *world) try(p *process, c *actors.CoordinatorRules, rec *backend.Record) {
	w.request(nil, func() {
		var standing *backend.Record
		lost := w.chance(w.putLoss)
		if !lost {
			standing = w.create(rec)
		}
		if !lost && !w.chance(w.putLoss) {
			w.request(nil, func() { w.judge(p, c, rec, standing) })
			return
		}
		w.count("put")
		if w.chance(.5) {
			w.outcome(p, c, rec, backend.Unknown, nil)
			return
		}
		w.request(nil, func() {
			standing := w.store.records[rec.Seq]
			w.request(nil, func() { w.judge(p, c, rec, standing) })
		})
	})
}

// create puts a record at its sequence if that is free, and returns what stands there.
func (w *world) create(rec *backend.Record) *backend.Record {
	s := w.store
	if old := s.records[rec.Seq]; old != nil {
		return old
	}
	s.records[rec.Seq] = rec
	if rec.Seq != uint64(len(s.truth)) {
		w.count("revived")
		return rec
	}
	s.truth = append(s.truth, rec)
	if w.trace != nil {
		var members []string
		for _, m := range rec.Assignment.Members {
			members = append(members, w.who(m))
		}
		w.sayf("LEDGER %d by %s term %d version %d members %v owners %v sources %v epoch %d cuts %v producers %v emitted %d floor %v chain %d pins %d", rec.Seq, w.who(rec.Writer),
			rec.Term, rec.Assignment.Version, members, rec.Assignment.Owners, rec.Assignment.Sources, rec.Epoch, rec.Cuts, rec.Producers, rec.Emitted, rec.Floor, rec.LongestChain(), len(rec.Pins))
	}
	w.oracle.record(rec)
	return rec
}

func (w *world) judge(p *process, c *actors.CoordinatorRules, rec, standing *backend.Record) {
	switch {
	case w.mutation != floorUnchecked && w.store.void(max(rec.Floor.K, 1)-1, rec.Seq):
		w.outcome(p, c, rec, backend.Void, nil)
	case standing == nil:
		w.outcome(p, c, rec, backend.Unknown, nil)
	case standing.Nonce != rec.Nonce:
		w.outcome(p, c, rec, backend.Lost, standing)
	default:
		w.outcome(p, c, rec, backend.Won, nil)
	}
}

// outcome tells the coordinator how its append went, and what stands there if it lost.
func (w *world) outcome(p *process, c *actors.CoordinatorRules, rec *backend.Record, o backend.Outcome, winner *backend.Record) {
	if o == backend.Unknown && w.mutation == readBackFailed {
		o, winner = backend.Lost, w.store.truth[rec.Seq-1]
	}
	if o == backend.Lost && w.mutation == lossTaken && p.newest != nil {
		taken := *winner
		taken.Term = p.newest.Term
		winner = &taken
	}
	w.post(p, func() {
		if p.coord == c {
			p.carry(c.Outcome(o, winner))
		}
	})
}

// pin keeps an epoch: the process's own coordinator does, or a tool beside it. The tool makes the newest record that it
// finds keep a retained one, and may sleep before it writes.
func (w *world) pin(p *process) {
	w.count("pin")
	name := fmt.Sprintf("pin%d", w.r.IntN(maxPins))
	if p.began() && p.rec != nil && !p.paused && w.chance(.3) {
		request, refusal := actors.Request{Pin: name, Version: p.rec.Term}, backend.ErrPinTaken
		if w.chance(.4) {
			request, refusal = actors.Request{Unpin: name, Version: p.rec.Term}, backend.ErrNoPin
		}
		w.oracle.asks(p, request)
		p.ask(name, request, func(a *actors.Answer) {
			if a.Err != nil && !errors.Is(a.Err, refusal) && !errors.Is(a.Err, backend.ErrUnsealed) && !errors.Is(a.Err, actors.ErrChanged) {
				failf("I8 %s was refused: %v", name, a.Err)
			}
		})
		return
	}
	newest := w.store.find(w.hint(), true)
	pinned := w.store.records[newest.Floor.Seq+w.r.Uint64N(newest.Seq-newest.Floor.Seq+1)]
	if pinned == nil {
		return
	}
	n := newest.Next(vnode.Member{Instance: "tool", Incarnation: w.uuid()}, newest.Time)
	_ = backend.WithoutPin(n, name) // if there is one
	if err := backend.WithPin(n, name, pinned); err != nil && !errors.Is(err, backend.ErrUnsealed) {
		panic(err)
	}
	w.request(nil, func() { w.create(n) })
}

const maxPins = 2

// collect is a pass of the collector after the record that it has in hand: publish its floor, then delete what lies
// below. Each step may come much later, or never.
func (w *world) collect(p *process, rec *backend.Record) {
	if rec.Floor.K == 0 {
		return
	}
	w.request(p, func() {
		if w.store.floors[rec.Floor.K] == 0 {
			w.store.floors[rec.Floor.K] = rec.Floor.Seq
			w.sayf("FLOOR %d = %d", rec.Floor.K, rec.Floor.Seq)
		}
		if p.coord != nil {
			p.coord.Published(rec.Floor.K)
		}
		w.request(p, func() { w.sweep(p, rec) })
	})
}

// sweep deletes the records below the floor that no pin keeps, and the segments that nothing names and nothing may come to name.
func (w *world) sweep(p *process, rec *backend.Record) {
	keep := w.kept(rec)
	if keep == nil {
		return // another collector is further
	}
	for _, seq := range slices.Sorted(maps.Keys(w.store.records)) {
		pinned := slices.ContainsFunc(rec.Pins, func(p backend.Pin) bool { return p.Seq == seq })
		if seq < rec.Floor.Seq && !pinned {
			w.request(p, func() { delete(w.store.records, seq) })
		}
	}
	ids := slices.SortedFunc(maps.Keys(w.store.segments), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		if !keep[id] && w.store.segments[id].epoch <= rec.Epoch {
			w.request(p, func() {
				delete(w.store.segments, id)
				w.oracle.deleted(id)
			})
		}
	}
}

// kept are the segments that records from the floor on or pins name; nil if one of the records is gone.
func (w *world) kept(rec *backend.Record) map[uuid.UUID]bool {
	keep := map[uuid.UUID]bool{}
	for seq := rec.Floor.Seq; seq <= rec.Seq; seq++ {
		r := w.store.records[seq]
		if r == nil {
			return nil
		}
		for i := range r.Segments {
			keep[r.Segments[i].ID] = true
		}
	}
	if w.mutation == pinsUnknown {
		return keep
	}
	for _, pin := range rec.Pins {
		pinned := w.store.records[pin.Seq]
		if pinned == nil {
			return nil // the pin is gone by now
		}
		for i := range pinned.Segments {
			keep[pinned.Segments[i].ID] = true
		}
	}
	return keep
}
