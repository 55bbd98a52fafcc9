package bridge_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// word is an event: its number joins the list of its key.
type word struct {
	Key string
	N   int
}

type (
	instance = sheaf.Instance[string, word, []int, int]
	app      = sheaf.App[string, word, []int, int]
	spoken   = sheaf.Result[int]
)

// lists is an app that keeps, for each key, its numbers in the order in which they came. The result is their count.
func lists() app {
	return app{
		Name:   "lists",
		KeyOf:  func(w word) string { return w.Key },
		Update: func(_ *sheaf.Turn, s *[]int, w word) error { *s = append(*s, w.N); return nil },
		Fold:   func(r *int, _ string, s *[]int) { *r += len(*s) },
		Merge:  func(into *int, from int) { *into += from },
	}
}

// rig is a program with an actor system of its own, an instance and a bridge between them.
type rig struct {
	t      *testing.T
	system *actor.ActorSystem
	in     *instance
	bridge *bridge.Bridge[string, word, []int, int]
	pid    *actor.PID
}

// bubble runs a test in virtual time; it fails if it leaves a goroutine behind.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { <-time.After(time.Minute) }) // the actor library's timers
		test(t)
	})
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
}

func newRig(t *testing.T, system *actor.ActorSystem, a app, cfg bridge.Config, sinks ...sheaf.Sink[int]) *rig {
	t.Helper()
	scfg := sheaf.Config{Epoch: 100 * time.Millisecond}
	scfg.State.VnodeCapacity = 8
	scfg.State.Cluster.Limits.History = 1 << 10
	in, err := sheaf.Open(t.Context(), scfg, a, sinks...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.Producer(t.Context(), "bridge")
	if err != nil {
		t.Fatal(err)
	}
	b := bridge.New(in, p, cfg)
	r := &rig{t: t, system: system, in: in, bridge: b, pid: system.Root.Spawn(b.Props())}
	t.Cleanup(func() {
		r.stop(r.pid)
		if err := in.Close(t.Context()); err != nil && in.Err() == nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

func (r *rig) stop(pid *actor.PID) { _ = r.system.Root.StopFuture(pid).Wait() }

func (r *rig) tell(m any) { r.system.Root.Send(r.pid, m) }

// patience is how long an answer may take, in virtual time.
const patience = time.Minute

// ask requests and returns the answer.
func (r *rig) ask(m any) any {
	r.t.Helper()
	answer, err := r.system.Root.RequestFuture(r.pid, m, patience).Result()
	if err != nil {
		r.t.Fatalf("request %+v: %v", m, err)
	}
	return answer
}

// refused requests what must be refused and returns the reason.
func (r *rig) refused(m any) error {
	r.t.Helper()
	answer := r.ask(m)
	refused, ok := answer.(*bridge.Refused)
	if !ok {
		r.t.Fatalf("request %+v: got %+v, want it refused", m, answer)
	}
	return refused
}

// letters are the dead letters of a system.
type letters struct {
	mu  sync.Mutex // guards all
	all []any
}

func lettersOf(system *actor.ActorSystem) *letters {
	l := &letters{}
	system.EventStream.Subscribe(func(e any) {
		if d, ok := e.(*actor.DeadLetterEvent); ok {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.all = append(l.all, d.Message)
		}
	})
	return l
}

func (l *letters) holds(m any) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, have := range l.all {
		if have == m {
			return true
		}
	}
	return false
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !holds(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

func wantError(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

// contextOf ends after a while.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}
