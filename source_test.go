package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/vnode"
)

// script is a source of known events.
type script struct {
	events []event
	chunk  int                   // events per read; 0: as many as fit
	every  time.Duration         // from one read to the next
	fail   func(at uint64) error // of the reader at a position; nil: never
	live   bool                  // it waits behind its last event instead of ending
}

// scripted is a source of events that ends behind them.
func scripted(events []event) *script { return &script{events: events} }

// repeated is n events with the keys key 0 to key 9, each adding 1.
func repeated(n int) []event {
	out := make([]event, n)
	for i := range out {
		out[i] = event{Key: fmt.Sprint("key ", i%10), Add: 1}
	}
	return out
}

func (s *script) Open(_ context.Context, offset uint64) (sheaf.Reader[event], error) {
	return &scriptReader{s: s, at: offset}, nil
}

type scriptReader struct {
	s  *script
	at uint64
}

func (r *scriptReader) Read(ctx context.Context, into []event) (int, error) {
	if r.s.every > 0 {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(r.s.every):
		}
	}
	if r.s.fail != nil {
		if err := r.s.fail(r.at); err != nil {
			return 0, err
		}
	}
	if r.at == uint64(len(r.s.events)) {
		if r.s.live {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return 0, io.EOF
	}
	if r.s.chunk > 0 {
		into = into[:min(len(into), r.s.chunk)]
	}
	n := copy(into, r.s.events[r.at:])
	r.at += uint64(n)
	return n, nil
}

func (r *scriptReader) Close() error { return nil }

func attach(t *testing.T, in *tallyInstance, name string, s sheaf.Source[event]) <-chan struct{} {
	t.Helper()
	done, err := in.Attach(t.Context(), name, s)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// ended waits until the end of a source is sealed.
func ended(t *testing.T, in *tallyInstance, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("the end of the source is not sealed after %v: %+v", patience, in.Status())
	}
}

func TestSourceIsAppliedSealedAndEmitted(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		sink := &inbox{}
		in := s.open(small(), tallies(), sink)
		const n = 100_000
		ended(t, in, attach(t, in, "numbers", scripted(repeated(n))))
		closeAll(t, in)
		r := sink.last(t)
		if want := (total{Keys: 10, Sum: n}); r.Value != want || r.Cuts["numbers"] != n {
			t.Errorf("got %+v at %v, want %+v at %d", r.Value, r.Cuts, want, n)
		}
	})
}

// Every result holds exactly the events up to its cut, across crashes, and the cuts only grow (I5, I6).
func TestResultsHoldExactlyTheirCutsAcrossCrashes(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		const n = 5000
		source := &script{events: repeated(n), chunk: 50, every: 10 * time.Millisecond}
		sink := &inbox{}
		for range 5 {
			in := s.open(small(), tallies(), sink)
			attach(t, in, "s", source)
			quiet(150 * time.Millisecond)
			s.crash(in)
		}
		in := s.open(small(), tallies(), sink)
		ended(t, in, attach(t, in, "s", source))
		closeAll(t, in)
		var epoch sheaf.Epoch
		var cut uint64
		for _, r := range sink.results() {
			if r.Epoch < epoch || r.Cuts["s"] < cut || r.Value.Sum != int64(r.Cuts["s"]) {
				t.Errorf("epoch %d behind %d: got %+v at cut %v behind cut %d", r.Epoch, epoch, r.Value, r.Cuts, cut)
			}
			epoch, cut = r.Epoch, r.Cuts["s"]
		}
		if cut != n {
			t.Errorf("the last cut is %d, want %d", cut, n)
		}
	})
}

func TestEndedSourceStaysEnded(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		ended(t, in, attach(t, in, "s", scripted(repeated(100))))
		closeAll(t, in)
		in = s.open(small(), tallies())
		<-attach(t, in, "s", scripted(repeated(200))) // 100 more than it ended with
		wantTallies(t, "the end stands", live(t, in), tenEach(10))
	})
}

func tenEach(n int64) map[string]int64 {
	want := map[string]int64{}
	for i := range 10 {
		want[fmt.Sprint("key ", i)] = n
	}
	return want
}

func TestNameIsAttachedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		attach(t, in, "s", &script{live: true})
		_, err := in.Attach(t.Context(), "s", &script{live: true})
		wantError(t, "second attach", err, sheaf.ErrAttached)
		_, err = in.Producer(t.Context(), "s")
		wantError(t, "producer of a source's name", err, sheaf.ErrKind)
		for _, name := range []string{"", strings.Repeat("n", 256)} {
			if _, err := in.Attach(t.Context(), name, scripted(nil)); err == nil {
				t.Errorf("attach with a name of %d bytes: got no error", len(name))
			}
		}
	})
}

func TestReaderIsOpenedAgainAfterAnError(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		var broken atomic.Bool
		broken.Store(true)
		source := scripted(repeated(1000))
		source.chunk = 100
		source.fail = func(at uint64) error {
			switch {
			case at == 500 && broken.Load():
				return errors.New("the disk is unplugged")
			case at == 700 && broken.CompareAndSwap(false, true):
				panic("the disk is on fire")
			}
			return nil
		}
		in := s.open(small(), tallies())
		done := attach(t, in, "s", source)
		err := problem(t, in, "read source s")
		if err == nil || !strings.Contains(err.Error(), "unplugged") {
			t.Errorf("got %v, want the reader's error", err)
		}
		broken.Store(false)
		ended(t, in, done)
		wantTallies(t, "every event once", live(t, in), tenEach(100))
		healthy(t, in)
	})
}

func TestUnusableKeysOfASourceAreRejectedAndCounted(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		events := repeated(1000)
		events[499] = event{Do: badKey}
		events[799] = event{Key: strings.Repeat("k", vnode.MaxKeyLen+1)}
		dead := &letters{}
		app := tallies()
		app.DeadLetter = dead.take
		in := s.open(small(), app)
		ended(t, in, attach(t, in, "s", scripted(events)))
		if got := dead.got(); !slices.Equal(got, []string{"s/500", "s/800"}) {
			t.Errorf("got dead letters %v, want s/500 and s/800", got)
		}
		if got := sum(live(t, in)); got != 998 {
			t.Errorf("got %d events, want 998", got)
		}
		if got := in.Status().Counts.Rejected; got != 2 {
			t.Errorf("got %d rejected in the status, want 2", got)
		}
	})
}

// A source that waits for an event does not hold up epochs of what came before, or of others.
func TestWaitingSourceDoesNotHoldUpEpochs(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		attach(t, in, "waiting", &script{events: repeated(100), live: true})
		attach(t, in, "empty", &script{live: true})
		p := producer(t, in, "p")
		for range 3 {
			send(t, p, event{Key: "key 0", Add: 1})
			flush(t, p)
		}
		eventually(t, "the source is read", func() bool {
			return slices.ContainsFunc(in.Status().Sources, func(s actors.SourceStatus) bool { return s.Read == 100 })
		})
		flush(t, in)
		n, _, _, err := in.GetSealed(t.Context(), "key 0")
		if err != nil || n != 13 {
			t.Errorf("got %d, %v, want 10 events of the source and 3 of the producer", n, err)
		}
	})
}

// A caller that is gone when its attach is granted leaves no source behind that would hold up every epoch.
func TestAbandonedAttachHoldsNothingUp(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		stuck := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "ledger/*", Hold: true, Times: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := in.Attach(ctx, "s", scripted(repeated(100)))
		wantError(t, "attach", err, context.DeadlineExceeded)
		stuck.Release()
		send(t, p, event{Key: "a", Add: 1})
		flush(t, p)
		quiet(time.Second)
		ended(t, in, attach(t, in, "s", scripted(repeated(100))))
		if got := sum(live(t, in)); got != 101 {
			t.Errorf("got %d events, want 101", got)
		}
	})
}
