package backend_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// chainStore is a store of segments and the records over them.
type chainStore struct {
	objects *segmentObjects
	records []*backend.Record
	ids     uint64
}

func newChainStore(t rapid.TB, capacity int) *chainStore {
	t.Helper()
	genesis := &backend.Record{
		Identity: backend.Identity{Format: 1, Capacity: capacity, App: "flights"},
		Tips:     make([]vnode.SliceID, capacity),
	}
	return &chainStore{objects: newSegmentObjects(), records: []*backend.Record{genesis}}
}

func (s *chainStore) newest() *backend.Record { return s.records[len(s.records)-1] }

func (s *chainStore) id() uuid.UUID {
	s.ids++
	id := uuid.UUID{0xf0}
	binary.BigEndian.PutUint64(id[8:], s.ids)
	return id
}

// next is the record that a seal begins with.
func (s *chainStore) next() *backend.Record {
	n := s.newest().Next(segmentWriter, time.Time{})
	n.Nonce = s.id()
	return n
}

// put puts a segment of the epoch.
func (s *chainStore) put(t rapid.TB, epoch uint64, captures ...backend.Capture) *backend.SegmentRef {
	t.Helper()
	meta := segmentMeta(len(s.newest().Tips), epoch)
	meta.ID = s.id()
	ref := storeSegment(t, s.objects, meta, captures)
	return &ref
}

// seal puts one segment with a capture of every vnode, and seals it.
func (s *chainStore) seal(t rapid.TB, captures ...backend.Capture) {
	t.Helper()
	attempt := captures[0].Slice.Attempt
	ref := s.put(t, attempt.Number, captures...)
	taken := make([]backend.SealedCapture, len(captures))
	for _, c := range captures {
		taken[c.Vnode] = backend.SealedCapture{Slice: c.Slice, Segment: ref}
	}
	n := s.next()
	if err := backend.SealInto(n, attempt, taken); err != nil {
		t.Fatal(err)
	}
	s.records = append(s.records, n)
}

func (s *chainStore) history(yield func(*backend.Record, error) bool) {
	for i := range s.records {
		if !yield(s.records[len(s.records)-1-i], nil) {
			return
		}
	}
}

// verify returns what Verify reports.
func (s *chainStore) verify(t rapid.TB) []error {
	t.Helper()
	var problems []error
	if _, err := backend.Verify(context.Background(), s.objects, s.history, func(err error) { problems = append(problems, err) }); err != nil {
		t.Fatal(err)
	}
	return problems
}

// compact folds as the plan says into a segment of the next epoch.
func (s *chainStore) compact(t rapid.TB, plan backend.FoldPlan) *backend.Fold {
	t.Helper()
	var fold *backend.Fold
	err := backend.Compact(context.Background(), s.objects, s.newest(), []backend.FoldPlan{plan}, func() (backend.FoldName, error) {
		return backend.FoldName{Epoch: s.newest().Epoch + 1, ID: s.id(), Writer: segmentWriter}, nil
	}, func(f *backend.Fold) { fold = f })
	if err != nil {
		t.Fatal(err)
	}
	return fold
}

func ExampleSegmentRef_Key() {
	ref := backend.SegmentRef{Epoch: 42, Instance: "node-0", ID: uuid.MustParse("0198c5a4-7d1e-7abc-8000-000000000001")}
	fmt.Println(ref.Key())
	// Output: segment/00000000000000000042/node-0-0198c5a4-7d1e-7abc-8000-000000000001
}

// A vnode that panicked and captured again is in two segments of an attempt: only what the seal took counts (I2).
func TestSealTakesOneCaptureOfEachVnode(t *testing.T) {
	ctx := context.Background()
	s := newChainStore(t, 2)
	first, again := captureOf(0, 1, 3, 8), captureOf(0, 1, 2, 8)
	again.Slice.Life.N, again.Partial = 2, []byte("again")
	other := captureOf(1, 1, 1, 8)
	b := s.put(t, 1, again)
	a := s.put(t, 1, first, other)
	n := s.next()
	attempt := first.Slice.Attempt
	same := *a
	if err := backend.SealInto(n, attempt, []backend.SealedCapture{{again.Slice, b}, {other.Slice, &same}}); err != nil {
		t.Fatal(err)
	}
	s.records = append(s.records, n)
	if len(n.Segments) != 2 || n.Epoch != 1 || n.Attempt != attempt || n.High != 1 {
		t.Errorf("got epoch %d, attempt %s, high %d and %d segments, want 1, %s, 1 and 2", n.Epoch, n.Attempt, n.High, len(n.Segments), attempt)
	}
	if chain := n.Chain(0); len(chain) != 1 || n.Segments[chain[0]].ID != b.ID {
		t.Errorf("the chain of vnode 0 is %v, want segment %s alone", chain, b.ID)
	}
	partials, err := backend.Restorer{Objects: s.objects, Record: n}.Partials(ctx)
	if err != nil || string(partials[0]) != "again" || string(partials[1]) != string(other.Partial) {
		t.Errorf("partials: got %q, %v, want those of the captures that were taken", partials, err)
	}
	if problems := s.verify(t); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestSealRefusesCapturesOfAnotherEpoch(t *testing.T) {
	s := newChainStore(t, 1)
	ref := s.put(t, 1, captureOf(0, 1, 1, 1))
	for name, seal := range map[string]func(n *backend.Record) error{
		"later attempt": func(n *backend.Record) error {
			return backend.SealInto(n, sliceOf(2).Attempt, []backend.SealedCapture{{sliceOf(2), ref}})
		},
		"no segment": func(n *backend.Record) error {
			return backend.SealInto(n, sliceOf(1).Attempt, []backend.SealedCapture{{sliceOf(1), nil}})
		},
		"vnode missing": func(n *backend.Record) error { return backend.SealInto(n, sliceOf(1).Attempt, nil) },
		"sealed already": func(n *backend.Record) error {
			n.Epoch = 1
			return backend.SealInto(n, sliceOf(1).Attempt, []backend.SealedCapture{{sliceOf(1), ref}})
		},
	} {
		n := s.next()
		if err := seal(n); err == nil || len(n.Segments) > 0 {
			t.Errorf("%s: got %v and %d segments, want an error and no change", name, err, len(n.Segments))
		}
	}
}

// A fold that dropped tombstones may stand only at the beginning of a chain (I2).
func TestFoldFromTheBaseEntersOnlyAtTheBeginning(t *testing.T) {
	s := newChainStore(t, 1)
	s.seal(t, captureOf(0, 1, 1, 1))
	s.seal(t, captureOf(0, 2, 1, 1))
	s.seal(t, captureOf(0, 3, 1, 1))
	plan := backend.FoldPlan{Segments: s.newest().Segments[1:]}
	plan.Vnodes.Add(0)
	f := s.compact(t, plan)
	s.seal(t, captureOf(0, 4, 1, 1))
	f.Bases.Add(0)
	if backend.ApplyFold(s.newest(), 3, f) {
		t.Error("a fold that dropped tombstones entered above a base")
	}
	f.Bases.Remove(0)
	if !backend.ApplyFold(s.newest(), 3, f) || len(s.newest().Chain(0)) != 3 {
		t.Errorf("the fold was not taken: chain %v, want 3 segments", s.newest().Chain(0))
	}
}

// Of two folds that share a slice of a chain only one enters, although the other's segments are still live for
// another vnode (I2).
func TestFoldOfWhatIsFoldedAlreadyIsRefused(t *testing.T) {
	s := newChainStore(t, 2)
	for e := uint64(1); e <= 4; e++ {
		s.seal(t, captureOf(0, e, 1, 1), captureOf(1, e, 1, 1))
	}
	var one, both vnode.Set
	one.Add(0)
	both.Add(0)
	both.Add(1)
	first := s.compact(t, backend.FoldPlan{Segments: s.newest().Segments[1:3], Vnodes: one})
	second := s.compact(t, backend.FoldPlan{Segments: s.newest().Segments[1:4], Vnodes: both})
	s.seal(t, captureOf(0, 5, 1, 1), captureOf(1, 5, 1, 1))
	if n := s.newest(); !backend.ApplyFold(n, 4, first) || backend.ApplyFold(n, 4, second) {
		t.Errorf("chains %v and %v: want the first fold and not the second", n.Chain(0), n.Chain(1))
	}
	if problems := s.verify(t); len(problems) > 0 {
		t.Error(problems)
	}
}

// Neighbouring frames are read together: requests go with segments, not with vnodes.
func TestRestoreReadsNeighboursTogether(t *testing.T) {
	const capacity = 256
	s := newChainStore(t, capacity)
	for epoch := uint64(1); epoch <= 3; epoch++ {
		var captures []backend.Capture
		for v := range capacity {
			captures = append(captures, captureOf(v, epoch, 40, 50))
		}
		s.seal(t, captures...)
	}
	s.objects.reads, s.objects.read = 0, 0
	states, _ := stored(t, s.objects, s.newest())
	if len(states[0]) != 40 {
		t.Fatalf("vnode 0 has %d keys, want 40", len(states[0]))
	}
	s.objects.reads = 0
	everything := make([]vnode.ID, capacity)
	for v := range everything {
		everything[v] = vnode.ID(v)
	}
	err := backend.Restorer{Objects: s.objects, Record: s.newest()}.Restore(context.Background(), everything, func(backend.RestoredSlice) error { return nil })
	if err != nil || s.objects.reads > 9 {
		t.Errorf("%d requests for 3 segments of %d vnodes, %v, want at most 3 each", s.objects.reads, capacity, err)
	}
}

func TestRestoreEndsWithTheFirstError(t *testing.T) {
	s := newChainStore(t, 4)
	s.seal(t, captureOf(0, 1, 3, 3), captureOf(1, 1, 3, 3), captureOf(2, 1, 3, 3), captureOf(3, 1, 3, 3))
	stop := errors.New("stop")
	all := []vnode.ID{0, 1, 2, 3}
	r := backend.Restorer{Objects: s.objects, Record: s.newest(), Bytes: 1}
	if err := r.Restore(context.Background(), all, func(backend.RestoredSlice) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Restore(ctx, all, func(backend.RestoredSlice) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if err := r.Restore(context.Background(), []vnode.ID{4}, nil); err == nil {
		t.Error("vnode 4 of 4 was restored")
	}
}

// What does not follow from the record before is found, also when every digest is right (I2, I10).
func TestVerifyFindsBrokenChains(t *testing.T) {
	still := func() *chainStore {
		s := newChainStore(t, 2)
		for e := uint64(1); e <= 3; e++ {
			s.seal(t, captureOf(0, e, 2, 4), captureOf(1, e, 1, 4))
		}
		return s
	}
	for name, damage := range map[string]func(s *chainStore){
		"a segment left the chain":      func(s *chainStore) { s.newest().Segments[0].Vnodes.Remove(1) },
		"the tip is another slice":      func(s *chainStore) { s.newest().Tips[1].Life.N = 9 },
		"the tip is older than a slice": func(s *chainStore) { s.newest().Tips[1] = s.records[2].Tips[1] },
		"a capture is not in the chain": func(s *chainStore) { s.newest().Segments[2].Vnodes.Remove(0) },
		"a vnode needs what is not there": func(s *chainStore) {
			s.seal(t, captureOf(0, 4, 1, 1), captureOf(1, 4, 0, 0))
			s.newest().Segments[3].Vnodes.Add(1)
		},
		"built on what is not its base": func(s *chainStore) {
			c := captureOf(0, 4, 1, 1)
			c.Slice.Life.N, c.Base = 2, sliceOf(2)
			s.seal(t, c, captureOf(1, 4, 0, 0))
		},
		"changed without a seal": func(s *chainStore) {
			n := s.next()
			n.Segments[1].Vnodes.Remove(0)
			s.records = append(s.records, n)
		},
		"an old segment is new": func(s *chainStore) {
			s.records[2].Segments = s.records[2].Segments[:1]
			s.records[2].Segments[0].Vnodes = nil
		},
	} {
		s := still()
		if problems := s.verify(t); len(problems) > 0 {
			t.Fatalf("before the damage: %v", problems)
		}
		damage(s)
		corrupt := (*backend.CorruptError)(nil)
		if problems := s.verify(t); len(problems) == 0 || !errors.As(problems[0], &corrupt) {
			t.Errorf("%s: got %v, want a CorruptError", name, problems)
		}
	}
}

func TestRestoreRefusesSlicesAboveTheTip(t *testing.T) {
	s := newChainStore(t, 1)
	s.seal(t, captureOf(0, 1, 1, 1))
	s.seal(t, captureOf(0, 2, 1, 1))
	s.newest().Tips[0] = sliceOf(1)
	err := backend.Restorer{Objects: s.objects, Record: s.newest()}.Restore(context.Background(), []vnode.ID{0}, func(backend.RestoredSlice) error { return nil })
	if corrupt := (*backend.CorruptError)(nil); !errors.As(err, &corrupt) || corrupt.Object != s.newest().Segments[1].Key() {
		t.Errorf("got %v, want a CorruptError of %s", err, s.newest().Segments[1].Key())
	}
}
