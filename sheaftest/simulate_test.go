package sheaftest_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/sheaftest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGoodAppSurvivesSimulation(t *testing.T) { sheaftest.Simulate(t, good(), sales(1000)) }

func TestSimulationOfNothing(t *testing.T) {
	sheaftest.Simulate(t, good(), nil, sheaftest.Runs(3))
	sheaftest.Simulate(t, good(), sales(1), sheaftest.Runs(3))
}

func TestSimulationWithoutResult(t *testing.T) {
	sheaftest.Simulate(t, raw(rawCodec{copies: true, appends: true}), sales(300), sheaftest.Runs(3))
}

// A simulation must do something, or it proves nothing.
func TestSimulationDoesRealWork(t *testing.T) {
	runs, crashes, panics, faults, results, err := sheaftest.CheckSimulation(t, good(), sales(1000), sheaftest.Seed(7))
	if err != nil {
		t.Fatal(err)
	}
	if crashes < runs || panics < 10*runs || faults < 2*runs || results < 5*runs {
		t.Errorf("got %d runs, %d crashes, %d panics, %d faults, %d results: too few to prove anything", runs, crashes, panics, faults, results)
	}
}

func TestSimulationCatchesBrokenApps(t *testing.T) {
	const (
		results = "every result is the fold of exactly the events up to its cut"
		end     = "the state at the end is the fold of all events"
	)
	cases := map[string]struct {
		app  shops
		laws []string // one of these
	}{
		"merge keeps the first": {firstMerge(), []string{results}},
		"codec drops a field":   {lossy(), []string{results, end}},
		"update asks the time":  {onTime(), []string{results, end}},
		"update has a global":   {onGlobal(), []string{results, end}},
		"update fails late":     {mutatesThenFails(), []string{results, end, "an update that returns an error leaves the state as it was"}},
		"order matters to fold": {changed(func(a *shops) {
			a.Fold = func(r *report, _ string, s *shop) { r.Amount = r.Amount*3 + s.Amount }
			a.Merge = func(into *report, from report) { into.Amount = into.Amount*3 + from.Amount }
		}), []string{results, "a result that is emitted again has the same bytes"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantCaught(t, c.app, c.laws) })
	}
}

func wantCaught[K sheaf.Key, S, R any](t *testing.T, app sheaf.App[K, sale, S, R], laws []string) {
	t.Helper()
	_, _, _, _, _, err := sheaftest.CheckSimulation(t, app, sales(500))
	broken, ok := errors.AsType[*sheaftest.LawError](err)
	if !ok {
		t.Fatalf("got %v, want one of %q broken", err, laws)
	}
	for _, law := range laws {
		if broken.Law == law {
			return
		}
	}
	t.Errorf("got %v, want one of %q broken", err, laws)
}
