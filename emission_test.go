package sheaf_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// Results yields every result that is emitted while it is iterated over, in order.
func TestResultsYieldsEverySealedResult(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		got := make(chan sheaf.Result[total], 10)
		go func() {
			defer close(got)
			for r := range in.Results(t.Context()) {
				got <- r
			}
		}()
		var last sheaf.Epoch
		for i := range int64(3) {
			quiet(small().Epoch)
			send(t, p, event{Key: "a", Add: 1})
			flush(t, p)
			r := <-got
			if r.Value != (total{Keys: 1, Sum: i + 1}) || r.Epoch <= last {
				t.Errorf("got %+v behind epoch %d, want the sum %d", r, last, i+1)
			}
			last = r.Epoch
		}
		closeAll(t, in)
		if r, more := <-got; more {
			t.Errorf("got %+v, want that closing ends the iteration", r)
		}
	})
}

// An iteration that is left, or whose context ends, holds nothing back any more.
func TestResultsHoldsNothingBackOnceItIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for range in.Results(ctx) {
				<-ctx.Done() // it takes one and never comes back for another
			}
		})
		wg.Go(func() {
			for range in.Results(t.Context()) {
				break
			}
		})
		quiet(time.Millisecond)
		for range 10 {
			send(t, p, event{Key: "a", Add: 1})
			quiet(small().Epoch)
		}
		if st := in.Status(); st.Waiting != 4 || len(st.Held) == 0 {
			t.Errorf("got %d waiting, held %q, want 4 held by the iteration", st.Waiting, st.Held)
		}
		cancel()
		wg.Wait()
		flush(t, in)
		eventually(t, "all is emitted", func() bool { return in.Status().Waiting == 0 })
	})
}

// What was sealed and not emitted before a crash is emitted after it, in order, with the same epochs and bytes (I6).
func TestSealedResultsAreEmittedAfterACrash(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		before := &inbox{}
		full := sheaf.SinkFunc[total](func(ctx context.Context, r sheaf.Result[total]) error {
			if len(before.results()) == 3 {
				return errors.New("full")
			}
			return before.Emit(ctx, r)
		})
		in := s.open(small(), tallies(), full)
		p := producer(t, in, "p")
		for range 5 {
			send(t, p, event{Key: "a", Add: 1})
			flush(t, p)
			quiet(2 * small().Epoch)
		}
		sealed := in.Status().Epoch
		s.crash(in)

		after := &inbox{}
		in = s.open(small(), tallies(), after)
		eventually(t, "the rest is emitted", func() bool { return in.Status().Emitted == sealed })
		all := after.results()
		if len(all) < 2 || all[len(all)-1].Value.Sum != 5 {
			t.Fatalf("got %+v, want at least the results of the sums 4 and 5", all)
		}
		for i, r := range all {
			if i > 0 && r.Epoch <= all[i-1].Epoch {
				t.Errorf("epoch %d came behind %d", r.Epoch, all[i-1].Epoch)
			}
			for _, b := range before.results() {
				if b.Epoch == r.Epoch && !bytes.Equal(b.Encoded, r.Encoded) {
					t.Errorf("epoch %d: got %x again as %x", r.Epoch, b.Encoded, r.Encoded)
				}
			}
		}
	})
}

// At reads any retained epoch as it was, and fails for others.
func TestAtReadsRetainedEpochs(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		cfg := small()
		cfg.Retain = 4
		in := s.open(cfg, tallies())
		p := producer(t, in, "p")
		sums := map[sheaf.Epoch]int64{}
		for i := range int64(40) {
			send(t, p, event{Key: "a", Add: 1}, event{Key: "b", Add: 1})
			flush(t, p)
			sums[in.Status().Epoch] = i + 1
			quiet(cfg.Epoch)
		}
		newest := in.Status().Epoch
		wantTallies(t, "the newest epoch", collect(t, in.At(t.Context(), newest)), map[string]int64{"a": 40, "b": 40})
		retained := 0
		for e, n := range sums {
			scan := in.At(t.Context(), e)
			for k, v := range scan.All() {
				if v != n {
					t.Errorf("epoch %d, key %s: got %d, want %d", e, k, v, n)
				}
			}
			if scan.Err() == nil {
				retained++
			} else if e >= newest-1 || !errors.Is(scan.Err(), sheaf.ErrNoEpoch) {
				t.Errorf("epoch %d of %d: got %v, want it retained or ErrNoEpoch", e, newest, scan.Err())
			}
		}
		if retained > 16 {
			t.Errorf("%d epochs are retained, want few with Retain = 4", retained)
		}
		for _, e := range []sheaf.Epoch{newest + 1, newest + 1000} {
			scan := in.At(t.Context(), e)
			for range scan.All() {
				t.Errorf("epoch %d yields something", e)
			}
			wantError(t, "an epoch to come", scan.Err(), sheaf.ErrNoEpoch)
		}
	})
}

func TestScanStopsWhereItsReaderDoes(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		ended(t, in, attach(t, in, "s", scripted(repeated(100))))
		for what, scan := range map[string]*sheaf.Scan[string, int64]{
			"live": in.Scan(t.Context()), "sealed": in.At(t.Context(), in.Status().Epoch),
		} {
			n := 0
			for range scan.All() {
				if n++; n == 3 {
					break
				}
			}
			if n != 3 || scan.Err() != nil {
				t.Errorf("%s: got %d keys and %v, want 3 and no error", what, n, scan.Err())
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		scan := in.At(ctx, in.Status().Epoch)
		for range scan.All() {
		}
		wantError(t, "a scan whose context has ended", scan.Err(), context.Canceled)
	})
}

// What Flush has returned behind is what GetSealed shows, and a crash does not take it back.
func TestGetSealedShowsWhatWasFlushed(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		if _, found, epoch, err := in.GetSealed(t.Context(), "a"); found || epoch != 0 || err != nil {
			t.Errorf("a fresh store: got %v, epoch %d, %v", found, epoch, err)
		}
		for i := range int64(5) {
			send(t, p, event{Key: "a", Add: 1})
			flush(t, p)
			n, found, epoch, err := in.GetSealed(t.Context(), "a")
			if err != nil || !found || n != i+1 || epoch != in.Status().Epoch {
				t.Errorf("after flush %d: got %d, %v, epoch %d, %v", i+1, n, found, epoch, err)
			}
		}
		s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*"})
		send(t, p, event{Key: "a", Add: 1})
		quiet(small().Epoch)
		if n, _, _, err := in.GetSealed(t.Context(), "a"); n != 5 || err != nil {
			t.Errorf("before the flush: got %d, %v, want 5", n, err)
		}
		if n, _, err := in.Get(t.Context(), "a"); n != 6 || err != nil {
			t.Errorf("live: got %d, %v, want 6", n, err)
		}
	})
}
