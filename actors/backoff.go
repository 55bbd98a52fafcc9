package actors

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a jittered exponential pause between tries.
type backoff struct {
	first, most time.Duration
	tries       int
}

// wait pauses, or returns early with the context's error.
func (b *backoff) wait(ctx context.Context) error {
	pause := min(b.most, b.first<<min(b.tries, 16))
	b.tries++
	pause = pause/2 + rand.N(pause/2+1)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// tries is how steps of I/O are repeated.
func newBackoff() *backoff { return &backoff{first: 20 * time.Millisecond, most: 2 * time.Second} }
