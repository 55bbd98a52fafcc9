package sheaftest

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/sheaf-go/sheaf"
)

// emissions is a sink that keeps every result.
type emissions[R any] struct {
	mu    sync.Mutex // guards what follows
	all   []sheaf.Result[R]
	lives []int // where in all each life began
}

// Emit keeps the result.
func (m *emissions[R]) Emit(_ context.Context, r sheaf.Result[R]) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, r)
	return nil
}

// began says that what follows comes from another life.
func (m *emissions[R]) began() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lives = append(m.lives, len(m.all))
}

// compare holds what the instances did against a plain program.
func (w *world[K, E, S, R]) compare(got, restarted map[K]string) error {
	if err := w.order(); err != nil {
		return err
	}
	m := w.model(simCapacity)
	at := map[string]uint64{}
	for _, r := range w.emits.all {
		if err := w.advance(m, at, r.Cuts); err != nil {
			return err
		}
		if err := w.result(m, r); err != nil {
			return err
		}
		w.did.results++
	}
	whole := map[string]uint64{sourceName: uint64(len(w.origin[sourceName])), resumableName: uint64(len(w.origin[resumableName]))}
	if w.Fold != nil && whole[sourceName]+whole[resumableName] > 0 && !maps.Equal(at, whole) {
		return broken("the last result holds all events", "its cut is %v, of %v", at, whole)
	}
	if err := w.advance(m, at, whole); err != nil {
		return err
	}
	want, err := m.table()
	if err != nil {
		return err
	}
	for _, c := range []struct {
		when string
		got  map[K]string
	}{{"at the end", got}, {"after one more restart", restarted}} {
		if err := w.states(c.when, c.got, want); err != nil {
			return err
		}
	}
	return nil
}

// order checks that epochs and cuts grow, and that what a crash made to be emitted again has the same bytes.
func (w *world[K, E, S, R]) order() error {
	known := map[sheaf.Epoch]sheaf.Result[R]{}
	var last sheaf.Result[R]
	lives := w.emits.lives
	for i, r := range w.emits.all {
		if len(lives) > 0 && i == lives[0] {
			last = sheaf.Result[R]{}
		}
		for len(lives) > 0 && lives[0] <= i {
			lives = lives[1:]
		}
		old, again := known[r.Epoch]
		switch {
		case r.Epoch <= last.Epoch:
			return broken("epochs grow", "epoch %d was emitted behind epoch %d", r.Epoch, last.Epoch)
		case again && (string(old.Encoded) != string(r.Encoded) || !maps.Equal(old.Cuts, r.Cuts)):
			return broken("a result that is emitted again has the same bytes", "epoch %d: first %+v at %v, then %+v at %v",
				r.Epoch, old.Value, old.Cuts, r.Value, r.Cuts)
		}
		for origin, at := range last.Cuts {
			if r.Cuts[origin] < at {
				return broken("cuts grow", "epoch %d holds %s up to %d, epoch %d before it up to %d", r.Epoch, origin, r.Cuts[origin], last.Epoch, at)
			}
		}
		known[r.Epoch], last = r, r
	}
	return nil
}

// advance lets the plain program go on to a cut; it begins again if the cut lies behind it.
func (w *world[K, E, S, R]) advance(m *model[K, E, S, R], at, to map[string]uint64) error {
	for origin := range at {
		if to[origin] < at[origin] {
			*m = *w.model(simCapacity)
			clear(at)
			break
		}
	}
	for _, origin := range []string{sourceName, resumableName} {
		events := w.origin[origin]
		if to[origin] > uint64(len(events)) {
			return broken("a cut lies within the events", "it names %d of %d events of %s", to[origin], len(events), origin)
		}
		for n := at[origin]; n < to[origin]; n++ {
			if err := m.apply(origin, n+1, events[n]); err != nil {
				return err
			}
		}
		at[origin] = to[origin]
	}
	return nil
}

func (w *world[K, E, S, R]) result(m *model[K, E, S, R], r sheaf.Result[R]) error {
	want, err := m.result()
	if err != nil || want == string(r.Encoded) {
		return err
	}
	plain, err := w.decodeResult(want)
	if err != nil {
		return err
	}
	return broken("every result is the fold of exactly the events up to its cut",
		"epoch %d at %v came to %+v, a plain program to %+v", r.Epoch, r.Cuts, r.Value, *plain)
}

func (w *world[K, E, S, R]) states(when string, got, want map[K]string) error {
	const law = "the state at the end is the fold of all events"
	for k, b := range want {
		if have, ok := got[k]; !ok || have != b {
			return broken(law, "%s key %v has %s, in a plain program %s", when, k, w.show(got[k]), w.show(b))
		}
	}
	for k, b := range got {
		if _, ok := want[k]; !ok {
			return broken(law, "%s key %v has %s, in a plain program nothing", when, k, w.show(b))
		}
	}
	return nil
}

// show is an encoded state for people.
func (w *world[K, E, S, R]) show(b string) string {
	if b == "" {
		return "nothing"
	}
	s, err := w.decode(b)
	if err != nil {
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%+v", *s)
}
