package sheaf_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
)

// TestOpenMayBeGivenUpAtAnyMoment gives it up also while a term is about to begin.
func TestOpenMayBeGivenUpAtAnyMoment(t *testing.T) {
	for range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(1500*time.Microsecond))
		if in, err := sheaf.Open(ctx, small(), tallies()); err == nil {
			abort(in)
		}
		cancel()
	}
}
