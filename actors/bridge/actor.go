package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf"
)

// bridging is one running bridge. Its turns never wait, but for the last.
type bridging[K sheaf.Key, E, S, R any] struct {
	bridge *Bridge[K, E, S, R]

	queue  chan update[E] // to the pump; full: updates are refused
	reads  chan struct{}  // holds a token per Get under way
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // the pump and the Gets
}

// update is an event on its way to the producer.
type update[E any] struct {
	letter
	event E
}

// Receive is called by the actor system with one message at a time.
func (a *bridging[K, E, S, R]) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.start(ctx.ActorSystem(), ctx.Self())
	case *actor.Stopping, *actor.Restarting:
		a.end()
	case Update[E]:
		a.update(ctx, m)
	case Get[K]:
		a.get(ctx, m)
	case actor.SystemMessage, actor.AutoReceiveMessage, *actor.DeadLetterResponse:
	default:
		a.refuse(ctx, &MessageError{Got: fmt.Sprintf("%T", m), Want: fmt.Sprintf("%T or %T", Update[E]{}, Get[K]{})})
	}
}

func (a *bridging[K, E, S, R]) start(system *actor.ActorSystem, self *actor.PID) {
	a.queue = make(chan update[E], a.bridge.cfg.Pending)
	a.reads = make(chan struct{}, a.bridge.cfg.Reads)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.wg.Go(func() { a.pump(system, self) })
}

// end waits for the pump, which refuses what is left, and for the Gets: their waits end with the context.
func (a *bridging[K, E, S, R]) end() {
	a.cancel()
	a.wg.Wait()
}

// pump sends updates to the producer, in order, until the bridge ends.
func (a *bridging[K, E, S, R]) pump(system *actor.ActorSystem, self *actor.PID) {
	for {
		select {
		case u := <-a.queue:
			a.bridge.send(a.ctx, system, self, u.letter, u.event)
			a.bridge.pending.Add(-1)
		case <-a.ctx.Done():
			a.drain(system, self)
			return
		}
	}
}

// drain refuses what is left in the queue.
func (a *bridging[K, E, S, R]) drain(system *actor.ActorSystem, self *actor.PID) {
	for {
		select {
		case u := <-a.queue:
			a.bridge.refuse(system, self, u.letter, errStopped)
			a.bridge.pending.Add(-1)
		default:
			return
		}
	}
}

func (a *bridging[K, E, S, R]) update(ctx actor.Context, m Update[E]) {
	if a.ctx.Err() != nil {
		a.refuse(ctx, errStopped)
		return
	}
	select {
	case a.queue <- update[E]{letter: letter{message: m, sender: ctx.Sender()}, event: m.Event}:
		a.bridge.pending.Add(1)
	default:
		a.refuse(ctx, &BoundError{Bound: "pending", Limit: a.bridge.cfg.Pending})
	}
}

func (a *bridging[K, E, S, R]) get(ctx actor.Context, m Get[K]) {
	system, self, l := ctx.ActorSystem(), ctx.Self(), letter{message: m, sender: ctx.Sender()}
	switch {
	case a.ctx.Err() != nil:
		a.refuse(ctx, errStopped)
		return
	case l.sender == nil:
		a.refuse(ctx, errNobody)
		return
	}
	select {
	case a.reads <- struct{}{}:
	default:
		a.refuse(ctx, &BoundError{Bound: "reads", Limit: a.bridge.cfg.Reads})
		return
	}
	a.wg.Go(func() {
		defer func() { <-a.reads }()
		state, err := a.bridge.get(a.ctx, m)
		if err != nil {
			a.bridge.refuse(system, self, l, reason(a.ctx, err))
			return
		}
		system.Root.Send(l.sender, state)
	})
}

// errNobody is why a Get that was told is dropped.
var errNobody = errors.New("bridge: a Get must be requested: there is nobody to answer")

func (a *bridging[K, E, S, R]) refuse(ctx actor.Context, why error) {
	a.bridge.refuse(ctx.ActorSystem(), ctx.Self(), letter{message: ctx.Message(), sender: ctx.Sender()}, why)
}
