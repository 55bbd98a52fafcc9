package sheaf_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// No goroutine is left after Close, whatever was attached and however it ended. In a bubble any would fail the test;
// this is the same in real time, on a real store.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	running := goleak.IgnoreCurrent()
	for _, patient := range []bool{true, false} {
		cfg := sheaf.Config{State: backend.Local(t.TempDir()), Epoch: 5 * time.Millisecond}
		in, err := sheaf.Open(t.Context(), cfg, tallies(), &inbox{})
		if err != nil {
			t.Fatal(err)
		}
		attach(t, in, "waiting", &script{events: repeated(5000), live: true})
		attach(t, in, "ending", scripted(repeated(5000)))
		push(t, resumable(t, in, "r"), 1, 1000)
		p := producer(t, in, "p")
		send(t, p, repeated(1000)...)
		results, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			for range in.Results(results) {
			}
		}()
		if patient {
			flush(t, in)
			closeAll(t, in)
		} else {
			abort(in)
		}
		if _, _, err := in.Get(t.Context(), "key 0"); err == nil {
			t.Error("get after close: got no error")
		}
		<-left
		leave()
		goleak.VerifyNone(t, running)
	}
}

// Close returns after the last of the instance's goroutines, whoever ended the instance: at that moment none is left, and
// none that is about to end.
func TestCloseWaitsForItsGoroutines(t *testing.T) {
	for range 50 {
		in, err := sheaf.Open(t.Context(), sheaf.Config{State: backend.Config{VnodeCapacity: 8}}, tallies())
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { closeAll(t, in) })
		closeAll(t, in)
		if left := goroutinesOf("sheaf.(*Instance", "actors.(*Instance"); left != "" {
			t.Fatalf("after Close:\n%s", left)
		}
		both.Wait()
	}
}

// goroutinesOf returns the stacks of goroutines of the instance's own: those in such a function, and not called by a test.
func goroutinesOf(functions ...string) string {
	all := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		if strings.Contains(stack, "sheaf_test.") {
			continue
		}
		for _, f := range functions {
			if strings.Contains(stack, f) {
				return stack
			}
		}
	}
	return ""
}

// A second Close that does not wait leaves the store to the first.
func TestImpatientCloseLeavesTheStoreToThePatientOne(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		send(t, p, event{Key: "a", Add: 1})
		hold := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Hold: true})
		patient := make(chan error)
		go func() { patient <- in.Close(t.Context()) }()
		<-hold.Arrived()
		abort(in)
		if _, err := in.Bucket().Exists(t.Context(), "any"); err != nil {
			t.Errorf("the bucket, while the first Close is at work: %v", err)
		}
		hold.Release()
		if err := <-patient; err != nil {
			t.Errorf("the first Close: %v", err)
		}
	})
}

// A sink that does not return though its context has ended keeps the instance from ending, but not Close from returning: its
// error names the sink.
func TestCloseNamesTheSinkThatDoesNotReturn(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		release := make(chan struct{})
		deaf := sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error { <-release; return nil })
		in := s.open(small(), tallies(), &inbox{}, deaf)
		p := producer(t, in, "p")
		send(t, p, event{Key: "a", Add: 1})
		flush(t, p)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			if err := in.Close(ctx); err == nil || !strings.Contains(err.Error(), "sink 1 with epoch 1 has not returned") {
				t.Errorf("close: got %v, want that it names the sink", err)
			}
			cancel()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("close took %v with a context of 1s", took)
			}
		}
		close(release)
		<-in.Done()
	})
}

// Close seals and emits what was taken, and a source goes on where it was.
func TestCloseSealsAndEmits(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		const n = 3000
		source := &script{events: repeated(n), chunk: 10, every: time.Millisecond}
		sink := &inbox{}
		in := s.open(small(), tallies(), sink)
		attach(t, in, "s", source)
		p := producer(t, in, "p")
		send(t, p, repeated(7)...)
		quiet(100 * time.Millisecond)
		closeAll(t, in)
		r := sink.last(t)
		if r.Value.Sum != int64(r.Cuts["s"])+7 || r.Cuts["s"] == 0 || r.Cuts["s"] == n {
			t.Errorf("got %+v at %v, want all of the producer, and a part of the source", r.Value, r.Cuts)
		}
		in = s.open(small(), tallies(), sink)
		if got := sum(live(t, in)); got != r.Value.Sum {
			t.Errorf("after a restart: got %d, want %d: nothing was taken that is not emitted", got, r.Value.Sum)
		}
		ended(t, in, attach(t, in, "s", source))
		if got := sum(live(t, in)); got != n+7 {
			t.Errorf("at the end: got %d, want %d", got, n+7)
		}
	})
}

// While an instance closes, nobody can hand it more than it will seal.
func TestNothingIsTakenWhileClosing(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p, r := producer(t, in, "p"), resumable(t, in, "r")
		taken := make(chan int64, 2)
		go func() {
			n := int64(0)
			for {
				if _, err := p.Send(t.Context(), event{Key: "p", Add: 1}); err != nil {
					break
				}
				n++
				quiet(100 * time.Microsecond)
			}
			taken <- n
		}()
		go func() {
			n := int64(0)
			for r.Send(t.Context(), uint64(n)+1, event{Key: "r", Add: 1}) == nil {
				n++
				quiet(100 * time.Microsecond)
			}
			taken <- n
		}()
		quiet(500 * time.Millisecond)
		closeAll(t, in)
		want := <-taken + <-taken
		if got := sum(live(t, s.open(small(), tallies()))); got != want {
			t.Errorf("got %d events, want the %d that were taken", got, want)
		}
	})
}
