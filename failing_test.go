package sheaf_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// trouble breaks functions of an app while it is on.
type trouble struct{ on atomic.Bool }

func (f *trouble) strike(what string) {
	if f.on.Load() {
		panic(what)
	}
}

// brittle is a codec that fails or panics while its trouble is on.
type brittle[T any] struct {
	sheaf.Codec[T]
	encode, decode *trouble
	fails          *trouble // with an error
}

func (c brittle[T]) Append(dst []byte, v *T) ([]byte, error) {
	c.encode.strike("encode")
	if c.fails.on.Load() {
		return nil, errors.New("the encoder fails")
	}
	return c.Codec.Append(dst, v)
}

func (c brittle[T]) Decode(src []byte, v *T) error {
	c.decode.strike("decode")
	return c.Codec.Decode(src, v)
}

func brittleCBOR[T any](f *trouble, what string) brittle[T] {
	never := &trouble{}
	c := brittle[T]{sheaf.CBOR[T](), never, never, never}
	switch what {
	case "encode":
		c.encode = f
	case "decode":
		c.decode = f
	default:
		c.fails = f
	}
	return c
}

// A function of the app that fails for ever is visible in Status and loses nothing: once it heals, all is sealed and
// emitted.
func TestFailingFunctionsAreVisibleAndHeal(t *testing.T) {
	cases := map[string]struct {
		breaks func(app *tallyApp, f *trouble)
		doing  []string // the problem names one of these
		want   string
	}{
		"fold": {func(app *tallyApp, f *trouble) {
			fold := app.Fold
			app.Fold = func(r *total, k string, s *int64) { f.strike("fold"); fold(r, k, s) }
		}, []string{"run vnode"}, "fold panicked: fold"},
		"merge": {func(app *tallyApp, f *trouble) {
			merge := app.Merge
			app.Merge = func(into *total, from total) { f.strike("merge"); merge(into, from) }
		}, []string{"emit"}, "merge panicked: merge"},
		"encoder of states panics": {func(app *tallyApp, f *trouble) {
			app.StateCodec = brittleCBOR[int64](f, "encode")
		}, []string{"run vnode"}, "capture panicked: encode"},
		"encoder of states fails": {func(app *tallyApp, f *trouble) {
			app.StateCodec = brittleCBOR[int64](f, "fail")
		}, []string{"run vnode"}, "the encoder fails"},
		"encoder of results fails": {func(app *tallyApp, f *trouble) {
			app.ResultCodec = brittleCBOR[total](f, "fail")
		}, []string{"run vnode"}, "the encoder fails"},
		"decoder of results": {func(app *tallyApp, f *trouble) {
			app.ResultCodec = brittleCBOR[total](f, "decode")
		}, []string{"emit"}, "decode"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				app, f, sink := tallies(), &trouble{}, &inbox{}
				c.breaks(&app, f)
				in := s.open(small(), app, sink)
				p := producer(t, in, "p")
				send(t, p, event{Key: "a", Add: 1})
				flush(t, p)
				f.on.Store(true)
				send(t, p, event{Key: "a", Add: 1}, event{Key: "b", Add: 1})
				quiet(patience / 5)
				err := problemIn(t, in, c.doing)
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got the problem %q, want one with %q", err, c.want)
				}
				f.on.Store(false)
				flush(t, in)
				closeAll(t, in)
				if got, want := sink.last(t).Value, (total{Keys: 2, Sum: 3}); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		})
	}
}

// problemIn returns the problem that the status shows now with one of what is being done.
func problemIn(t *testing.T, in *tallyInstance, doing []string) error {
	t.Helper()
	problems := in.Status().Problems
	for _, p := range problems {
		for _, d := range doing {
			if strings.HasPrefix(p.Doing, d) {
				return p.Err
			}
		}
	}
	t.Fatalf("got the problems %v, want one with %v", problems, doing)
	return nil
}

// A sink that fails or panics is offered the same result again; sinks before it get each result once.
func TestFailingSinkIsOfferedTheResultAgain(t *testing.T) {
	for name, strike := range map[string]func() error{
		"error": func() error { return errors.New("the sink is full") },
		"panic": func() error { panic("the sink is full") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				f, before, behind := &trouble{}, &inbox{}, &inbox{}
				f.on.Store(true)
				broken := sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error {
					if f.on.Load() {
						return strike()
					}
					return nil
				})
				in := s.open(small(), tallies(), before, broken, behind)
				p := producer(t, in, "p")
				send(t, p, event{Key: "a", Add: 1})
				flush(t, p)
				quiet(patience / 5)
				err := problemIn(t, in, []string{"emit"})
				if !strings.Contains(err.Error(), "sink 1") || !strings.Contains(err.Error(), "the sink is full") {
					t.Errorf("got the problem %q, want the sink's place and what it said", err)
				}
				if n := len(behind.results()); n > 0 {
					t.Errorf("the sink behind got %d results, want none yet", n)
				}
				f.on.Store(false)
				closeAll(t, in)
				if n, m := len(before.results()), len(behind.results()); n != 1 || m != 1 {
					t.Errorf("the sinks around got %d and %d results, want one each", n, m)
				}
				healthy(t, in)
			})
		})
	}
}

// At most four sealed epochs wait for a sink; then none opens, producers go on until a bound, and Status names the sink
// (I8).
func TestFourEpochsWaitForAStuckSink(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		release := make(chan struct{})
		sink := &inbox{}
		stuck := sheaf.SinkFunc[total](func(ctx context.Context, _ sheaf.Result[total]) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		in := s.open(small(), tallies(), stuck, sink)
		p := producer(t, in, "p")
		for range 20 {
			send(t, p, event{Key: "a", Add: 1})
			quiet(small().Epoch)
		}
		quiet(patience / 10)
		st := in.Status()
		if st.Epoch-st.Emitted != 4 || st.Waiting != 4 {
			t.Errorf("got epoch %d, emitted %d, %d waiting, want 4 waiting", st.Epoch, st.Emitted, st.Waiting)
		}
		if !strings.Contains(strings.Join(st.Held, "\n"), "sink 0") {
			t.Errorf("got held %q, want that it names sink 0", st.Held)
		}
		close(release)
		closeAll(t, in)
		all := sink.results()
		for i, r := range all[1:] {
			if r.Epoch <= all[i].Epoch {
				t.Errorf("epoch %d came after %d", r.Epoch, all[i].Epoch)
			}
		}
		if got := sink.last(t).Value.Sum; got != 20 {
			t.Errorf("got the sum %d, want 20", got)
		}
	})
}

// A store that fails is tried again, visibly, and nothing is lost.
func TestFailingStoreIsVisibleAndHeals(t *testing.T) {
	cases := map[string]struct {
		rule  backendtest.Rule
		doing string
	}{
		"segments":           {backendtest.Rule{Op: backendtest.Create, Key: "segment/*"}, "put a segment"},
		"segments, landed":   {backendtest.Rule{Op: backendtest.Create, Key: "segment/*", After: true, Times: 3}, ""},
		"no space":           {backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Err: backend.ErrFull}, "put a segment"},
		"records":            {backendtest.Rule{Op: backendtest.Create, Key: "ledger/*"}, "create a record"},
		"records, landed":    {backendtest.Rule{Op: backendtest.Create, Key: "ledger/*", After: true}, ""},
		"every other answer": {backendtest.Rule{Rate: 0.5, After: true}, ""},
		"every other":        {backendtest.Rule{Rate: 0.5}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				in := s.open(small(), tallies())
				p := producer(t, in, "p")
				fault := s.faults.Add(c.rule)
				send(t, p, event{Key: "a", Add: 1})
				quiet(patience / 10)
				if c.doing != "" {
					err := problem(t, in, c.doing)
					if c.rule.Err != nil {
						wantError(t, "the problem", err, c.rule.Err)
					}
					s.faults.Remove(fault)
				}
				flush(t, p)
				s.faults.Remove(fault)
				healthy(t, in)
				s.crash(in)
				wantTallies(t, "after a restart", live(t, s.open(small(), tallies())), map[string]int64{"a": 1})
			})
		})
	}
}

// A segment that takes longer than an epoch may is waited for while it is being made: to begin again would take longer. One
// that is not made at all is given up at last.
func TestEpochsWaitForWhatIsBeingMade(t *testing.T) {
	for name, c := range map[string]struct {
		takes     time.Duration
		abandoned bool
	}{"longer": {10 * time.Second, false}, "for ever": {time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				cfg := small()
				cfg.SealTimeout = time.Second
				in := s.open(cfg, tallies())
				p := producer(t, in, "p")
				s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Delay: c.takes, Times: 1})
				send(t, p, event{Key: "a", Add: 1})
				began := time.Now()
				flush(t, p)
				if got := in.Status().Counts.Abandoned > 0; got != c.abandoned {
					t.Errorf("given up: got %t, want %t", got, c.abandoned)
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("the epoch was sealed after %v", took)
				}
			})
		})
	}
}

// The size of a partial has a limit, which the problem names.
func TestOverlongPartialNamesItsLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("makes partials of more than 64 MiB")
	}
	bubble(t, func(t *testing.T, s *store) {
		app := sheaf.App[string, event, int64, []byte]{
			Name: "large", KeyOf: tallies().KeyOf, Update: tally,
			Fold:  func(r *[]byte, _ string, s *int64) { *r = make([]byte, *s) },
			Merge: func(into *[]byte, from []byte) { *into = append(*into, from...) },
		}
		in, err := sheaf.Open(t.Context(), small(), app)
		if err != nil {
			t.Fatal(err)
		}
		p, err := in.Producer(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), event{Key: "a", Add: backend.MaxPartial + 1}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience/100)
		defer cancel()
		wantError(t, "flush", p.Flush(ctx), context.DeadlineExceeded)
		var said []string
		for _, problem := range in.Status().Problems {
			said = append(said, problem.Err.Error())
		}
		if !strings.Contains(strings.Join(said, "\n"), "the limit is 67108864") {
			t.Errorf("got the problems %q, want one that names the limit", said)
		}
		if _, err := p.Send(t.Context(), event{Key: "a", Do: del}); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatalf("flush after the large state has gone: %v", err)
		}
		if err := in.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
