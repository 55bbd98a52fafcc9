package actors_test

import (
	"flag"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	simSeeds = flag.Int("sim.seeds", 10_000, "schedules that the simulator runs")
	simSteps = flag.Int("sim.steps", 900, "steps of a schedule before its quiet end")
	simSeed  = flag.Int64("sim.seed", -1, "run this one schedule and print its trace")
)

// runSeed runs one schedule and returns the violation that it found, if any.
func runSeed(seed uint64, m mutation, trace func(string)) (w *world, found violation) {
	w = newWorld(seed, m, trace)
	defer func() {
		switch x := recover().(type) {
		case nil:
		case violation:
			found = x
		default:
			panic(x)
		}
	}()
	w.run(*simSteps)
	return w, ""
}

// TestInvariantsHoldInEverySchedule proves I1 to I6, I8 and I9 over seeded schedules of one to three instances: crashes,
// pauses, twins, partitions, panics, lost, repeated and reordered messages, sleeping, failing and ambiguous requests,
// failing sinks, vnodes and sources that change hands, collections, compactions and pins; and that in a quiet end everything is sealed and emitted, an idle system writes nothing, and a
// busy one keeps chains and records within their bounds.
func TestInvariantsHoldInEverySchedule(t *testing.T) {
	if *simSeed >= 0 {
		_, found := runSeed(uint64(*simSeed), noMutation, func(s string) { t.Log(s) })
		if found != "" {
			t.Fatal(found)
		}
		return
	}
	seeds := *simSeeds
	if raceEnabled {
		seeds /= 20
	}
	var total tally
	inParallel(seeds, func(seed uint64) {
		w, found := runSeed(seed, noMutation, nil)
		if found != "" {
			t.Errorf("seed %d: %s\nreplay: go test ./actors -run %s -sim.seed %d -v", seed, found, t.Name(), seed)
		}
		total.add(w)
	})
	t.Log(total.report(seeds))
	if err := total.tooLittle(seeds); err != nil && seeds >= 5000 {
		t.Error(err)
	}
}

// TestBrokenRulesAreCaught shows that the oracle can fail: each named mutation is found, by what it breaks.
func TestBrokenRulesAreCaught(t *testing.T) {
	if raceEnabled {
		t.Skip("thousands of schedules, in one goroutine each: nothing for the race detector")
	}
	for _, m := range mutations {
		t.Run(string(m.mutation), func(t *testing.T) {
			caught := func(seed uint64) bool {
				_, found := runSeed(seed, m.mutation, nil)
				breaks := slices.ContainsFunc(m.breaks, func(invariant string) bool { return strings.HasPrefix(string(found), invariant) })
				if breaks {
					t.Logf("seed %d: %s", seed, found)
				}
				return breaks
			}
			if caught(m.seen) {
				return
			}
			for seed := range uint64(*simSeeds) {
				if caught(seed) {
					return
				}
			}
			t.Errorf("%d schedules with %q: no violation of %v found", *simSeeds, m.mutation, m.breaks)
		})
	}
}

// inParallel calls run for each seed below n.
func inParallel(n int, run func(seed uint64)) {
	defer debug.SetGCPercent(debug.SetGCPercent(2000)) // worlds are small and short-lived
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < uint64(n); seed = next.Add(1) - 1 {
				run(seed)
			}
		})
	}
	wg.Wait()
}

// TestSchedulesAreRepeatable shows that a seed is a schedule: two runs leave the same trace.
func TestSchedulesAreRepeatable(t *testing.T) {
	for seed := range uint64(50) {
		var traces [2][]string
		for i := range traces {
			runSeed(seed, noMutation, func(s string) { traces[i] = append(traces[i], s) })
		}
		if !slices.Equal(traces[0], traces[1]) {
			t.Fatalf("seed %d: two runs differ (%d and %d lines)", seed, len(traces[0]), len(traces[1]))
		}
	}
}
