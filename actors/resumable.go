package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrSequence is returned for an event whose number leaves a gap.
var ErrSequence = errors.New("the event's number is beyond the next one")

// Resumable is a producer that numbers its own events. To the instance it is a source: what is not sealed is kept here
// and read again from here.
type Resumable[E any] struct {
	name   string
	in     feeder[E]
	limit  int64 // bytes of unsealed events
	source <-chan struct{}
	seal   func(ctx context.Context, to uint64) error // returns when a record holds everything up to that number

	mu       sync.Mutex // guards what follows
	events   []E        // numbers sealed+1 to last
	sealed   uint64
	last     uint64
	finished bool
	closing  bool // takes nothing more
	err      error
	news     chan struct{} // closed and replaced at every change
}

var (
	_ Source[int] = (*Resumable[int])(nil)
	_ pushed      = (*Resumable[int])(nil)
)

// Resumable opens a resumable producer's name at its sealed position.
func (in *Instance[K, E, S, R]) Resumable(ctx context.Context, name string) (*Resumable[E], error) {
	r := &Resumable[E]{name: name, in: in, limit: in.cfg.Limits.History, news: make(chan struct{})}
	r.seal = func(ctx context.Context, to uint64) error { return in.sealCut(ctx, name, to) }
	var err error
	if r.source, err = in.attach(ctx, name, r, r); err != nil {
		return nil, fmt.Errorf("open resumable producer %q: %w", name, err)
	}
	in.onEnd(name, r.fail)
	return r, nil
}

// begin is told once, before anything is sent.
func (r *Resumable[E]) begin(at uint64, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealed, r.last, r.finished = at, at, ended
}

// Sealed is the number of the newest sealed event.
func (r *Resumable[E]) Sealed() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sealed
}

// Send hands over the event of a number: the next one, or an older one, which is ignored.
func (r *Resumable[E]) Send(ctx context.Context, number uint64, e E) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admit(ctx, number); err != nil {
		return fmt.Errorf("send event %d to resumable producer %s: %w", number, r.name, err)
	}
	if number <= r.last {
		return nil
	}
	r.events = append(r.events, e)
	r.last = number
	r.tell()
	return nil
}

// admit waits, with the lock given up meanwhile, until the event is within the bound.
func (r *Resumable[E]) admit(ctx context.Context, number uint64) error {
	for {
		switch {
		case r.err != nil:
			return r.err
		case r.finished, r.closing:
			return ErrClosed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case number > r.last+1:
			return fmt.Errorf("%w: %d", ErrSequence, r.last+1)
		case bytesOf[E](len(r.events)) < r.limit:
			return nil
		}
		r.in.tell(demand{})
		if err := r.await(ctx); err != nil {
			return err
		}
	}
}

// await waits for a change, with the lock given up meanwhile, at most for a while.
func (r *Resumable[E]) await(ctx context.Context) error {
	news := r.news
	r.mu.Unlock()
	defer r.mu.Lock()
	timer := time.NewTimer(repeatAfter)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (r *Resumable[E]) tell() {
	close(r.news)
	r.news = make(chan struct{})
}

// free forgets the events that are sealed.
func (r *Resumable[E]) free(sealed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sealed <= r.sealed {
		return
	}
	n := sealed - r.sealed
	clear(r.events[:n])
	r.events = r.events[n:]
	r.sealed = sealed
	r.tell()
}

// taken is the number of the newest event that was sent.
func (r *Resumable[E]) taken() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// shut makes the producer take nothing more; what it was sent can still be sealed.
func (r *Resumable[E]) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
	r.tell()
}

func (r *Resumable[E]) held() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytesOf[E](len(r.events)) < r.limit {
		return ""
	}
	return "history of producer " + r.name
}

// fail ends the producer.
func (r *Resumable[E]) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
		r.tell()
	}
}

// Flush returns when everything sent before is sealed.
func (r *Resumable[E]) Flush(ctx context.Context) error {
	to := r.taken()
	if err := r.seal(ctx, to); err != nil {
		return fmt.Errorf("flush resumable producer %s: %w", r.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.err == nil && r.sealed < to {
		if err := r.await(ctx); err != nil {
			return fmt.Errorf("flush resumable producer %s: %w", r.name, err)
		}
	}
	return nil
}

// Finish says that nothing follows and returns when that is sealed.
func (r *Resumable[E]) Finish(ctx context.Context) error {
	r.mu.Lock()
	r.finished = true
	r.tell()
	r.mu.Unlock()
	for {
		select {
		case <-r.source:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("finish resumable producer %s: %w", r.name, context.Cause(ctx))
		case <-time.After(repeatAfter):
		}
		r.mu.Lock()
		err := r.err
		r.mu.Unlock()
		if err != nil {
			return fmt.Errorf("finish resumable producer %s: %w", r.name, err)
		}
	}
}

// Open returns a reader of the events behind offset, which is never below what is sealed.
func (r *Resumable[E]) Open(_ context.Context, offset uint64) (Reader[E], error) {
	return &resumableReader[E]{r: r, at: offset}, nil
}

type resumableReader[E any] struct {
	r  *Resumable[E]
	at uint64
}

// Read copies events out, and waits for one if there is none.
func (rr *resumableReader[E]) Read(ctx context.Context, into []E) (int, error) {
	r := rr.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case rr.at < r.sealed:
			return 0, fmt.Errorf("read resumable producer %s at %d: sealed up to %d and forgotten", r.name, rr.at, r.sealed)
		case rr.at < r.last:
			n := copy(into, r.events[rr.at-r.sealed:])
			rr.at += uint64(n)
			return n, nil
		case r.finished:
			return 0, io.EOF
		}
		if err := r.await(ctx); err != nil {
			return 0, err
		}
	}
}

func (rr *resumableReader[E]) Close() error { return nil }
