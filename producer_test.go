package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/vnode"
)

// What a producer has flushed is there after a crash; what it has not may be gone, as a whole (I4).
func TestFlushedEventsSurviveACrashOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		want := map[string]int64{}
		for i := range 100 {
			k := fmt.Sprint("key ", i%7)
			want[k]++
			send(t, p, event{Key: k, Add: 1})
		}
		flush(t, p)
		send(t, p, event{Key: "lost", Add: 1})
		s.crash(in)
		_, err := p.Send(t.Context(), event{Key: "late"})
		wantError(t, "send after the crash", err, sheaf.ErrClosed)

		in = s.open(small(), tallies())
		wantTallies(t, "after the crash", live(t, in), want)
	})
}

func TestPositionsCountFromOneInEveryGeneration(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		for range 2 {
			p := producer(t, in, "p")
			for want := range uint64(3) {
				at, err := p.Send(t.Context(), event{Key: "a", Add: 1})
				if err != nil || at != want+1 {
					t.Fatalf("got position %d, %v, want %d", at, err, want+1)
				}
			}
			flush(t, p)
		}
		wantTallies(t, "both generations", live(t, in), map[string]int64{"a": 6})
	})
}

func TestOpeningANameAgainFencesTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		first := producer(t, in, "p")
		send(t, first, event{Key: "a", Add: 1})
		flush(t, first)
		second := producer(t, in, "p")
		_, err := first.Send(t.Context(), event{Key: "a", Add: 10})
		wantError(t, "send by the first", err, sheaf.ErrFenced)
		wantError(t, "flush by the first", first.Flush(t.Context()), sheaf.ErrFenced)
		send(t, second, event{Key: "a", Add: 100})
		flush(t, second)
		wantTallies(t, "after the fence", live(t, in), map[string]int64{"a": 101})
	})
}

func TestSendFailsAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p, q := producer(t, in, "p"), producer(t, in, "q")
		send(t, p, event{Key: "a", Add: 1})
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := p.Send(t.Context(), event{Key: "a", Add: 1})
		wantError(t, "send to a closed producer", err, sheaf.ErrClosed)

		send(t, q, event{Key: "a", Add: 1})
		closeAll(t, in)
		_, err = q.Send(t.Context(), event{Key: "a", Add: 1})
		wantError(t, "send to a closed instance", err, sheaf.ErrClosed)
		_, err = in.Producer(t.Context(), "r")
		wantError(t, "open a producer of a closed instance", err, sheaf.ErrClosed)
		_, err = in.Attach(t.Context(), "s", scripted(nil))
		wantError(t, "attach to a closed instance", err, sheaf.ErrClosed)
		_, _, err = in.Get(t.Context(), "a")
		wantError(t, "get from a closed instance", err, sheaf.ErrClosed)
		wantError(t, "err of a closed instance", in.Err(), sheaf.ErrClosed)
		if err := in.Close(t.Context()); err != nil {
			t.Errorf("second close: got %v, want nil", err)
		}
		wantTallies(t, "after close", live(t, s.open(small(), tallies())), map[string]int64{"a": 2})
	})
}

func TestContextEndsSendAndFlush(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*"}) // nothing is sealed any more
		send(t, p, event{Key: "a", Add: 1})
		why := errors.New("enough of it")
		for what, call := range map[string]func(context.Context) error{
			"flush of the producer": p.Flush,
			"flush of the instance": in.Flush,
			"close of the producer": p.Close,
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			quiet(patience / 100)
			select {
			case err := <-done:
				t.Fatalf("%s: returned %v while nothing can be sealed", what, err)
			default:
			}
			cancel(why)
			wantError(t, what, <-done, why)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := p.Send(ctx, event{Key: "a", Add: 1})
		wantError(t, "send", err, context.Canceled)
		wantError(t, "flush with a context that has ended", in.Flush(ctx), why)
	})
}

func TestCloseSaysWhatIsNotSealed(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*"})
		send(t, p, event{Key: "a", Add: 1})
		ctx, cancel := context.WithTimeout(t.Context(), patience/10)
		defer cancel()
		err := in.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not everything is sealed") {
			t.Errorf("close with a broken store: got %v, want that not everything is sealed, and why", err)
		}
		select {
		case <-in.Done():
		default:
			t.Error("the instance goes on after Close has returned")
		}
	})
}

func TestOverlongKeyIsRefusedWithItsLimit(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		fits := strings.Repeat("k", vnode.MaxKeyLen)
		_, err := p.Send(t.Context(), event{Key: fits + "k", Add: 1})
		var long *vnode.KeyTooLongError
		if !errors.As(err, &long) || long.Len != vnode.MaxKeyLen+1 || long.Limit != vnode.MaxKeyLen {
			t.Errorf("send: got %v, want a KeyTooLongError of %d bytes and the limit %d", err, vnode.MaxKeyLen+1, vnode.MaxKeyLen)
		}
		at, err := p.Send(t.Context(), event{Key: fits, Add: 1})
		if err != nil || at != 1 {
			t.Errorf("send of a key at the limit: got position %d, %v, want 1: what is refused has no position", at, err)
		}
		flush(t, p)
		wantTallies(t, "only the key at the limit", live(t, in), map[string]int64{fits: 1})
	})
}

func TestPanickingKeyIsAnErrorOfSend(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		_, err := p.Send(t.Context(), event{Do: badKey})
		if err == nil || !strings.Contains(err.Error(), "no key") {
			t.Errorf("got %v, want the panic's value", err)
		}
		send(t, p, event{Key: "a", Add: 1})
		flush(t, p)
	})
}

// A flush waits for what was sent before it, not for what others send meanwhile.
func TestFlushReturnsWhileOthersSend(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies())
		p := producer(t, in, "p")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int64, 1)
		go func() {
			n := int64(0)
			for ; ctx.Err() == nil; quiet(time.Millisecond) {
				if _, err := p.Send(ctx, event{Key: fmt.Sprint(n % 50), Add: 1}); err == nil {
					n++
				}
			}
			done <- n
		}()
		limit, stop := context.WithTimeout(t.Context(), patience)
		defer stop()
		for range 5 {
			if err := p.Flush(limit); err != nil {
				t.Errorf("flush of the producer: %v", err)
			}
			if err := in.Flush(limit); err != nil {
				t.Errorf("flush of the instance: %v", err)
			}
		}
		cancel()
		n := <-done
		flush(t, p)
		if got := sum(live(t, in)); got != n {
			t.Errorf("got %d events, want %d", got, n)
		}
	})
}

// A producer that the store holds up waits at the bound of its history, and Status names that bound (I8).
func TestHistoryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		cfg := small()
		cfg.State.Cluster.Limits = backend.Limits{History: 1 << 12}
		in := s.open(cfg, tallies())
		p := producer(t, in, "p")
		stuck := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Hold: true})

		const n = 1000
		sent := make(chan error, 1)
		go func() {
			for i := range n {
				if _, err := p.Send(t.Context(), event{Key: fmt.Sprint(i % 10), Add: 1}); err != nil {
					sent <- fmt.Errorf("event %d: %w", i, err)
					return
				}
			}
			sent <- nil
		}()
		eventually(t, "the producer waits", func() bool {
			return slices.Contains(in.Status().Held, "history of producer p")
		})
		st := in.Status().Producers[0]
		if st.Unsealed > 1<<12+100 || st.Sent == n {
			t.Errorf("got %+v, want at most the bound of %d bytes and an event more", st, 1<<12)
		}
		stuck.Release()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		if got := sum(live(t, in)); got != n {
			t.Errorf("got %d events, want %d", got, n)
		}
		eventually(t, "nothing is held once the store works", func() bool { return len(in.Status().Held) == 0 })
	})
}

func TestNamesAreBoundedAndIdleOnesRetire(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		cfg := small()
		cfg.Names = 2
		in := s.open(cfg, tallies())
		a, b := producer(t, in, "a"), producer(t, in, "b")
		send(t, a, event{Key: "k", Add: 1})
		_, err := in.Producer(t.Context(), "c")
		wantError(t, "a third name", err, sheaf.ErrNames)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		send(t, producer(t, in, "c"), event{Key: "k", Add: 1})
		flush(t, in)
		wantTallies(t, "a and c", live(t, in), map[string]int64{"k": 2})
	})
}

func sum(tallies map[string]int64) (n int64) {
	for _, v := range tallies {
		n += v
	}
	return n
}
