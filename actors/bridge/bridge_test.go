package bridge_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors/bridge"
)

type (
	update = bridge.Update[word]
	get    = bridge.Get[string]
	state  = bridge.State[string, []int]
)

func TestRequestIsAnsweredWithThePosition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newSystem(), lists(), bridge.Config{})
		r.tell(update{word{"a", 1}}) // its answer would be the first
		for want := uint64(2); want < 5; want++ {
			if got := r.ask(update{word{"a", int(want)}}); got != (bridge.Accepted{Position: want}) {
				t.Errorf("got %+v, want position %d", got, want)
			}
		}
		synctest.Wait() // the last answer comes before it is counted
		if got, want := r.bridge.Stats(), (bridge.Stats{Accepted: 4}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestGetAnswersLiveAndSealedState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newSystem(), lists(), bridge.Config{})
		for _, sealed := range []bool{false, true} {
			got, ok := r.ask(get{Key: "nobody", Sealed: sealed}).(state)
			if !ok || got.Found || got.Value != nil {
				t.Errorf("a key without state, sealed %v: got %+v", sealed, got)
			}
		}
		r.ask(update{word{"a", 1}})
		r.ask(update{word{"a", 2}})
		if err := r.in.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, sealed := range []bool{false, true} {
			got := r.ask(get{Key: "a", Sealed: sealed}).(state)
			if got.Key != "a" || !got.Found || !slices.Equal(got.Value, []int{1, 2}) || got.Epoch != r.in.Status().Epoch {
				t.Errorf("sealed %v: got %+v, want [1 2] at epoch %d", sealed, got, r.in.Status().Epoch)
			}
		}
	})
}

// gated is the lists app whose updates wait until the gate opens; the first that waits says so.
func gated() (a app, entered <-chan struct{}, gate chan struct{}) {
	gate = make(chan struct{})
	first := make(chan struct{}, 1)
	a = lists()
	push := a.Update
	a.Update = func(turn *sheaf.Turn, s *[]int, w word) error {
		select {
		case first <- struct{}{}:
		default:
		}
		<-gate
		return push(turn, s, w)
	}
	return a, first, gate
}

// While the producer waits at a bound, the bridge's actor does not: it queues, then refuses, and in the end everything
// that was not refused is there, in order, once.
func TestBackPressureIsBoundedAndKeepsOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, gate := gated()
		system := newSystem()
		dead := lettersOf(system)
		r := newRig(t, system, a, bridge.Config{Pending: 10})
		n := 0
		eventually(t, "the queue is full, and one update in hand", func() bool {
			if r.bridge.Stats().Pending == 11 {
				return true
			}
			r.tell(update{word{"a", n}})
			n++
			return false
		})
		r.tell(update{word{"a", n}})
		n++
		var bound *bridge.BoundError
		if err := r.refused(update{word{"a", n}}); !errors.As(err, &bound) || *bound != (bridge.BoundError{Bound: "pending", Limit: 10}) {
			t.Errorf("got %v, want the bound pending = 10", err)
		}
		if !dead.holds(update{word{"a", n - 1}}) {
			t.Error("the newest told update is no dead letter")
		}
		close(gate)
		eventually(t, "the queue is empty", func() bool { return r.bridge.Stats().Pending == 0 })
		if err := r.in.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := r.ask(get{Key: "a"}).(state).Value
		st := r.bridge.Stats()
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("got %v, want the order in which they were told, each once", got)
		}
		if uint64(len(got)) != st.Accepted || st.Accepted+st.Dropped != uint64(n) || st.Refused != 1 {
			t.Errorf("got %d events and %+v, want as many as were accepted, and %d told in all", len(got), st, n)
		}
	})
}

func TestWaitingRequestIsAnsweredOnceItIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _, gate := gated()
		r := newRig(t, newSystem(), a, bridge.Config{})
		for i := range 100 {
			r.tell(update{word{"a", i}})
		}
		eventually(t, "the producer waits", func() bool { return r.bridge.Stats().Pending > 0 })
		f := r.system.Root.RequestFuture(r.pid, update{word{"a", 100}}, patience)
		if got, err := r.system.Root.RequestFuture(r.pid, "wrong", patience).Result(); err != nil {
			t.Errorf("a message behind the waiting one: got %v, %v, want an answer at once", got, err)
		}
		close(gate)
		if got, err := f.Result(); err != nil || got != (bridge.Accepted{Position: 101}) {
			t.Errorf("got %+v, %v, want position 101", got, err)
		}
	})
}

func TestReadsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, entered, gate := gated()
		r := newRig(t, newSystem(), a, bridge.Config{Reads: 1})
		r.ask(update{word{"a", 1}})
		<-entered
		waiting := r.system.Root.RequestFuture(r.pid, get{Key: "a"}, patience)
		var bound *bridge.BoundError
		eventually(t, "a second Get is refused", func() bool {
			err, refused := r.ask(get{Key: "a", Sealed: true}).(*bridge.Refused)
			return refused && errors.As(err, &bound) && bound.Bound == "reads" && bound.Limit == 1
		})
		close(gate)
		if got, err := waiting.Result(); err != nil || !got.(state).Found {
			t.Errorf("the first Get: got %+v, %v", got, err)
		}
	})
}

func TestWrongMessageIsRefusedOrCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		system := newSystem()
		dead := lettersOf(system)
		r := newRig(t, system, lists(), bridge.Config{})
		for _, m := range []any{"text", 7, word{"a", 1}, nil, bridge.Update[string]{}, bridge.Get[int]{}, &update{}, errors.New("no")} {
			if m == nil {
				continue // the actor system itself refuses it
			}
			var wrong *bridge.MessageError
			if err := r.refused(m); !errors.As(err, &wrong) {
				t.Errorf("request of %T: got %v, want a MessageError", m, err)
			}
		}
		r.tell("text")
		r.tell(get{Key: "a"})
		r.ask(update{word{"a", 1}})
		if got := r.bridge.Stats(); got.Dropped != 2 || got.Refused != 7 || got.Accepted != 1 {
			t.Errorf("got %+v, want 2 dropped, 7 refused, 1 accepted", got)
		}
		if !dead.holds("text") || !dead.holds(get{Key: "a"}) {
			t.Errorf("got the dead letters %v, want those that were told", dead.all)
		}
	})
}

func TestRefusalsSayWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newSystem(), lists(), bridge.Config{})
		if _, err := r.in.Producer(t.Context(), "bridge"); err != nil {
			t.Fatal(err)
		}
		wantError(t, "update after the name was opened again", r.refused(update{word{"a", 1}}), sheaf.ErrFenced)
		if err := r.in.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, "get after close", r.refused(get{Key: "a"}), sheaf.ErrClosed)
		wantError(t, "sealed get after close", r.refused(get{Key: "a", Sealed: true}), sheaf.ErrClosed)
	})
}

func TestClosedInstanceRefusesUpdates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newSystem(), lists(), bridge.Config{})
		r.ask(update{word{"a", 1}})
		if err := r.in.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, "update after close", r.refused(update{word{"a", 1}}), sheaf.ErrClosed)
	})
}

// A bridge that stops answers what waits, and leaves the producer to its owner.
func TestStoppedBridgeRefusesWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, entered, gate := gated()
		defer close(gate)
		r := newRig(t, newSystem(), a, bridge.Config{})
		for i := range 100 {
			r.tell(update{word{"a", i}})
		}
		<-entered
		waiting := []*actor.Future{
			r.system.Root.RequestFuture(r.pid, update{word{"a", 100}}, patience),
			r.system.Root.RequestFuture(r.pid, get{Key: "a"}, patience),
		}
		synctest.Wait() // the producer waits, and nothing is left in the bridge's mailbox
		r.stop(r.pid)
		for _, f := range waiting {
			answer, err := f.Result()
			refused, ok := answer.(*bridge.Refused)
			if err != nil || !ok {
				t.Fatalf("got %+v, %v, want it refused", answer, err)
			}
			wantError(t, "what waited", refused, sheaf.ErrClosed)
		}
		if got := r.bridge.Stats(); got.Pending != 0 || got.Accepted+got.Dropped != 100 {
			t.Errorf("got %+v, want nothing pending, and each of 100 told updates accepted or dropped", got)
		}
	})
}
