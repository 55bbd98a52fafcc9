package sheaf_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// hourly is a config under which no epoch comes of itself.
func hourly() sheaf.Config {
	cfg := small()
	cfg.Epoch = time.Hour
	return cfg
}

// records counts the records that were created.
func records(s *store) int {
	n := 0
	for _, e := range s.faults.Journal() {
		if e.Op == backendtest.Create && strings.HasPrefix(e.Key, "ledger/0") {
			n++
		}
	}
	return n
}

// A flush costs one epoch, and an epoch one record, though its emission is to be recorded too.
func TestEachFlushCostsOneRecord(t *testing.T) {
	const flushes = 40
	for name, open := range map[string]func(*testing.T, *tallyInstance) func(){
		"producer": func(t *testing.T, in *tallyInstance) func() {
			p := producer(t, in, "p")
			return func() {
				send(t, p, repeated(5)...)
				flush(t, p)
			}
		},
		"resumable": func(t *testing.T, in *tallyInstance) func() {
			r := resumable(t, in, "r")
			return func() {
				push(t, r, r.Sealed()+1, r.Sealed()+5)
				flush(t, r)
			}
		},
		"instance": func(t *testing.T, in *tallyInstance) func() {
			p := producer(t, in, "p")
			return func() {
				send(t, p, repeated(5)...)
				flush(t, in)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				in := s.open(hourly(), tallies(), &inbox{})
				sendAndFlush := open(t, in)
				before := records(s)
				for range flushes {
					sendAndFlush()
				}
				if got := records(s) - before; got > flushes+1 {
					t.Errorf("%d flushes created %d records, want one each and at most one more", flushes, got)
				}
			})
		})
	}
}

// Flushes that wait at the same time share an epoch: all whose events come too late for the one that is being sealed
// wait for the next.
func TestConcurrentFlushesShareEpochs(t *testing.T) {
	const flushers, rounds = 64, 5
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(hourly(), tallies(), &inbox{})
		p := producer(t, in, "p")
		before := records(s)
		for range rounds {
			hold := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "ledger/0*", Hold: true})
			var all sync.WaitGroup
			for range flushers {
				all.Go(func() {
					send(t, p, repeated(3)...)
					flush(t, p)
				})
			}
			synctest.Wait()
			s.faults.Remove(hold)
			hold.Release()
			all.Wait()
		}
		if got := records(s) - before; got > 2*rounds+1 {
			t.Errorf("%d flushes, %d at a time, created %d records, want at most 2 each time and one at the end", flushers*rounds, flushers, got)
		}
	})
}

// A flush seals the positions of rejected events too, though no state changed.
func TestFlushSealsRejectedEvents(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(hourly(), tallies())
		r := resumable(t, in, "r")
		for n := range uint64(3) {
			if err := r.Send(t.Context(), n+1, event{Do: badKey}); err != nil {
				t.Fatal(err)
			}
		}
		flush(t, r)
		if got := r.Sealed(); got != 3 {
			t.Errorf("sealed: got %d, want 3", got)
		}
	})
}
