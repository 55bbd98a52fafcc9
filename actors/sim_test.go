package actors_test

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	simSeeds = flag.Int("sim.seeds", 10_000, "schedules that the simulator runs")
	simSeed  = flag.Int64("sim.seed", -1, "run this one schedule and print its trace")
)

const simSteps = 2_200

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
	w.start()
	w.run(simSteps)
	return w, ""
}

// TestInvariantsHoldInEverySchedule proves I1 to I6 and I9 over seeded schedules of crashes, pauses, twins, panics,
// lost, repeated and reordered messages, failing and ambiguous puts, and collections; and that in a quiet end everything
// is sealed and emitted, and an idle system writes nothing.
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
	t.Log(total.String(seeds))
	if err := total.tooLittle(seeds); err != nil {
		t.Error(err)
	}
}

// TestBrokenRulesAreCaught shows that the oracle can fail: each named mutation is found.
func TestBrokenRulesAreCaught(t *testing.T) {
	for _, m := range mutations {
		t.Run(string(m), func(t *testing.T) {
			for seed := range uint64(*simSeeds) {
				if _, found := runSeed(seed, m, nil); found != "" {
					t.Logf("seed %d: %s", seed, found)
					return
				}
			}
			t.Errorf("%d schedules with %q: no violation found", *simSeeds, m)
		})
	}
}

// inParallel calls run for each seed below n.
func inParallel(n int, run func(seed uint64)) {
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

// tally counts what the schedules did, so that they cannot come to do nothing.
type tally struct {
	mu                                 sync.Mutex
	epochs, records, faults, floors    int
	sources, producers, vnodes, worlds int
	byKind                             map[string]int
}

func (c *tally) add(w *world) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKind == nil {
		c.byKind = map[string]int{}
	}
	c.worlds++
	c.epochs += len(w.oracle.order)
	c.records += len(w.store.truth)
	c.floors += len(w.store.floors)
	c.sources += len(sourceNames)
	c.producers += len(producerNames)
	c.vnodes += w.capacity
	for kind, n := range w.faults {
		c.byKind[kind] += n
		if kind == "crash" || kind == "pause" || kind == "panic" {
			c.faults += n
		}
	}
}

func (c *tally) String(seeds int) string {
	per := func(n int) string { return fmt.Sprintf("%.1f", float64(n)/float64(seeds)) }
	return fmt.Sprintf("%d schedules; each on average: %s epochs sealed, %s records, %s floors, %s vnodes, %s sources, %s producers, %s crashes, pauses and panics; in all %v",
		seeds, per(c.epochs), per(c.records), per(c.floors), per(c.vnodes), per(c.sources), per(c.producers), per(c.faults), c.byKind)
}

func (c *tally) tooLittle(seeds int) error {
	if c.epochs < 10*seeds || c.faults < 2*seeds || c.vnodes < 4*seeds || c.sources < 2*seeds || c.producers < 2*seeds {
		return fmt.Errorf("the schedules do too little: %s", c.String(seeds))
	}
	return nil
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
