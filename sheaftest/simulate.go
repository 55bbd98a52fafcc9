package sheaftest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf"
)

// Simulate runs an app on events: through a real instance, in virtual time, on a store in memory that outlives it. The
// events are split by key between a source and a resumable producer, in order. Meanwhile, as each run's seed says, the
// instance crashes and is opened again, requests to the store fail, or take effect and are answered with an error, and
// updates panic the first time that they see an event, after they have changed the state. It fails the test unless
//
//   - every result is the fold of exactly the events up to its cut, epochs and cuts only grow, and a result that is
//     emitted again after a crash has the same bytes,
//   - the state at the end is the fold of all events, before and after one more restart,
//   - each as a plain program computes it: event after event, with a map of states.
//
// Events must not be changed by updates. The app's DeadLetter hook is called; no panic is injected if Tries is 1. It
// runs in bubbles of [testing/synctest], and must not be called from one.
func Simulate[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], events []E, opts ...Option) {
	t.Helper()
	did, err := checkSimulation(t, app, events, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(did)
}

func checkSimulation[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], events []E, opts ...Option) (did tally, err error) {
	o := optionsOf(opts, options{seed: 1, runs: 10})
	did.from = o.seed
	for i := range o.runs {
		w := newWorld(subjectOf(app), events, o.seed+uint64(i))
		synctest.Test(t, func(t *testing.T) { err = w.run(t) })
		did.add(w.did)
		if err != nil {
			return did, w.report(err)
		}
	}
	return did, nil
}

// tally counts what runs did, to show that they did something.
type tally struct {
	from                                    uint64
	runs, crashes, panics, faults, requests int
	results                                 int
}

func (t *tally) add(o tally) {
	t.runs++
	t.crashes += o.crashes
	t.panics += o.panics
	t.faults += o.faults
	t.requests += o.requests
	t.results += o.results
}

func (t tally) String() string {
	return fmt.Sprintf("%d runs from sheaftest.Seed(%d): %d crashes, %d panics, %d of %d requests to the store failed, %d results compared",
		t.runs, t.from, t.crashes, t.panics, t.faults, t.requests, t.results)
}

// Names of the origins in a simulation.
const (
	sourceName    = "source"
	resumableName = "resumable"
)

// simCapacity is the number of vnodes of a simulated instance: few, so that keys share one.
const simCapacity = 8

// patience is how long a simulated instance may take, in virtual time.
const patience = 10 * time.Minute

// world is one run.
type world[K sheaf.Key, E, S, R any] struct {
	subject[K, E, S, R]
	seed   uint64
	chance *rand.Rand
	origin map[string][]E // the events of each, in order
	emits  *emissions[R]
	did    tally
}

func newWorld[K sheaf.Key, E, S, R any](a subject[K, E, S, R], events []E, seed uint64) *world[K, E, S, R] {
	return &world[K, E, S, R]{
		subject: a, seed: seed, chance: rand.New(rand.NewPCG(seed, 0)), origin: split(a, events),
		emits: &emissions[R]{},
	}
}

// split gives each key's events to one origin, so that their order is known.
func split[K sheaf.Key, E, S, R any](a subject[K, E, S, R], events []E) map[string][]E {
	names := []string{sourceName, resumableName}
	of := map[K]string{}
	out := map[string][]E{}
	for _, e := range events {
		name := sourceName
		err := guarded("KeyOf", func() error {
			k := a.KeyOf(e)
			if of[k] == "" {
				of[k] = names[len(of)%len(names)]
			}
			name = of[k]
			return nil
		})
		if err != nil {
			continue // it is rejected wherever it comes from
		}
		out[name] = append(out[name], e)
	}
	return out
}

func (w *world[K, E, S, R]) report(err error) error {
	var e *LawError
	if !errors.As(err, &e) {
		e = &LawError{Law: "events are applied, sealed and emitted", Detail: err.Error()}
	}
	e.Seed = w.seed
	return e
}

// run crashes some lives, lets one come to the end, and compares.
func (w *world[K, E, S, R]) run(t *testing.T) error {
	store, err := newSimStore(t)
	if err != nil {
		return err
	}
	crasher := newPanics(w.seed)
	for range w.chance.IntN(5) {
		l, err := w.open(t.Context(), store, crasher)
		if err != nil {
			return err
		}
		<-time.After(time.Duration(w.chance.IntN(200)) * time.Millisecond)
		err = l.crash()
		w.did.crashes++
		w.count(l)
		if err != nil {
			return err
		}
	}
	l, err := w.open(t.Context(), store, crasher)
	if err != nil {
		return err
	}
	got, err := l.finish(t.Context())
	w.count(l)
	w.did.panics = crasher.count()
	if err != nil {
		return err
	}
	restarted, err := w.reopened(t.Context(), store)
	if err != nil {
		return err
	}
	<-time.After(12345*time.Hour + 678*time.Millisecond) // another day: the plain program must not notice
	return w.compare(got, restarted)
}

func (w *world[K, E, S, R]) count(l *life[K, E, S, R]) {
	for _, e := range l.faults.Journal() {
		w.did.requests++
		if e.Fault {
			w.did.faults++
		}
	}
}
