package backend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A request to a store ends after requestTime and what its bytes take at the slowest rate that still counts as
// working, one MiB in timePerMiB: some drivers retry a failing server for ever.
const (
	requestTime = 30 * time.Second
	timePerMiB  = time.Second
)

// gate lets requests in until it is closed; then it ends those inside and waits for them. Without it a request behind
// a close would get the library's error for a closed bucket, which has the code of a taken key.
type gate struct {
	closing context.Context
	end     context.CancelFunc

	mu     sync.RWMutex // guards inside.Add against inside.Wait
	inside sync.WaitGroup
}

func newGate() *gate {
	closing, end := context.WithCancel(context.Background())
	return &gate{closing: closing, end: end}
}

// request is one request inside the gate. Its context ends with the caller's, at its deadline, or when the gate closes.
type request struct {
	ctx   context.Context
	timer *time.Timer
	leave func() // called once, at the end
}

// enter admits a request that moves size bytes. An error says that the request was not begun.
func (g *gate) enter(ctx context.Context, size int64) (*request, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closing.Err() != nil {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(budget(size), func() { cancel(context.DeadlineExceeded) })
	stop := context.AfterFunc(g.closing, func() { cancel(ErrClosed) })
	g.inside.Add(1)
	return &request{ctx: ctx, timer: timer, leave: func() {
		timer.Stop()
		stop()
		cancel(nil)
		g.inside.Done()
	}}, nil
}

// allow sets the deadline anew, for size bytes from now on.
func (r *request) allow(size int64) { r.timer.Reset(budget(size)) }

// wait returns after d, or with the reason when ctx ends or the gate closes.
func (g *gate) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-g.closing.Done():
		return ErrClosed
	}
}

// explain says why the request's context ended, if that is why err came.
func (r *request) explain(err error) error {
	if err == nil || r.ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w (%v)", context.Cause(r.ctx), err) //nolint:errorlint // the cause alone is to be found in it
}

// shut closes the gate and returns when nobody is inside.
func (g *gate) shut() {
	g.mu.Lock()
	g.end()
	g.mu.Unlock()
	g.inside.Wait()
}

func budget(size int64) time.Duration { return requestTime + time.Duration(size>>20)*timePerMiB }
