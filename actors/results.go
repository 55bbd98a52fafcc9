package actors

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sheaf-go/sheaf/merger"
)

// results is a sink that hands results to whoever iterates over them. An iterator holds emission back until it has
// taken a result, as any sink does.
type results[R any] struct {
	mu    sync.Mutex // guards takers
	takes map[*taker[R]]bool
}

// watched is a sink that says when it is given a result, so that Status can name it.
type watched[R any] struct {
	merger.Sink[R]
	place int64
	now   *atomic.Int64
	busy  *atomic.Pointer[string] // which, with what, while it has not returned
	watch *stopwatch
}

// Emit gives the result on.
func (w watched[R]) Emit(ctx context.Context, r merger.Result[R]) error {
	w.now.Store(w.place)
	what := fmt.Sprintf("sink %d with epoch %d", w.place, r.Epoch)
	w.busy.Store(&what)
	defer w.busy.Store(nil)
	w.watch.gives(r.Epoch)
	return w.Sink.Emit(ctx, r)
}

// sinks are the program's sinks, and behind them whoever iterates over results.
func (in *Instance[K, E, S, R]) sinks() []merger.Sink[R] {
	var all []merger.Sink[R]
	for i, s := range in.cfg.Sinks {
		all = append(all, watched[R]{s, int64(i), &in.emitting, &in.sinking, in.watch})
	}
	return append(all, watched[R]{in.results, int64(len(all)), &in.emitting, &in.sinking, in.watch})
}

// unreturned says what the instance waits for that has not returned, though its context has ended.
func (in *Instance[K, E, S, R]) unreturned() error {
	what := "a source, a sink or a function of the app"
	if sink := in.sinking.Load(); sink != nil {
		what = *sink
	}
	return fmt.Errorf("%s has not returned, though its context has ended", what)
}

// heldBySink names the sink that keeps epochs from being opened; empty if none does.
func (in *Instance[K, E, S, R]) heldBySink() string {
	n, at := in.waiting.Load(), in.emitting.Load()
	switch {
	case n < maxWaiting:
		return ""
	case at == int64(len(in.cfg.Sinks)):
		return fmt.Sprintf("an iterator over Results: %d sealed epochs wait for it", n)
	}
	return fmt.Sprintf("sink %d: %d sealed epochs wait for it", at, n)
}

// taker is one iterator.
type taker[R any] struct {
	next chan merger.Result[R]
	gone chan struct{} // closed when the iterator has ended
}

var _ merger.Sink[int] = (*results[int])(nil)

func newResults[R any]() *results[R] { return &results[R]{takes: map[*taker[R]]bool{}} }

// Emit hands a result to every iterator.
func (h *results[R]) Emit(ctx context.Context, r merger.Result[R]) error {
	h.mu.Lock()
	var all []*taker[R]
	for t := range h.takes {
		all = append(all, t)
	}
	h.mu.Unlock()
	for _, t := range all {
		select {
		case t.next <- r:
		case <-t.gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (h *results[R]) open() *taker[R] {
	t := &taker[R]{next: make(chan merger.Result[R]), gone: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takes[t] = true
	return t
}

func (h *results[R]) close(t *taker[R]) {
	close(t.gone)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.takes, t)
}

// Results calls yield with every result that is emitted from now on, until it returns false, ctx ends or the instance
// does. A result that yield has not taken holds back those behind it.
func (in *Instance[K, E, S, R]) Results(ctx context.Context, yield func(merger.Result[R]) bool) {
	t := in.results.open()
	defer in.results.close(t)
	for {
		select {
		case r := <-t.next:
			if !yield(r) {
				return
			}
		case <-ctx.Done():
			return
		case <-in.ctx.Done():
			return
		}
	}
}
