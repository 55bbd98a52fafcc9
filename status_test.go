package sheaf_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

// An epoch that does not come on says what it waits for, and afterwards where the time went.
func TestStatusSaysWhatAnEpochWaitsFor(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		slow := sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error { quiet(7 * time.Second); return nil })
		cfg := hourly()
		cfg.SealTimeout = time.Hour
		in := s.open(cfg, tallies(), slow)
		source := &script{events: repeated(1000), live: true, chunk: 10, every: time.Millisecond}
		attach(t, in, "s", source)
		write := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Times: 1, Hold: true})
		<-write.Arrived()
		began := time.Now()
		want := func(phase actors.Phase) {
			t.Helper()
			if st := in.Status(); st.Attempt.Phase != phase || st.Attempt.Epoch <= st.Epoch || st.Attempt.Captured != st.Owned {
				t.Errorf("got %+v at epoch %d, want the phase %q of the next, with all captures", st.Attempt, st.Epoch, phase)
			}
		}
		quiet(3 * time.Second)
		want(actors.PhaseWrite)
		record := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "ledger/0*", Times: 1, Hold: true})
		write.Release()
		<-record.Arrived()
		quiet(5 * time.Second)
		want(actors.PhaseAppend)
		record.Release()
		eventually(t, "the seal", func() bool { return in.Status().LastSeal.Epoch > 0 })
		seal := in.Status().LastSeal
		if seal.Write != 3*time.Second || seal.Append != 5*time.Second || seal.Barrier+seal.Capture > time.Second || seal.Bytes == 0 {
			t.Errorf("got %+v since %v, want 3 s of writing, 5 s of appending, and bytes", seal, time.Since(began))
		}
		eventually(t, "the emission", func() bool { return in.Status().LastEmit.Epoch == seal.Epoch })
		if emit := in.Status().LastEmit; emit.Merge != 0 || emit.Emit != 7*time.Second {
			t.Errorf("got %+v, want 7 s in the sink", emit)
		}
	})
}

// The counters say what happened: to epochs, to events, to slices.
func TestStatusCounts(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		app := tallies()
		broken := &trouble{}
		app.Update = func(turn *sheaf.Turn, total *int64, e event) error {
			if e.Do == explode {
				broken.strike("update")
				return nil
			}
			return tally(turn, total, e)
		}
		cfg := hourly()
		cfg.SealTimeout = 10 * time.Second
		in := s.open(cfg, app, &inbox{})
		if got := in.Status().Counts; got.Slices != 8 || got.Opened != 0 || got.Applied != 0 {
			t.Errorf("at the start: got %+v, want 8 slices and nothing else", got)
		}
		p := producer(t, in, "p")
		for range 3 {
			send(t, p, repeated(10)...)
			flush(t, p)
		}
		send(t, p, event{Key: "a", Do: refuse})
		flush(t, p)
		// An epoch may be open already when a flush comes, and not hold all that it is for: then another follows.
		all := func(n actors.AttemptCounts) bool {
			return n.Sealed >= 4 && n.Sealed <= 8 && n == actors.AttemptCounts{Opened: n.Sealed, Sealed: n.Sealed, Emitted: n.Sealed}
		}
		eventually(t, "all is sealed and emitted", func() bool { return all(in.Status().Counts.AttemptCounts) })
		got := in.Status().Counts
		if got.Applied != 31 || got.Rejected != 1 || got.Replayed != 0 {
			t.Errorf("got %+v, want 31 events, one rejected, none replayed", got)
		}

		hold := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Times: 1, Hold: true})
		broken.on.Store(true)
		send(t, p, event{Key: "a", Add: 1}, event{Key: "a", Do: explode})
		eventually(t, "a panic", func() bool { return in.Status().Counts.Panics > 0 })
		broken.on.Store(false)
		flush(t, p)
		hold.Release()
		got = in.Status().Counts
		if got.Panics == 0 || got.Slices != 8+got.Panics || got.SliceBytes == 0 || got.Replayed < 2 || got.Abandoned == 0 {
			t.Errorf("got %+v, want a slice restored for each panic, events replayed, and an attempt that the held put cost", got)
		}
	})
}

// Requests are counted where they are made: what the store was asked, whoever asked.
func TestStatusCountsRequests(t *testing.T) {
	bubble(t, func(t *testing.T, _ *store) {
		var seen *backendtest.Faults
		ctx := storehook.With(t.Context(), func(own backend.Objects) backend.Objects {
			seen = backendtest.NewFaults(own, 1)
			return seen
		})
		in, err := sheaf.Open(ctx, hourly(), tallies())
		if err != nil {
			t.Fatal(err)
		}
		defer abort(in)
		p := producer(t, in, "p")
		before, from := in.Status().Requests, len(seen.Journal())
		for range 10 {
			send(t, p, repeated(10)...)
			flush(t, p)
		}
		got, written, read := in.Status().Requests, 0, 0
		asked := map[backendtest.Op]int64{}
		for _, e := range seen.Journal()[from:] {
			asked[e.Op]++
			switch e.Op {
			case backendtest.Create, backendtest.Put:
				written += e.Bytes
			case backendtest.Get:
				read += e.Bytes
			}
		}
		for op, n := range map[backendtest.Op]int64{
			backendtest.Create: got.Creates.Asked - before.Creates.Asked, backendtest.Put: got.Puts.Asked - before.Puts.Asked,
			backendtest.Get: got.Gets.Asked - before.Gets.Asked, backendtest.Delete: got.Deletes.Asked - before.Deletes.Asked,
		} {
			if n != asked[op] {
				t.Errorf("%s: got %d requests, the journal has %d", op, n, asked[op])
			}
		}
		if asked[backendtest.Create] < 20 {
			t.Errorf("got %d creates, want a segment and a record for each of 10 epochs", asked[backendtest.Create])
		}
		if n := got.Creates.Bytes + got.Puts.Bytes - before.Creates.Bytes - before.Puts.Bytes; n != int64(written) {
			t.Errorf("got %d bytes written, the journal has %d", n, written)
		}
		if n := got.Gets.Bytes - before.Gets.Bytes; n != int64(read) {
			t.Errorf("got %d bytes read, the journal has %d", n, read)
		}
		if all := got.Total(); all.Failed != 0 || all.Repeated != 0 {
			t.Errorf("got %+v, want no failure: that nothing stands where one looks is an answer", all)
		}
	})
}

// However often it is read, and whenever, a status contradicts neither itself nor one before.
func TestStatusIsConsistent(t *testing.T) {
	cfg := sheaf.Config{State: backend.Config{VnodeCapacity: 8}, Epoch: time.Millisecond}
	in, err := sheaf.Open(t.Context(), cfg, tallies(), &inbox{})
	if err != nil {
		t.Fatal(err)
	}
	defer abort(in)
	end := attach(t, in, "s", scripted(repeated(300_000)))
	p := producer(t, in, "p")
	var over atomic.Bool
	go func() {
		<-end
		over.Store(true)
	}()
	last := in.Status()
	for n := 0; !over.Load(); n++ {
		if n%64 == 0 {
			send(t, p, repeated(1)...)
		}
		st := in.Status()
		for what, wrong := range map[string]bool{
			"emitted above sealed":                         st.Emitted > st.Epoch,
			"a last seal above sealed":                     st.LastSeal.Epoch > st.Epoch,
			"a last emission above sealed":                 st.LastEmit.Epoch > st.Epoch,
			"an open attempt at a sealed epoch":            st.Attempt.Epoch != 0 && st.Attempt.Epoch <= st.Epoch,
			"more sealed and given up than opened":         st.Counts.Sealed+st.Counts.Abandoned > st.Counts.Opened,
			"more emitted than sealed":                     st.Counts.Emitted > st.Counts.Sealed,
			"epochs that go back":                          st.Epoch < last.Epoch || st.Emitted < last.Emitted || st.Record < last.Record,
			"counters that fall":                           st.Counts.Applied < last.Counts.Applied || st.Counts.Sealed < last.Counts.Sealed,
			"requests that fall":                           st.Requests.Total().Asked < last.Requests.Total().Asked,
			"a source sealed beyond what was read":         slices.ContainsFunc(st.Sources, func(s actors.SourceStatus) bool { return s.Sealed > s.Read }),
			"fewer applied than the source's sealed part":  st.Counts.Applied < sealedOf(last),
			"more repeated or failed requests than others": st.Requests.Total().Repeated+st.Requests.Total().Failed > st.Requests.Total().Asked,
		} {
			if wrong {
				t.Fatalf("%s: got %+v\nafter %+v", what, st, last)
			}
		}
		last = st
	}
	if got := in.Status().Counts.Applied; got < 300_000 {
		t.Errorf("got %d events applied, want the source's 300,000", got)
	}
}

func sealedOf(st sheaf.Status) (n uint64) {
	for _, s := range st.Sources {
		n += s.Sealed
	}
	return n
}

// A status encodes as JSON, with the texts of errors.
func TestStatusEncodesAsJSON(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies(), sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error {
			return errors.New("the disk is full")
		}))
		send(t, producer(t, in, "p"), event{Key: "a", Add: 1})
		_ = problem(t, in, "emit")
		text, err := json.Marshal(in.Status())
		for _, want := range []string{`the disk is full"`, `"Epoch":1`, `"Name":"p"`, `"Creates":{"Asked":`, `"Instance":"local"`} {
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("got %s, %v, want %s in it", text, err, want)
			}
		}
	})
}
