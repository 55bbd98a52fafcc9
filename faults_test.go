package sheaf_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// TestEveryFaultOfTheStoreIsOutlived: whatever the store does to its answers, a run goes on to its end with nothing lost
// or doubled. An opening is spared: it fails at once, and its caller repeats it.
func TestEveryFaultOfTheStoreIsOutlived(t *testing.T) {
	const opening = 40 // requests at most
	for name, rule := range map[string]backendtest.Rule{
		"latency":            {Delay: 30 * time.Millisecond},
		"latency of answers": {Delay: 30 * time.Millisecond, After: true},
		"refusals":           {Skip: opening, Rate: 0.3, Err: backend.ErrFull},
		"conflicts":          {Op: backendtest.Create, Skip: opening, Rate: 0.3, Err: backendtest.ErrConflict},
		"throttling":         {Skip: opening, Rate: 0.3, Err: backendtest.ErrThrottled},
		"lost requests":      {Skip: opening, Rate: 0.3},
		"lost answers":       {Skip: opening, Rate: 0.3, After: true},
		"torn reads":         {Op: backendtest.Get, Skip: opening, Rate: 0.2, Torn: true},
		"stale lists":        {Op: backendtest.List, Stale: true},
		"a hint that hangs":  {Op: backendtest.Put, Key: "ledger/head", Hold: true},
		"a floor that hangs": {Op: backendtest.Create, Key: "ledger/floor/*", Times: 1, Hold: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				s.faults.Add(rule)
				l := newLives(backend.Config{})
				if err := l.run(t, func(backend.Objects) backend.Objects { return s.faults }, nil); err != nil {
					t.Fatal(err)
				}
				l.check(t, name, s.objects)
			})
		})
	}
}

// TestTornReadsAreTold: an opening that is given half an object says which, and the next finds it whole (I10).
func TestTornReadsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		l := newLives(backend.Config{})
		through := func(backend.Objects) backend.Objects { return s.faults }
		if err := l.run(t, through, nil); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"ledger/0*", "ledger/floor/*", "segment/*"} {
			s.faults = backendtest.NewFaults(s.objects, 1)
			s.faults.Add(backendtest.Rule{Op: backendtest.Get, Key: key, Torn: true})
			var corrupt *backend.CorruptError
			if err := l.run(t, through, nil); !errors.As(err, &corrupt) || corrupt.Object == "" {
				t.Errorf("open while every read of %s is torn: got %v, want a CorruptError", key, err)
			}
		}
		s.faults = backendtest.NewFaults(s.objects, 1)
		if err := l.run(t, through, nil); err != nil {
			t.Errorf("open when reads are whole again: %v", err)
		}
		l.check(t, "in the end", s.objects)
	})
}

// TestCollectionBelievesNoStaleList proves I9: a list that shows what is gone and hides what is new does no harm.
func TestCollectionBelievesNoStaleList(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		before := collectable(t, s)
		killed := before.store(t)
		f := backendtest.NewFaults(killed.objects, 1)
		f.Add(backendtest.Rule{Op: backendtest.List, Stale: true})
		for range 3 {
			if _, err := collectWith(t, f, 4, 5); err != nil {
				t.Fatal(err)
			}
			verify(t, killed.objects)
		}
	})
}

// TestSleepingInstanceIsVoid proves I9 through the API: an instance stops before it creates a record, another takes over,
// and the floor passes by. What the first then creates is void, and it ends and says so.
func TestSleepingInstanceIsVoid(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		cfg := small()
		cfg.Retain = 2
		first := s.open(cfg, tallies())
		p := producer(t, first, "p")
		send(t, p, event{Key: "a", Add: 1})
		flush(t, p)
		asleep := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "ledger/0*", Times: 1, Hold: true})
		send(t, p, event{Key: "a", Add: 10})
		<-asleep.Arrived()
		stands, sleeper := newestOf(t, s.objects).Seq, s.faults

		s.faults = backendtest.NewFaults(s.objects, 1)
		second := s.open(cfg, tallies())
		q := producer(t, second, "q")
		for range 20 {
			send(t, q, event{Key: "a", Add: 100})
			flush(t, q)
		}
		eventually(t, "the floor passes", func() bool {
			_, err := s.objects.Get(t.Context(), recordKey(stands+1), backend.Range{})
			return errors.Is(err, backend.ErrNotFound)
		})
		asleep.Release()
		<-first.Done()
		if err := first.Err(); !errors.Is(err, sheaf.ErrVoid) || !errors.Is(err, sheaf.ErrSuperseded) {
			t.Errorf("the instance that slept ended with %v, want ErrVoid", err)
		}
		revived := slices.ContainsFunc(sleeper.Journal(), func(e backendtest.Entry) bool {
			return e.Op == backendtest.Create && e.Key == recordKey(stands+1) && e.Err == nil
		})
		if !revived { // the second's collector may have found it by now
			t.Errorf("record %d was not revived; the test proves nothing", stands+1)
		}
		send(t, q, event{Key: "a", Add: 100})
		flush(t, q)
		wantTallies(t, "the second instance", live(t, second), map[string]int64{"a": 2101})
		closeAll(t, second)
		wantTallies(t, "sealed", exported[int64](t, s.objects, verify(t, s.objects)), map[string]int64{"a": 2101})
	})
}

func recordKey(seq uint64) string { return fmt.Sprintf("ledger/%020d", seq) }
