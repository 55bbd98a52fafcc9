package sheaftest

import (
	"math/rand/v2"
	"testing"

	"github.com/sheaf-go/sheaf"
)

// CheckLaws is Laws without the verdict.
func CheckLaws[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], gen func(*rand.Rand) E, opts ...Option) error {
	return checkLaws(t, app, gen, opts...)
}

// CheckSimulation is Simulate without the verdict.
func CheckSimulation[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], events []E, opts ...Option) (runs, crashes, panics, faults, results int, err error) {
	did, err := checkSimulation(t, app, events, opts...)
	return did.runs, did.crashes, did.panics, did.faults, did.results, err
}
