package sheaftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sheaf-go/sheaf"
)

// slow is a source that gives a few events at a time.
type slow[E any] struct{ events []E }

// pace is how many of n events come at once, so that all take a few epochs, and how long one waits for them.
func pace(n int) (int, time.Duration) { return 1 + n/40, 4 * time.Millisecond }

func (s slow[E]) Open(_ context.Context, offset uint64) (sheaf.Reader[E], error) {
	if offset > uint64(len(s.events)) {
		return nil, fmt.Errorf("opened at %d of %d events", offset, len(s.events))
	}
	return &slowReader[E]{all: len(s.events), left: s.events[offset:]}, nil
}

type slowReader[E any] struct {
	all  int
	left []E
}

func (r *slowReader[E]) Read(ctx context.Context, into []E) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n, wait := pace(r.all)
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(wait):
	}
	n = copy(into[:min(n, len(into))], r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *slowReader[E]) Close() error { return nil }

// push sends the events that are not sealed, and the end.
func push[E any](ctx context.Context, r *sheaf.Resumable[E], events []E) error {
	at := r.Sealed()
	if at > uint64(len(events)) {
		return fmt.Errorf("the resumable producer was opened at %d of %d events", at, len(events))
	}
	some, wait := pace(len(events))
	for i, e := range events[at:] {
		if i%some == 0 {
			<-time.After(wait)
		}
		switch err := r.Send(ctx, at+uint64(i)+1, e); {
		case errors.Is(err, sheaf.ErrClosed) && r.Sealed() == uint64(len(events)):
			return nil // it was finished before
		case err != nil:
			return err
		}
	}
	return r.Finish(ctx)
}
