package backend_test

import (
	"errors"
	"fmt"
	"maps"
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

// segmentStore is a ledger whose records name segments.
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

// raise appends a record that raises the floor as is worth while some records are retained.
func (s *segmentStore) raise(retain int) {
	s.t.Helper()
	to, worth, err := s.ledger.NextFloor(s.t.Context(), s.rec, backend.Retention{Records: retain, Step: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	n := next(s.rec)
	if worth {
		backend.RaiseFloor(n, to)
	}
	s.rec = win(s.t, s.ledger, n)
}

// collect runs a collector, raises the floor, and runs it again.
func (s *segmentStore) collect(c *backend.Collector, retain int) backend.Report {
	s.t.Helper()
	s.run(c)
	s.raise(retain)
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
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{})
	if report := s.run(c); report != (backend.Report{}) {
		t.Errorf("collect before the floor rises: got %+v, want nothing done", report)
	}
	if report := s.collect(c, 5); report.Records != 16 || report.Segments != 16 || report.Left != 0 || report.Bytes < 16*200 {
		t.Errorf("collect 20 epochs of which 5 records stay: got %+v, want 16 records, 15 segments and the orphan gone", report)
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
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{})
	for range 5 {
		s.seal(true)
		s.collect(c, 2)
	}
	kept, err := s.ledger.Pinned(t.Context(), s.rec, s.rec.Pins[0])
	if err != nil || kept.Seq != record.Seq || kept.Epoch != record.Epoch {
		t.Fatalf("read the pinned record %d below floor %d: got %+v, %v", record.Seq, s.rec.Floor.Seq, kept, err)
	}
	if len(s.keys(pinned.Key())) != 1 {
		t.Fatalf("the pinned segment is gone")
	}
	if err := backend.WithPin(next(s.rec), "late", record); !errors.Is(err, backend.ErrCollected) {
		t.Errorf("pin record %d below floor %d: got %v, want ErrCollected", record.Seq, s.rec.Floor.Seq, err)
	}
	// Another collector finds it pinned too. Each of them takes it once it is not.
	collectors := []*backend.Collector{c, backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{})}
	s.run(collectors[1])
	before := s.rec
	s.seal(true, func(n *backend.Record) {
		if err := backend.WithoutPin(n, "nightly"); err != nil {
			t.Fatal(err)
		}
	})
	for _, c := range collectors {
		data := s.objects[recordKey(record.Seq)]
		if s.run(c); len(s.keys(pinned.Key())) > 0 || len(s.keys(recordKey(record.Seq))) > 0 {
			t.Errorf("record %d and its segment stay though the pin is gone", record.Seq)
		}
		s.objects[pinned.Key()], s.objects[recordKey(record.Seq)] = nil, data
	}
	delete(s.objects, recordKey(record.Seq))
	if _, err := s.ledger.Pinned(t.Context(), before, before.Pins[0]); !errors.Is(err, backend.ErrCollected) {
		t.Errorf("read a pin that was dropped meanwhile: got %v, want ErrCollected", err)
	}
}

// I10: what a pin keeps and is not there is damage, also below the floor.
func TestLostPinIsMissing(t *testing.T) {
	s := newSegmentStore(t)
	s.seal(true)
	record := s.rec
	s.seal(true, func(n *backend.Record) {
		if err := backend.WithPin(n, "kept", record); err != nil {
			t.Fatal(err)
		}
	})
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{})
	for range 3 {
		s.seal(true)
		s.collect(c, 2)
	}
	pinned, err := s.ledger.Pinned(t.Context(), s.rec, s.rec.Pins[0])
	if err != nil {
		t.Fatal(err)
	}
	var missing *backend.MissingError
	segment := pinned.Segments[0].Key()
	if err := s.ledger.Absent(t.Context(), segment, pinned); !errors.As(err, &missing) || missing.Object != segment {
		t.Errorf("a segment of a pin is absent: got %v, want a MissingError of it", err)
	}
	delete(s.objects, recordKey(record.Seq))
	if _, err := s.ledger.Pinned(t.Context(), s.rec, s.rec.Pins[0]); !errors.As(err, &missing) || missing.Object != recordKey(record.Seq) {
		t.Errorf("read the record of a pin, which is lost: got %v, want a MissingError of it", err)
	}
	if _, err := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{}).Run(t.Context(), s.rec); !errors.As(err, &missing) {
		t.Errorf("collect while nobody knows what the pin keeps: got %v, want a MissingError", err)
	}
	s.objects[recordKey(record.Seq)] = s.objects[recordKey(s.rec.Seq)]
	var corrupt *backend.CorruptError
	if _, err := s.ledger.Pinned(t.Context(), s.rec, s.rec.Pins[0]); !errors.As(err, &corrupt) {
		t.Errorf("read another record in place of the pinned one: got %v, want a CorruptError", err)
	}
}

func TestPinsAreRefused(t *testing.T) {
	rec, first := &backend.Record{Seq: 99, Floor: backend.Floor{K: 1, Seq: 5}}, &backend.Record{Seq: 7, Epoch: 3}
	for i := range backend.MaxPins - 1 {
		if err := backend.WithPin(rec, fmt.Sprintf("pin-%02d", i), first); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		pinned *backend.Record
		want   error
	}{
		{"pin-07", first, backend.ErrPinTaken},
		{"", first, backend.ErrPinName},
		{"-x", first, backend.ErrPinName},
		{"a b", first, backend.ErrPinName},
		{"über", first, backend.ErrPinName},
		{strings.Repeat("x", 65), first, backend.ErrPinName},
		{"early", &backend.Record{Seq: 6}, backend.ErrUnsealed},
		{"late", &backend.Record{Seq: 4, Epoch: 2}, backend.ErrCollected},
		{"A.last_one-64", first, nil},
		{"more", first, backend.ErrPins},
	} {
		if err := backend.WithPin(rec, c.name, c.pinned); !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.name) {
			t.Errorf("pin %q: got %v, want %v", c.name, err, c.want)
		}
	}
	if got := len(rec.Pins); got != backend.MaxPins {
		t.Errorf("pins: got %d, want %d", got, backend.MaxPins)
	}
	if err := backend.WithoutPin(rec, "none"); !errors.Is(err, backend.ErrNoPin) || !strings.Contains(err.Error(), "pin-07") {
		t.Errorf("drop a pin that is not there: got %v, want ErrNoPin with the names that are", err)
	}
	if err := backend.WithoutPin(rec, "pin-07"); err != nil {
		t.Error(err)
	}
	if err := backend.WithPin(rec, "pin-07", first); err != nil {
		t.Errorf("pin a name that was dropped: %v", err)
	}
}

// I6: the floor stays below the first epoch that was not emitted.
func TestFloorWaitsForTheSinks(t *testing.T) {
	s := newSegmentStore(t)
	for i := range 20 {
		s.seal(i < 4)
	}
	if s.raise(2); s.rec.Floor.Seq != 5 {
		t.Errorf("epochs 1 to 20 sealed, 1 to 4 emitted: the floor is raised to %d, want 5, which seals epoch 5", s.rec.Floor.Seq)
	}
}

// A crash after the floor was raised, or between the deletes, leaves the rest to whoever collects next.
func TestCollectorFinishesWhatACrashLeft(t *testing.T) {
	s := newSegmentStore(t)
	for range 20 {
		s.seal(true)
	}
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{Deletes: 8})
	if report := s.collect(c, 5); report.Records+report.Segments != 8 || report.Left != 16+15-8 {
		t.Errorf("a pass of 8 deletes of 31: got %+v", report)
	}
	other := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{})
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
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{})
	s.raise(5)
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

// A collector that is shown every record reads and lists nothing, and deletes what the floor passes.
func TestCollectorThatIsShownEveryRecordReadsNothing(t *testing.T) {
	s := newSegmentStore(t)
	c := backend.NewCollector(s.ledger, backend.CollectorConfig{})
	grow := func(n int) {
		for range n {
			s.seal(true)
			s.run(c)
		}
	}
	s.run(c)
	grow(6)
	s.collect(c, 5)
	grow(4)
	clear(s.calls)
	s.run(c)
	if len(s.calls) != 0 {
		t.Errorf("a pass in which nothing may go: %v, want no request", s.calls)
	}
	for range 3 {
		s.raise(5)
		clear(s.calls)
		before, records, segments := s.rec.Floor.Seq, len(s.keys("ledger/0")), len(s.keys("segment/"))
		report := s.run(c)
		records, segments = records-len(s.keys("ledger/0")), segments-len(s.keys("segment/"))
		if want := map[string]int{"create": 1, "delete": records + segments}; !maps.Equal(s.calls, want) || records == 0 || segments == 0 {
			t.Errorf("a pass in which the floor rose to %d: %v, want %v", before, s.calls, want)
		}
		if report.Records != records || report.Segments != segments || report.Bytes == 0 {
			t.Errorf("a pass that deletes %d records and %d segments: got %+v", records, segments, report)
		}
		grow(8)
	}
}

// A new collector does not read what is retained: its first pass costs the same however much that is.
func TestCollectorBeginsWithoutReadingHistory(t *testing.T) {
	requests := func(retained int) string {
		s := newSegmentStore(t)
		for range retained + 4 {
			s.seal(true)
		}
		s.raise(retained)
		c := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{})
		clear(s.calls)
		s.run(c)
		return fmt.Sprint(s.calls)
	}
	few, many := requests(10), requests(1000)
	if few != many {
		t.Errorf("the first pass of a collector with 10 retained records: %s; with 1,000: %s", few, many)
	}
	t.Log(many)
}

// I9: a collector that slept does no harm, and one that is behind another does nothing.
func TestSleepingCollectorIsHarmless(t *testing.T) {
	s := newSegmentStore(t)
	for range 20 {
		s.seal(true)
	}
	old := s.rec
	awake := backend.NewCollector(s.ledger, backend.CollectorConfig{})
	s.collect(awake, 3)
	for range 10 {
		s.seal(true)
	}
	s.collect(awake, 3)
	before := s.keys("")
	report, err := backend.NewCollector(s.ledger.Fork(s), backend.CollectorConfig{}).Run(t.Context(), old)
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
