package sheaf

import (
	"context"

	"github.com/sheaf-go/sheaf/actors"
)

// Producer is a plain producer: it is pushed to, counts its own events, and keeps them until they are sealed, within a
// bound. Exactly once holds from one opening of its name to the next: what was not sealed when the process died is
// gone, and the program that pushes must know what that was ([Resumable] does). It may be used by many goroutines.
type Producer[K Key, E any] struct{ p *actors.Producer[K, E] }

// Producer opens a plain producer's name. Whoever had it open is fenced: its sends return [ErrFenced].
func (i *Instance[K, E, S, R]) Producer(ctx context.Context, name string) (*Producer[K, E], error) {
	p, err := i.in.Producer(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Producer[K, E]{p}, nil
}

// Send hands an event over and returns its position. It waits while a bound is reached, until ctx ends. Sheaf owns what
// the event refers to from now on.
func (p *Producer[K, E]) Send(ctx context.Context, e E) (uint64, error) { return p.p.Send(ctx, e) }

// Flush returns when everything sent before is sealed.
func (p *Producer[K, E]) Flush(ctx context.Context) error { return p.p.Flush(ctx) }

// Close flushes and ends the producer.
func (p *Producer[K, E]) Close(ctx context.Context) error { return p.p.Close(ctx) }

// Resumable is a producer that numbers its own events: 1, 2, 3, the same event under the same number also after a
// crash. It goes on where the sealed events end, and what is sent twice counts once.
type Resumable[E any] struct{ r *actors.Resumable[E] }

// Resumable opens a resumable producer's name, which no source may have.
func (i *Instance[K, E, S, R]) Resumable(ctx context.Context, name string) (*Resumable[E], error) {
	r, err := i.in.Resumable(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Resumable[E]{r}, nil
}

// Sealed is the number of the newest sealed event: send those behind it.
func (r *Resumable[E]) Sealed() uint64 { return r.r.Sealed() }

// Send hands over the event of a number: the next one, or one that was sent before, which is ignored. A number beyond
// the next is [ErrSequence]. It waits while a bound is reached, until ctx ends.
func (r *Resumable[E]) Send(ctx context.Context, number uint64, e E) error {
	return r.r.Send(ctx, number, e)
}

// Flush returns when everything sent before is sealed.
func (r *Resumable[E]) Flush(ctx context.Context) error { return r.r.Flush(ctx) }

// Finish says that nothing will ever follow, seals that, and ends the producer.
func (r *Resumable[E]) Finish(ctx context.Context) error { return r.r.Finish(ctx) }
