package merger

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf/vnode"
)

// Partials carries what one instance captured for an attempt.
type Partials struct {
	Attempt vnode.Attempt
	Parts   []Partial
}

// Instance is what the merger asks of the process that it lives in.
type Instance interface {
	// FetchPartials reads the partials of a sealed epoch from its segments.
	FetchPartials(ctx context.Context, s *Sealed) ([]Partial, error)
	// Emitted says that every sink took an epoch.
	Emitted(e vnode.Epoch)
	// EmitFailed says that an epoch could not be emitted and will be tried again; nil that it went well.
	EmitFailed(e vnode.Epoch, err error)
	// Background runs a function that ends when its context does.
	Background(func(ctx context.Context))
}

// App is the part of the user's program that runs in the merger.
type App[R any] struct {
	Merge func(into *R, from R)
	Codec vnode.Codec[R]
	Sinks []Sink[R]
}

// Actor is the shell around [Rules]: it folds partials in ascending order of vnodes and gives results to the sinks,
// one at a time, in a goroutine of its own.
type Actor[R any] struct {
	app   App[R]
	inst  Instance
	rules *Rules
	tries int
	since int // sinks that took the epoch being emitted
}

var _ actor.Actor = (*Actor[int])(nil)

// NewActor returns a merger that begins behind an emitted epoch.
func NewActor[R any](app App[R], inst Instance, emitted vnode.Epoch) *Actor[R] {
	return &Actor[R]{app: app, inst: inst, rules: NewRules(emitted)}
}

// Messages of the merger to itself.
type (
	fetched struct {
		sealed *Sealed
		parts  []Partial
		err    error
	}
	taken struct {
		epoch vnode.Epoch
		sinks int // that have it
		err   error
	}
	retry struct{}
)

// Receive is called by the actor system with one message at a time.
func (a *Actor[R]) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case Partials:
		a.carry(ctx, a.rules.Partials(m.Attempt, m.Parts))
	case *Sealed:
		a.carry(ctx, a.rules.Learn(m))
	case fetched:
		if m.err != nil {
			a.failed(ctx, m.sealed.Epoch, m.err)
			return
		}
		a.carry(ctx, a.rules.Fetched(m.sealed, m.parts))
	case taken:
		a.taken(ctx, m)
	case retry:
		a.rules.Failed()
		a.carry(ctx, a.rules.Retry())
	}
}

func (a *Actor[R]) taken(ctx actor.Context, m taken) {
	a.since = m.sinks
	if m.err != nil {
		a.failed(ctx, m.epoch, m.err)
		return
	}
	a.tries, a.since = 0, 0
	a.inst.EmitFailed(m.epoch, nil)
	a.inst.Emitted(m.epoch)
	a.carry(ctx, a.rules.Taken(m.epoch))
}

// failed arranges another try, later each time. Until then the order counts as being carried out, so that news does not
// cut the pause short.
func (a *Actor[R]) failed(ctx actor.Context, e vnode.Epoch, err error) {
	a.inst.EmitFailed(e, err)
	pause := min(20*time.Millisecond<<min(a.tries, 10), 5*time.Second)
	a.tries++
	root, self := ctx.ActorSystem().Root, ctx.Self()
	a.inst.Background(func(bg context.Context) {
		select {
		case <-bg.Done():
		case <-time.After(pause):
			root.Send(self, retry{})
		}
	})
}

func (a *Actor[R]) carry(ctx actor.Context, o Order) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	switch {
	case o.Fetch != nil:
		a.inst.Background(func(bg context.Context) {
			parts, err := a.inst.FetchPartials(bg, o.Fetch)
			root.Send(self, fetched{o.Fetch, parts, err})
		})
	case o.Emit != nil:
		from := a.since
		a.inst.Background(func(bg context.Context) {
			sinks, err := a.emit(bg, o, from)
			root.Send(self, taken{o.Emit.Epoch, sinks, err})
		})
	}
}

// emit folds and gives the result to the sinks that do not have it yet.
func (a *Actor[R]) emit(ctx context.Context, o Order, from int) (sinks int, err error) {
	r, err := a.fold(o)
	if err != nil {
		return from, err
	}
	for i := from; i < len(a.app.Sinks); i++ {
		if err := emit(ctx, a.app.Sinks[i], r); err != nil {
			return i, fmt.Errorf("sink %d: %w", i, err)
		}
	}
	return len(a.app.Sinks), nil
}

// fold merges the partials, ascending by vnode. A panic of the app is an error.
func (a *Actor[R]) fold(o Order) (r Result[R], err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("merge panicked: %v", x)
		}
	}()
	r.Epoch, r.Cuts = o.Emit.Epoch, o.Emit.Cuts
	for v, b := range o.Parts {
		var part R
		if err := a.app.Codec.Decode(b, &part); err != nil {
			return r, fmt.Errorf("decode the partial of vnode %d: %w", v, err)
		}
		a.app.Merge(&r.Value, part)
	}
	r.Encoded, err = a.app.Codec.Append(nil, &r.Value)
	return r, err
}
