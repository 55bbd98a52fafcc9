package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

func resumable(t *testing.T, in *tallyInstance, name string) *sheaf.Resumable[event] {
	t.Helper()
	r, err := in.Resumable(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// push sends the events of numbers from to to, which add their number to their key.
func push(t *testing.T, r *sheaf.Resumable[event], from, to uint64) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := r.Send(t.Context(), n, event{Key: fmt.Sprint("key ", n%10), Add: int64(n)}); err != nil {
			t.Fatalf("send %d: %v", n, err)
		}
	}
}

// A resumable producer goes on behind what is sealed; what it sends twice counts once (I4).
func TestResumableGoesOnAfterACrash(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		r := resumable(t, in, "r")
		push(t, r, 1, 1000)
		flush(t, r)
		push(t, r, 1001, 1500)
		s.crash(in)
		wantError(t, "send after the crash", r.Send(t.Context(), 1501, event{}), sheaf.ErrClosed)

		in = s.open(small(), tallies())
		r = resumable(t, in, "r")
		if at := r.Sealed(); at < 1000 || at > 1500 {
			t.Fatalf("sealed: got %d, want 1000 to 1500", at)
		}
		push(t, r, r.Sealed()+1, 2000)
		push(t, r, 900, 1100) // sent before: ignored
		flush(t, r)
		if got, want := sum(live(t, in)), int64(2000*2001/2); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
		if at := r.Sealed(); at != 2000 {
			t.Errorf("sealed after flush: got %d, want 2000", at)
		}
	})
}

func TestResumableRefusesAGap(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		r := resumable(t, s.open(small(), tallies()), "r")
		wantError(t, "event 2 first", r.Send(t.Context(), 2, event{Key: "a", Add: 1}), sheaf.ErrSequence)
		push(t, r, 1, 5)
		wantError(t, "event 7 after 5", r.Send(t.Context(), 7, event{Key: "a", Add: 1}), sheaf.ErrSequence)
		push(t, r, 6, 7)
		flush(t, r)
	})
}

func TestInstanceFlushSealsWhatResumablesWereSent(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		r := resumable(t, in, "r")
		push(t, r, 1, 5000)
		flush(t, in)
		if at := r.Sealed(); at != 5000 {
			t.Errorf("sealed after the instance's flush: got %d, want 5000", at)
		}
	})
}

func TestCloseSealsWhatResumablesWereSent(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		push(t, resumable(t, in, "r"), 1, 5000)
		closeAll(t, in)
		in = s.open(small(), tallies())
		if at := resumable(t, in, "r").Sealed(); at != 5000 {
			t.Errorf("sealed after close: got %d, want 5000", at)
		}
	})
}

func TestFinishedResumableStaysFinished(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		r := resumable(t, in, "r")
		push(t, r, 1, 10)
		if err := r.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, "send after finish", r.Send(t.Context(), 11, event{}), sheaf.ErrClosed)
		s.crash(in)
		in = s.open(small(), tallies())
		r = resumable(t, in, "r")
		wantError(t, "send after a restart", r.Send(t.Context(), 11, event{}), sheaf.ErrClosed)
		if r.Sealed() != 10 {
			t.Errorf("sealed: got %d, want 10", r.Sealed())
		}
		if err := r.Finish(t.Context()); err != nil {
			t.Errorf("finish again: %v", err)
		}
	})
}

// A resumable producer that the store holds up waits at the bound of its history, and Status names that bound (I8).
func TestResumableHistoryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		cfg := small()
		cfg.State.Cluster.Limits = backend.Limits{History: 1 << 12}
		in := s.open(cfg, tallies())
		r := resumable(t, in, "r")
		stuck := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Hold: true})
		sent := make(chan error, 1)
		go func() {
			var err error
			for n := uint64(1); n <= 1000 && err == nil; n++ {
				err = r.Send(t.Context(), n, event{Key: "a", Add: 1})
			}
			sent <- err
		}()
		eventually(t, "the producer waits", func() bool {
			return slices.Contains(in.Status().Held, "history of producer r")
		})
		stuck.Release()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		flush(t, r)
	})
}

func TestContextEndsFlushOfAResumable(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		r := resumable(t, s.open(small(), tallies()), "r")
		s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*"})
		push(t, r, 1, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience/100)
		defer cancel()
		wantError(t, "flush", r.Flush(ctx), context.DeadlineExceeded)
		wantError(t, "finish", r.Finish(ctx), context.DeadlineExceeded)
	})
}

// Whoever waits for a resumable producer hears of the instance's end, however the end and the producer's own goroutine
// get in each other's way.
func TestResumableHearsOfTheEnd(t *testing.T) {
	for range 200 {
		bubble(t, func(t *testing.T, s *store) {
			in := s.open(small(), tallies())
			r, err := in.Resumable(t.Context(), "r")
			if err != nil {
				t.Fatal(err)
			}
			s.faults.Crash()
			finished := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go func() { finished <- r.Finish(ctx) }()
			go abort(in)
			if err := <-finished; !errors.Is(err, sheaf.ErrClosed) {
				t.Fatalf("finish: got %v, want ErrClosed", err)
			}
		})
	}
}
