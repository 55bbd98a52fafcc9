package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// steps lists the kinds of a timeline's events.
func steps(events []sheaf.Event) (out []actors.Step) {
	for _, e := range events {
		out = append(out, e.Step)
	}
	return out
}

// A start tells its steps in their order, each with its facts, and again what the process before had left to emit.
func TestTimelineTellsOfAStart(t *testing.T) {
	cfg := sheaf.Config{State: backend.Local(t.TempDir()), Epoch: time.Hour}
	var full atomic.Bool
	full.Store(true)
	sink := sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error {
		if full.Load() {
			return errors.New("full")
		}
		return nil
	})
	open := func() *tallyInstance {
		in, err := sheaf.Open(t.Context(), cfg, tallies(), sink)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	in := open()
	p := producer(t, in, "p")
	send(t, p, event{Key: "a", Add: 1})
	flush(t, p)
	abort(in)

	full.Store(false)
	in = open()
	defer closeAll(t, in)
	eventually(t, "the epoch left is emitted", func() bool { return in.Status().Waiting == 0 })
	events := in.Timeline()
	want := []actors.Step{
		actors.StepOpen, actors.StepProbe, actors.StepFind, actors.StepTakeOver, actors.StepRestore, actors.StepReady, actors.StepEmit,
	}
	got := steps(events)
	emitted := slices.Index(got, actors.StepEmit)
	if emitted < 0 || !slices.Equal(slices.Delete(slices.Clone(got), emitted, emitted+1), want[:len(want)-1]) {
		t.Fatalf("got %v, want %v, the last at any time behind the probe", got, want)
	}
	for _, detail := range []string{
		"store " + cfg.State.Path, "create-if-absent", "epoch 1 of term 1, emitted up to 0, in 1 segments", "begins term 2",
		"256 slices of epoch 1", "256 vnodes", "epoch 1,",
	} {
		if !slices.ContainsFunc(events, func(e sheaf.Event) bool { return strings.Contains(e.String(), detail) }) {
			t.Errorf("got %v, want %q in one of them", events, detail)
		}
	}
	for _, e := range events {
		if e.Took <= 0 || e.At.IsZero() {
			t.Errorf("got %+v, want a time and how long it took", e)
		}
	}
}

// What fails and is tried again is told when it begins and when it ends, with its time and its number of tries, and is
// logged once each; so are the restore of a vnode that panicked, and what is replayed to it.
func TestTimelineTellsOfTrouble(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		core, logged := observer.New(zap.DebugLevel)
		cfg, broken := small(), &trouble{}
		cfg.Log = zap.New(core)
		app := tallies()
		app.Update = func(turn *sheaf.Turn, total *int64, e event) error {
			broken.strike("update")
			return tally(turn, total, e)
		}
		app.Tries = 1000
		in := s.open(cfg, app)
		source := &script{events: repeated(20_000), live: true, chunk: 100, every: time.Millisecond}
		attach(t, in, "s", source)
		quiet(50 * time.Millisecond)
		broken.on.Store(true)
		eventually(t, "a panic", func() bool { return in.Status().Counts.Panics > 0 })
		broken.on.Store(false)
		fault := s.faults.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Err: errors.New("no room")})
		_ = problem(t, in, "put a segment")
		quiet(10 * time.Second)
		s.faults.Remove(fault)
		healthy(t, in)
		flush(t, in)
		closeAll(t, in)

		events := in.Timeline()
		find := func(step actors.Step, detail string) sheaf.Event {
			for _, e := range slices.Backward(events) {
				if e.Step == step && strings.Contains(e.Detail, detail) {
					return e
				}
			}
			t.Errorf("got %v, want a %s of %q", events, step, detail)
			return sheaf.Event{}
		}
		find(actors.StepAttach, "source s goes on behind 0")
		find(actors.StepRetry, "run vnode")
		find(actors.StepRestore, "slices of epoch 1,")
		find(actors.StepReplay, "of source s up to")
		find(actors.StepRetry, "put a segment: put segment")
		if e := find(actors.StepRecover, "put a segment: well again after"); e.Took < 10*time.Second {
			t.Errorf("got %+v, want that it took at least 10 s", e)
		}
		if e := events[len(events)-1]; e.Step != actors.StepEnd || e.Detail != "closed" {
			t.Errorf("got %v last, want the end", e)
		}
		for _, once := range []string{"end", "find", "ready"} {
			if n := logged.FilterMessage(once).Len(); n != 1 {
				t.Errorf("%q was logged %d times, want once", once, n)
			}
		}
		failed := logged.FilterMessage("failed, trying again").FilterField(zap.String("doing", "put a segment")).Len()
		again := logged.FilterMessage("went well again").FilterField(zap.String("doing", "put a segment")).Len()
		if failed != 1 || again != 1 {
			t.Errorf("the put that failed was logged %d times, and %d times that it went well: want each once", failed, again)
		}
	})
}

// A timeline is bounded: it keeps the first events and the newest (I8).
func TestTimelineIsBounded(t *testing.T) {
	line := actors.NewTimeline(zap.NewNop())
	for i := range 1000 {
		line.Note(time.Time{}, actors.StepRetry, "%d", i)
	}
	var got, want []string
	for _, e := range line.Events() {
		got = append(got, e.Detail)
	}
	for i := range 1000 {
		if i < 64 || i >= 1000-192 {
			want = append(want, fmt.Sprint(i))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
