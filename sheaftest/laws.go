package sheaftest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf"
)

// LawError says which law an app breaks.
type LawError struct {
	Law    string // what should hold
	Detail string // how it does not
	Seed   uint64 // finds it again
	Events []string
}

func (e *LawError) Error() string {
	s := fmt.Sprintf("broken law: %s\n  %s", e.Law, e.Detail)
	if len(e.Events) > 0 {
		s += "\n  after the events:\n    " + strings.Join(e.Events, "\n    ")
	}
	return s + fmt.Sprintf("\n  found again with sheaftest.Seed(%d)", e.Seed)
}

func broken(law, detail string, args ...any) error {
	return &LawError{Law: law, Detail: fmt.Sprintf(detail, args...)}
}

// Laws checks an app against what Sheaf relies on, on events that gen draws: it must depend on the Rand alone. Keys
// should repeat, so that states grow. It fails the test with the first law that does not hold:
//
//   - KeyOf depends on the event alone.
//   - An update depends on its arguments alone, not on time, chance or what is elsewhere, and leaves its event as it was.
//   - An update that returns an error leaves the state as it was.
//   - A state that was encoded and decoded is the same and goes on the same; so is a result. Types with a method Equal
//     are compared by it, others field by field.
//   - Equal values have equal bytes; what is decoded shares nothing with the bytes; encoders append.
//   - A fold comes to the same in any order of keys and changes no state.
//   - Partials of any grouping of the keys, merged in order into the zero result, are the fold of all keys.
//   - No codec, fold or merge panics or fails.
//
// It runs in a bubble of [testing/synctest], and must not be called from one.
func Laws[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], gen func(*rand.Rand) E, opts ...Option) {
	t.Helper()
	if err := checkLaws(t, app, gen, opts...); err != nil {
		t.Fatal(err)
	}
}

func checkLaws[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], gen func(*rand.Rand) E, opts ...Option) (err error) {
	o := optionsOf(opts, options{seed: 1, runs: 100, events: 60})
	synctest.Test(t, func(*testing.T) {
		for i := range o.runs {
			run := lawRun[K, E, S, R]{subject: subjectOf(app), gen: gen, seed: o.seed + uint64(i)}
			if err = run.find(1 + rand.New(rand.NewPCG(run.seed, 0)).IntN(max(1, o.events))); err != nil {
				return
			}
		}
	})
	return err
}

// lawRun checks all laws on the events of one seed.
type lawRun[K sheaf.Key, E, S, R any] struct {
	subject[K, E, S, R]
	gen  func(*rand.Rand) E
	seed uint64
}

// find checks the laws on n events, and if one is broken drops events as long as it stays so.
func (l *lawRun[K, E, S, R]) find(n int) error {
	chosen := make([]int, n)
	for i := range chosen {
		chosen[i] = i
	}
	err := l.check(chosen)
	if err == nil {
		return nil
	}
	for i := len(chosen) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(chosen), i, i+1)
		if e := l.check(fewer); e != nil && lawOf(e) == lawOf(err) {
			chosen, err = fewer, e
		}
	}
	return l.report(err, chosen)
}

const noFailure = "no function of the app panics or fails"

func lawOf(err error) string {
	if e, ok := errors.AsType[*LawError](err); ok {
		return e.Law
	}
	return noFailure
}

func (l *lawRun[K, E, S, R]) report(err error, chosen []int) error {
	e, ok := errors.AsType[*LawError](err)
	if !ok {
		e = &LawError{Law: noFailure, Detail: err.Error()}
	}
	e.Seed = l.seed
	for _, event := range l.events(chosen) {
		e.Events = append(e.Events, fmt.Sprintf("%+v", event))
	}
	return e
}

// events draws the chosen events, each from a chance of its own, so that every call returns new ones.
func (l *lawRun[K, E, S, R]) events(chosen []int) []E {
	out := make([]E, len(chosen))
	for i, n := range chosen {
		out[i] = l.gen(rand.New(rand.NewPCG(l.seed, uint64(n)+2)))
	}
	return out
}

// check checks every law on the chosen events.
func (l *lawRun[K, E, S, R]) check(chosen []int) error {
	events, again := l.events(chosen), l.events(chosen)
	if !same(events, again) {
		return broken("the generator depends on its Rand alone", "it drew %+v, and from the same Rand %+v", events, again)
	}
	first, err := l.play(events, false)
	if err != nil {
		return err
	}
	if !same(events, again) {
		return broken("an update leaves its event as it was", "the events were %+v, after the updates they are %+v", again, events)
	}
	if err := l.states(first); err != nil {
		return err
	}
	<-time.After(12345*time.Hour + 678*time.Millisecond) // another day, and no more than a moment in a bubble
	for _, other := range []struct {
		law     string
		restart bool
	}{
		{"an update depends on its arguments alone", false},
		{"a state goes on as before once encoded and decoded", true},
	} {
		second, err := l.play(l.events(chosen), other.restart)
		if err != nil {
			return err
		}
		if err := compare(other.law, first.log, second.log); err != nil {
			return err
		}
	}
	return l.results(first)
}

func (l *lawRun[K, E, S, R]) play(events []E, restart bool) (*model[K, E, S, R], error) {
	m := l.model(lawCapacity)
	m.restart = restart
	for i, e := range events {
		if err := m.apply("laws", uint64(i)+1, e); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// lawCapacity is the number of vnodes that updates are told of.
const lawCapacity = 256

// compare checks that the same events did the same twice.
func compare[K sheaf.Key](law string, x, y []step[K]) error {
	for i := range x {
		if x[i] != y[i] {
			return broken(law, "event %d: first %v, then %v", i+1, x[i], y[i])
		}
	}
	return nil
}

// states checks the laws of the state codec on every state.
func (l *lawRun[K, E, S, R]) states(m *model[K, E, S, R]) error {
	for _, k := range m.live() {
		if err := checkCodec("state", l.StateCodec, m.states[k]); err != nil {
			return err
		}
	}
	return nil
}
