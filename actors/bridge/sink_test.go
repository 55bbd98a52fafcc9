package bridge_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors/bridge"
)

// listener is an actor that takes results.
type listener struct {
	mu     sync.Mutex // guards what follows
	took   []spoken
	answer func(spoken) any // nil: none
}

func (l *listener) Receive(ctx actor.Context) {
	r, ok := ctx.Message().(spoken)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, r)
	if l.answer != nil {
		ctx.Respond(l.answer(r))
	}
}

func (l *listener) say(answer func(spoken) any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

func (l *listener) results() []spoken {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]spoken(nil), l.took...)
}

func takes(r spoken) any { return bridge.Taken{Epoch: r.Epoch} }

func TestActorIsGivenEveryResult(t *testing.T) {
	bubble(t, func(t *testing.T) {
		system := newSystem()
		l := &listener{answer: takes}
		pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return l }))
		r := newRig(t, system, lists(), bridge.Config{}, bridge.Sink[int](system, pid))
		for i := range 3 {
			r.ask(update{word{"a", i}})
			if err := r.in.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.in.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := l.results()
		if len(got) != 3 {
			t.Fatalf("got %d results, want 3: %+v", len(got), got)
		}
		for i, g := range got {
			if g.Value != i+1 || i > 0 && g.Epoch <= got[i-1].Epoch {
				t.Errorf("result %d: got %+v, want %d, and a higher epoch than before", i, g, i+1)
			}
		}
		r.stop(pid)
	})
}

// A result that the actor does not take is offered again, and Status says why.
func TestResultIsOfferedUntilItIsTaken(t *testing.T) {
	cases := map[string]struct {
		answer func(spoken) any
		want   string
	}{
		"silence":          {nil, "no answer in 10s"},
		"an error":         {func(spoken) any { return errors.New("the disk is full") }, "the disk is full"},
		"another epoch":    {func(r spoken) any { return bridge.Taken{Epoch: r.Epoch + 1} }, "it answered for epoch"},
		"another message":  {func(spoken) any { return "fine" }, "got a message of type string"},
		"a panic":          {func(spoken) any { panic("the actor") }, "no answer in 10s"},
		"the actor's stop": {takes, "there is no such actor"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				system := newSystem()
				l := &listener{answer: c.answer}
				props := actor.PropsFromProducer(func() actor.Actor { return l })
				pid, err := system.Root.SpawnNamed(props, "listener")
				if err != nil {
					t.Fatal(err)
				}
				r := newRig(t, system, lists(), bridge.Config{}, bridge.Sink[int](system, pid))
				stopped := strings.Contains(name, "stop")
				if stopped {
					r.stop(pid)
				}
				r.ask(update{word{"a", 1}})
				eventually(t, "a problem that says "+c.want, func() bool { return strings.Contains(problems(r.in), c.want) })
				if stopped {
					if _, err := system.Root.SpawnNamed(props, "listener"); err != nil {
						t.Fatal(err)
					}
				}
				l.say(takes)
				if err := r.in.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := l.results()
				last := got[len(got)-1]
				if last.Value != 1 || got[0].Epoch != last.Epoch {
					t.Errorf("got %+v, want the same epoch again", got)
				}
			})
		})
	}
}

func problems(in *instance) string {
	var all []string
	for _, p := range in.Status().Problems {
		all = append(all, p.Err.Error())
	}
	return strings.Join(all, "\n")
}

func TestInstanceClosesWhileAnActorIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		system := newSystem()
		l := &listener{}
		pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return l }))
		r := newRig(t, system, lists(), bridge.Config{}, bridge.Sink[int](system, pid))
		r.ask(update{word{"a", 1}})
		eventually(t, "the result is offered", func() bool { return len(l.results()) > 0 })
		ctx, cancel := contextOf(t)
		defer cancel()
		if err := r.in.Close(ctx); err == nil {
			t.Error("close: got no error, want that not everything is emitted")
		}
		wantError(t, "the instance", r.in.Err(), sheaf.ErrClosed)
	})
}
