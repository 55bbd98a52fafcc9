package bridge

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf"
)

// Config bounds a bridge. Its zero value works.
type Config struct {
	Pending int         // updates that wait for the producer; default 1,024
	Reads   int         // Gets under way at once; default 64
	Log     *zap.Logger // nil is silent
}

func (c Config) withDefaults() Config {
	if c.Pending <= 0 {
		c.Pending = 1024
	}
	if c.Reads <= 0 {
		c.Reads = 64
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// Stats counts what became of the messages to a bridge.
type Stats struct {
	Accepted uint64 // updates that the producer took
	Refused  uint64 // requests that were answered with Refused
	Dropped  uint64 // messages that were told, not requested, and not carried out
	Pending  int    // updates that wait for the producer now
}

// Bridge is an instance, and a producer of it, as an actor of the program's own system.
type Bridge[K sheaf.Key, E, S, R any] struct {
	in       *sheaf.Instance[K, E, S, R]
	producer *sheaf.Producer[K, E]
	cfg      Config

	accepted, refused, dropped atomic.Uint64
	pending                    atomic.Int64
}

// New returns a bridge to an instance. Updates go to the producer, which stays the caller's: whoever closes the
// instance or opens the producer's name again makes the bridge refuse updates with the reason.
func New[K sheaf.Key, E, S, R any](in *sheaf.Instance[K, E, S, R], producer *sheaf.Producer[K, E], cfg Config) *Bridge[K, E, S, R] {
	return &Bridge[K, E, S, R]{in: in, producer: producer, cfg: cfg.withDefaults()}
}

// Props spawns the bridge. Every actor spawned from it has a queue of its own; order holds within one.
func (b *Bridge[K, E, S, R]) Props(opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &bridging[K, E, S, R]{bridge: b} }, opts...)
}

// Stats says what became of the messages so far.
func (b *Bridge[K, E, S, R]) Stats() Stats {
	return Stats{
		Accepted: b.accepted.Load(), Refused: b.refused.Load(), Dropped: b.dropped.Load(), Pending: int(b.pending.Load()),
	}
}

// letter is a message and who is to be answered.
type letter struct {
	message any
	sender  *actor.PID // nil: it was told
}

// refuse answers a request, or makes a dead letter of what was told.
func (b *Bridge[K, E, S, R]) refuse(system *actor.ActorSystem, self *actor.PID, l letter, why error) {
	if l.sender != nil {
		b.refused.Add(1)
		system.Root.Send(l.sender, &Refused{Err: why})
		return
	}
	b.dropped.Add(1)
	b.cfg.Log.Warn("dropped a message", zap.String("bridge", self.Id), zap.String("type", fmt.Sprintf("%T", l.message)), zap.Error(why))
	system.EventStream.Publish(&actor.DeadLetterEvent{PID: self, Message: l.message})
}

// send gives an update to the producer, which may make it wait.
func (b *Bridge[K, E, S, R]) send(ctx context.Context, system *actor.ActorSystem, self *actor.PID, l letter, e E) {
	at, err := b.producer.Send(ctx, e)
	if err != nil {
		b.refuse(system, self, l, reason(ctx, err))
		return
	}
	b.accepted.Add(1)
	if l.sender != nil {
		system.Root.Send(l.sender, Accepted{Position: at})
	}
}

// errStopped is why a bridge that stops refuses what it has not done.
var errStopped = fmt.Errorf("bridge: the actor has stopped: %w", sheaf.ErrClosed)

// reason is why something failed that ends with the bridge.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errStopped
	}
	return err
}

// get reads a key's state.
func (b *Bridge[K, E, S, R]) get(ctx context.Context, m Get[K]) (s State[K, S], err error) {
	s.Key = m.Key
	if m.Sealed {
		s.Value, s.Found, s.Epoch, err = b.in.GetSealed(ctx, m.Key)
		return s, err
	}
	s.Epoch = b.in.Status().Epoch
	s.Value, s.Found, err = b.in.Get(ctx, m.Key)
	return s, err
}
