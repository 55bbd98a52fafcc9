package backend_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

func TestPlanFloor(t *testing.T) {
	const nobody = math.MaxUint64
	for _, c := range []struct {
		newest, floor uint64
		retain, step  int
		waiting, want uint64 // want 0: no raise
	}{
		{newest: 5, retain: 10, step: 1, waiting: nobody, want: 0},
		{newest: 9, retain: 10, step: 1, waiting: nobody, want: 0},
		{newest: 10, retain: 10, step: 1, waiting: nobody, want: 1},
		{newest: 99, floor: 85, retain: 10, step: 5, waiting: nobody, want: 90},
		{newest: 99, floor: 85, retain: 10, step: 6, waiting: nobody, want: 0},
		{newest: 99, floor: 50, retain: 10, step: 5, waiting: 70, want: 70},
		{newest: 99, floor: 70, retain: 10, step: 5, waiting: 70, want: 0},
		{newest: 99, floor: 80, retain: 10, step: 1, waiting: 70, want: 0},
		{newest: 99, floor: 95, retain: 10, step: 0, waiting: nobody, want: 0},
		{newest: 99, floor: 9, retain: 0, step: 0, waiting: nobody, want: 99},
	} {
		rec := &backend.Record{Seq: c.newest, Floor: backend.Floor{K: 1, Seq: c.floor}}
		if got, ok := backend.PlanFloor(rec, c.retain, c.step, c.waiting); ok != (c.want > 0) || ok && got != c.want {
			t.Errorf("%+v: got %d, %v", c, got, ok)
		}
	}
}

// store is a ledger whose records name segments.
type segmentStore struct {
	*memObjects
	t      *testing.T
	ledger *backend.Ledger
	rec    *backend.Record
}

func newSegmentStore(t *testing.T) *segmentStore {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	return &segmentStore{store, t, l, rec}
}

// segment puts a segment of an epoch.
func (s *segmentStore) segment(e vnode.Epoch) backend.SegmentRef {
	ref := backend.SegmentRef{Epoch: e, Instance: "node-0", ID: uuid.New(), Through: e, Vnodes: vnode.Set{3}}
	s.objects[ref.Key()] = []byte("segment")
	return ref
}

// seal appends a record that seals the next epoch with a new segment alone, and emits the epoch if so asked.
func (s *segmentStore) seal(emit bool, change ...func(*backend.Record)) backend.SegmentRef {
	s.t.Helper()
	n := next(s.rec)
	n.Epoch++
	ref := s.segment(n.Epoch)
	n.Segments = []backend.SegmentRef{ref}
	if emit {
		n.Emitted = n.Epoch
	}
	for _, f := range change {
		f(n)
	}
	s.rec = win(s.t, s.ledger, n)
	return ref
}

func (s *segmentStore) run(c *backend.Collector) backend.Report {
	s.t.Helper()
	report, err := c.Run(s.t.Context(), s.rec)
	if err != nil {
		s.t.Fatalf("collect on record %d: %v", s.rec.Seq, err)
	}
	return report
}

// collect runs a collector, lets a record raise the floor as it says, and runs it again.
func (s *segmentStore) collect(c *backend.Collector) backend.Report {
	s.t.Helper()
	raise := s.run(c).Raise
	s.rec = win(s.t, s.ledger, func() *backend.Record { n := next(s.rec); backend.RaiseFloor(n, raise); return n }())
	return s.run(c)
}

func TestCollectorTakesWhatNothingReaches(t *testing.T) {
	s := newSegmentStore(t)
	var sealed []backend.SegmentRef
	for range 20 {
		sealed = append(sealed, s.seal(true))
	}
	orphan, open := s.segment(3), s.segment(21)
	s.objects["segment/rubbish"], s.objects["user/x"] = nil, nil
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 5, Step: 1})
	if report := s.run(c); report != (backend.Report{Segments: 1, Raise: 16}) {
		t.Errorf("collect before the floor rises: got %+v, want the orphan gone and the floor to rise to 16", report)
	}
	if report := s.collect(c); report.Records != 16 || report.Segments != 15 || report.Left != 0 {
		t.Errorf("collect 20 epochs of which 5 records stay: got %+v, want 16 records and 15 segments gone", report)
	}
	want := []string{"segment/rubbish"}
	for _, ref := range append(sealed[15:], open) {
		want = append(want, ref.Key())
	}
	slices.Sort(want)
	if got := s.keys("segment/"); !slices.Equal(got, want) {
		t.Errorf("segments left: got %v, want %v (not the orphan %s)", got, want, orphan.Key())
	}
	if got := s.keys("ledger/0"); len(got) != 6 || got[0] != recordKey(16) {
		t.Errorf("records left: got %v, want 16 to 21", got)
	}
	if got := s.keys("user/"); len(got) != 1 {
		t.Errorf("the user's objects: got %v", got)
	}
}

// I9: a pin keeps what it names, until it goes.
func TestPinKeepsItsSegments(t *testing.T) {
	s := newSegmentStore(t)
	s.seal(true)
	pinned := s.seal(true)
	record := s.rec
	s.seal(true, func(n *backend.Record) {
		if err := backend.WithPin(n, "nightly", record); err != nil {
			t.Fatal(err)
		}
	})
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 2, Step: 1})
	for range 5 {
		s.seal(true)
		s.collect(c)
	}
	if _, ok := s.objects[pinned.Key()]; !ok {
		t.Fatalf("the pinned segment is gone")
	}
	if err := backend.WithPin(next(s.rec), "late", record); !errors.Is(err, backend.ErrCollected) {
		t.Errorf("pin record %d below floor %d: got %v, want ErrCollected", record.Seq, s.rec.Floor.Seq, err)
	}
	// Another collector finds it pinned too, and takes it once it is not.
	other := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{Retain: 2, Step: 1})
	s.run(other)
	s.seal(true, func(n *backend.Record) { n.Pins = nil })
	for _, c := range []*backend.Collector{c, other} {
		if s.run(c); len(s.keys(pinned.Key())) > 0 {
			t.Errorf("the segment stays though its pin is gone")
		}
		s.objects[pinned.Key()] = nil
	}
}

func TestPinOfANameIsReplaced(t *testing.T) {
	rec := &backend.Record{Seq: 9}
	for seq, name := range []string{"b", "a", "b"} {
		if err := backend.WithPin(rec, name, &backend.Record{Seq: uint64(seq)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(rec.Pins); got != "[{a 1 0 []} {b 2 0 []}]" {
		t.Errorf("pins: got %s, want a of record 1 and b of record 2", got)
	}
}

// I6: the floor stays below the first epoch that was not emitted.
func TestFloorWaitsForTheSinks(t *testing.T) {
	s := newSegmentStore(t)
	for i := range 20 {
		s.seal(i < 4)
	}
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 2, Step: 1})
	if report := s.run(c); report.Raise != 5 {
		t.Errorf("epochs 1 to 20 sealed, 1 to 4 emitted: floor to be raised to %d, want 5, which seals epoch 5", report.Raise)
	}
}

// A crash after the floor was raised, or between the deletes, leaves the rest to whoever collects next.
func TestCollectorFinishesWhatACrashLeft(t *testing.T) {
	s := newSegmentStore(t)
	for range 20 {
		s.seal(true)
	}
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 5, Step: 1, Deletes: 7})
	if report := s.collect(c); report.Records+report.Segments != 7 || report.Left != 16+15-7 {
		t.Errorf("a pass of 7 deletes of 31: got %+v", report)
	}
	other := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{Retain: 5, Step: 1})
	s.run(other)
	if got := s.keys("ledger/0"); len(got) != 6 {
		t.Errorf("records left: got %v, want 16 to 21", got)
	}
	if got := s.keys("segment/"); len(got) != 5 {
		t.Errorf("segments left: got %d, want 5", len(got))
	}

	// Raised, and nothing more.
	n := next(s.rec)
	backend.RaiseFloor(n, 18)
	s.rec = win(t, s.ledger, n)
	s.run(other)
	if got := s.keys("ledger/floor/"); len(got) != 2 || len(s.keys("ledger/0")) != 5 {
		t.Errorf("floors %v, records %v: want floor 2 published and records 18 to 22", got, s.keys("ledger/0"))
	}
}

func TestFailedDeleteIsRetried(t *testing.T) {
	s := newSegmentStore(t)
	for range 30 {
		s.seal(true)
	}
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 5, Step: 1})
	raise := s.run(c).Raise
	n := next(s.rec)
	backend.RaiseFloor(n, raise)
	s.rec = win(t, s.ledger, n)
	stuck := 0
	s.before = func(op, key string) error {
		if op == "delete" && strings.HasPrefix(key, "ledger/") {
			stuck++
			return errors.New("stuck")
		}
		return nil
	}
	for range 6 {
		if _, err := c.Run(t.Context(), s.rec); err == nil {
			t.Errorf("collect while deletes fail: got no error")
		}
	}
	if got := s.keys("segment/"); len(got) != 5 {
		t.Errorf("segments left while records cannot be deleted: got %d, want 5", len(got))
	}
	if stuck > 6*26 {
		t.Errorf("%d failed deletes in 6 passes", stuck)
	}
	s.before = nil
	if report := s.run(c); report.Left != 0 || len(s.keys("ledger/0")) != 6 {
		t.Errorf("after deletes work again: got %+v and records %v, want 6", report, s.keys("ledger/0"))
	}
}

// A pass costs what changed: nothing for a record that frees nothing, and deletes alone for a floor that rose.
func TestCollectorPassCostsWhatChanged(t *testing.T) {
	s := newSegmentStore(t)
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 5, Step: 5})
	for range 10 {
		s.seal(true)
	}
	s.run(c)
	s.seal(true)
	clear(s.calls)
	report := s.run(c)
	if len(s.calls) != 0 || report.Raise != 7 {
		t.Errorf("a pass in which nothing may go: %v, floor to %d, want no call and 7", s.calls, report.Raise)
	}
	s.seal(true, func(n *backend.Record) { backend.RaiseFloor(n, 7) })
	clear(s.calls)
	s.run(c)
	if s.calls["create"] != 1 || s.calls["delete"] != 7+6 || len(s.calls) != 2 {
		t.Errorf("a pass in which the floor rose to 7: %v, want one create and 13 deletes", s.calls)
	}
	// Behind by a few records, it reads those.
	for range 3 {
		s.seal(true)
	}
	clear(s.calls)
	s.run(c)
	if s.calls["get"] != 2 || len(s.calls) != 1 {
		t.Errorf("a pass 3 records later: %v, want 2 gets", s.calls)
	}
}

// I9: a collector that slept does no harm, and one that is behind another does nothing.
func TestSleepingCollectorIsHarmless(t *testing.T) {
	s := newSegmentStore(t)
	for range 20 {
		s.seal(true)
	}
	old := s.rec
	awake := backend.NewCollector(s.ledger, backend.CollectorConfig{Retain: 3, Step: 1})
	s.collect(awake)
	for range 10 {
		s.seal(true)
	}
	s.collect(awake)
	before := s.keys("")
	report, err := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{Retain: 3, Step: 1}).Run(t.Context(), old)
	if err != nil || report != (backend.Report{}) || !slices.Equal(s.keys(""), before) {
		t.Errorf("collect on a record below the floor: got %+v, %v, want nothing done", report, err)
	}
	s.run(awake)
	if report, err := awake.Run(t.Context(), old); err != nil || !slices.Equal(s.keys(""), before) {
		t.Errorf("collect again on a record below the floor: got %+v, %v, want nothing done", report, err)
	}
}

// I10: two floors of one number cannot be; the ledger and the object disagree.
func TestFloorThatTheLedgerDoesNotNameIsCorrupt(t *testing.T) {
	s := newSegmentStore(t)
	for range 9 {
		s.seal(true)
	}
	s.objects["ledger/floor/1"] = backend.EncodeFloor(backend.Floor{K: 1, Seq: 2})
	n := next(s.rec)
	backend.RaiseFloor(n, 5)
	s.rec = win(t, s.ledger, n)
	_, err := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{}).Run(t.Context(), s.rec)
	var corrupt *backend.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Object != "ledger/floor/1" {
		t.Errorf("floor 1 at 2, record says 5: got %v, want a CorruptError", err)
	}
}
