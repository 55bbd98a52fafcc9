package sheaf_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sheaf-go/sheaf"
)

// A deleted key is gone: live, from results, from every epoch since, and after a restart.
func TestDeletedKeyStaysAway(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		sink := &inbox{}
		in := s.open(small(), tallies(), sink)
		p := producer(t, in, "p")
		send(t, p, event{Key: "a", Add: 1}, event{Key: "b", Add: 2})
		flush(t, in)
		with := in.Status().Epoch
		send(t, p, event{Key: "a", Do: del})
		flush(t, in)
		without := in.Status().Epoch
		_, found, err := in.Get(t.Context(), "a")
		if found || err != nil {
			t.Errorf("get: got %v, %v, want that there is none", found, err)
		}
		if _, found, _, err := in.GetSealed(t.Context(), "a"); found || err != nil {
			t.Errorf("get sealed: got %v, %v, want that there is none", found, err)
		}
		wantTallies(t, "epoch with a", collect(t, in.At(t.Context(), with)), map[string]int64{"a": 1, "b": 2})
		wantTallies(t, "epoch without a", collect(t, in.At(t.Context(), without)), map[string]int64{"b": 2})
		s.crash(in)

		in = s.open(small(), tallies(), sink)
		wantTallies(t, "after a restart", live(t, in), map[string]int64{"b": 2})
		send(t, producer(t, in, "p"), event{Key: "b", Add: 3})
		closeAll(t, in)
		if got, want := sink.last(t).Value, (total{Keys: 1, Sum: 5}); got != want {
			t.Errorf("result: got %+v, want %+v", got, want)
		}
	})
}

func TestDeletedKeyBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		var mu sync.Mutex // guards existed
		existed := map[string][]bool{}
		app := tallies()
		app.Update = func(turn *sheaf.Turn, n *int64, e event) error {
			mu.Lock()
			defer mu.Unlock()
			existed[e.Key] = append(existed[e.Key], turn.Existed())
			return tally(turn, n, e)
		}
		in := s.open(small(), app)
		p := producer(t, in, "p")
		send(t, p, event{Key: "a", Add: 1}, event{Key: "a", Do: del}, event{Key: "a", Add: 5}, event{Key: "a", Add: 1}, event{Key: "z", Do: del})
		flush(t, p)
		wantTallies(t, "after", live(t, in), map[string]int64{"a": 6})
		if want := []bool{false, true, false, true}; !slices.Equal(existed["a"], want) {
			t.Errorf("existed: got %v, want %v", existed["a"], want)
		}
	})
}

func TestRejectedEventsGoToTheDeadLetterHookAndChangeNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		dead := &letters{}
		app := tallies()
		app.DeadLetter = dead.take
		in := s.open(small(), app)
		p := producer(t, in, "p")
		send(t, p, event{Key: "a", Do: refuse}, event{Key: "b", Add: 1}, event{Key: "b", Do: refuse}, event{Key: "b", Add: 1})
		flush(t, p)
		wantTallies(t, "a never came to be", live(t, in), map[string]int64{"b": 2})
		if got := dead.got(); len(got) != 2 || !slices.Contains(got, "p/1") || !slices.Contains(got, "p/3") {
			t.Errorf("got dead letters %v, want p/1 and p/3", got)
		}
		wantError(t, "why", dead.all[0].Err, errRefused)
		if got := in.Status().Counts.Rejected; got != 2 {
			t.Errorf("got %d rejected in the status, want 2", got)
		}
	})
}

// An event that panics once restarts its vnode, which goes on from its last sealed slice: no event is lost or
// counted twice (I11, I4).
func TestPanicRestartsTheVnodeAndReplays(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		var panics atomic.Int64
		var met sync.Map // events that have panicked
		app := tallies()
		app.Update = func(turn *sheaf.Turn, n *int64, e event) error {
			*n += e.Add
			if turn.Position()%401 != 0 {
				return nil
			}
			if _, again := met.LoadOrStore(fmt.Sprint(turn.Origin(), turn.Position()), true); !again {
				panics.Add(1)
				panic("the first time")
			}
			return nil
		}
		sink := &inbox{}
		in := s.open(small(), app, sink)
		const n = 2000
		done := attach(t, in, "s", &script{events: repeated(n), chunk: 20, every: 5e6})
		p := producer(t, in, "p")
		r := resumable(t, in, "r")
		for i, e := range repeated(n) {
			send(t, p, e)
			if err := r.Send(t.Context(), uint64(i+1), e); err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				quiet(5e6)
			}
		}
		ended(t, in, done)
		flush(t, in)
		wantTallies(t, "every event once", live(t, in), tenEach(3*n/10))
		if got := in.Status().Counts; got.Panics != uint64(panics.Load()) || got.Panics != 12 || got.Rejected != 0 {
			t.Errorf("got %d panics and %d rejected in the status, want %d and 0", got.Panics, got.Rejected, panics.Load())
		}
		healthy(t, in)
		closeAll(t, in)
		if got := sink.last(t).Value.Sum; got != 3*n {
			t.Errorf("result: got %d, want %d", got, 3*n)
		}
	})
}

// An event that always panics is tried as often as the app says and then goes to the dead-letter hook; its vnode goes
// on with exactly the other events (I11).
func TestEventThatAlwaysPanicsIsGivenUp(t *testing.T) {
	for name, tries := range map[string]int{"default": 0, "one": 1, "five": 5} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				dead := &letters{}
				app := tallies()
				app.DeadLetter, app.Tries = dead.take, tries
				in := s.open(small(), app)
				events := repeated(200)
				events[49].Do, events[149].Do = explode, explode
				ended(t, in, attach(t, in, "s", scripted(events)))
				p := producer(t, in, "p")
				send(t, p, event{Key: "key 0", Add: 1}, event{Key: "key 0", Do: explode}, event{Key: "key 0", Add: 1})
				flush(t, p)
				if got := sum(live(t, in)); got != 200 {
					t.Errorf("got the sum %d, want 200: 198 events of the source and 2 of the producer", got)
				}
				// A restart of the vnode gives the hook again what it was given since the last sealed epoch.
				if got := slices.Compact(dead.got()); !slices.Equal(got, []string{"s/50", "s/150", "p/2"}) {
					t.Errorf("got dead letters %v, want s/50, s/150 and p/2", got)
				}
				want := uint64(3 * max(tries, 1))
				if tries == 0 {
					want = 9
				}
				if got := in.Status().Counts.Panics; got != want {
					t.Errorf("got %d panics, want %d", got, want)
				}
				healthy(t, in)
			})
		})
	}
}

func TestDeadLetterHookMayPanic(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		app := tallies()
		app.DeadLetter = func(sheaf.Rejected[event]) { panic("the hook") }
		in := s.open(small(), app)
		p := producer(t, in, "p")
		send(t, p, event{Key: "a", Do: refuse}, event{Key: "a", Add: 1})
		flush(t, p)
		wantTallies(t, "after", live(t, in), map[string]int64{"a": 1})
	})
}
