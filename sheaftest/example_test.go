package sheaftest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/sheaftest"
)

// visit is an event: somebody opens a page.
type visit struct{ Page, Who string }

// visits counts the visits of each page.
func visits() sheaf.App[string, visit, int, int] {
	return sheaf.App[string, visit, int, int]{
		Name:   "visits",
		KeyOf:  func(v visit) string { return v.Page },
		Update: func(_ *sheaf.Turn, n *int, _ visit) error { *n++; return nil },
		Fold:   func(all *int, _ string, n *int) { *all += *n },
		Merge:  func(into *int, from int) { *into += from },
	}
}

func drawVisit(r *rand.Rand) visit {
	return visit{Page: fmt.Sprint("page ", r.IntN(3)), Who: fmt.Sprint("visitor ", r.IntN(100))}
}

// The two tests of an app that a program has beside its own.

func TestVisitsKeepTheLaws(t *testing.T) {
	sheaftest.Laws(t, visits(), drawVisit)
}

func TestVisitsSurviveCrashes(t *testing.T) {
	var events []visit
	chance := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		events = append(events, drawVisit(chance))
	}
	sheaftest.Simulate(t, visits(), events, sheaftest.Runs(3))
}
