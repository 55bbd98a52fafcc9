package actors

import (
	"context"
	"errors"
	"fmt"
)

// chunks is how many chunks of a source there are, in all: enough that its reader, which has to wait for a processor
// now and then, does not make the dealer wait.
const chunks = 8

// readAhead reads a source in a goroutine of its own, some chunks ahead of whoever deals its events out.
type readAhead[E any] struct {
	next   uint64 // position behind which the next chunk begins; the dealer's
	chunk  []E    // in the dealer's hands
	end    bool   // nothing follows
	failed bool

	out    chan chunk[E]
	free   chan []E
	cancel context.CancelFunc
}

// chunk is a run of events, or why there is none.
type chunk[E any] struct {
	events []E
	err    error
}

func newReadAhead[E any](ctx context.Context, from Source[E], at uint64) (*readAhead[E], func()) {
	ctx, cancel := context.WithCancel(ctx)
	r := &readAhead[E]{next: at, out: make(chan chunk[E], chunks-2), free: make(chan []E, chunks), cancel: cancel}
	for range cap(r.free) {
		r.free <- make([]E, readLen)
	}
	return r, func() { r.read(ctx, from, at) }
}

// giveBack gives the space of the chunk in hand back. The events go out of it: vnodes still have them, and a reader that
// decodes into what it is given would write into what they refer to.
func (r *readAhead[E]) giveBack() {
	if r.chunk != nil {
		clear(r.chunk)
		r.free <- r.chunk[:readLen]
		r.chunk = nil
	}
}

// read reads until an error, which is the last chunk.
func (r *readAhead[E]) read(ctx context.Context, from Source[E], at uint64) {
	reader, err := open(ctx, from, at)
	if err != nil {
		r.put(ctx, chunk[E]{err: err})
		return
	}
	defer shut(reader)
	for err == nil {
		var c chunk[E]
		select {
		case <-ctx.Done():
			return
		case c.events = <-r.free:
		}
		var n int
		n, err = read(ctx, reader, c.events)
		c.events, c.err = c.events[:n], err
		r.put(ctx, c)
	}
}

func (r *readAhead[E]) put(ctx context.Context, c chunk[E]) {
	select {
	case <-ctx.Done():
	case r.out <- c:
	}
}

// open opens a source; a panic of the user's code is an error.
func open[E any](ctx context.Context, from Source[E], at uint64) (r Reader[E], err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("open panicked: %v", x)
		}
	}()
	if r, err = from.Open(ctx, at); err == nil && r == nil {
		err = errors.New("open returned no reader and no error")
	}
	return r, err
}

func read[E any](ctx context.Context, r Reader[E], into []E) (n int, err error) {
	defer func() {
		if x := recover(); x != nil {
			n, err = 0, fmt.Errorf("read panicked: %v", x)
		}
	}()
	n, err = r.Read(ctx, into)
	if n < 0 || n > len(into) {
		return 0, fmt.Errorf("read returned %d events, there is room for %d", n, len(into))
	}
	if n == 0 && err == nil {
		err = errors.New("read returned neither an event nor an error")
	}
	return n, err
}

// shut closes a reader; a panic of the user's code, or an error, cannot matter any more.
func shut[E any](r Reader[E]) {
	defer func() { _ = recover() }()
	_ = r.Close()
}
