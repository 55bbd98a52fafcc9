package actors_test

import (
	"fmt"
	"sync"
)

// tally counts what the schedules did, so that they cannot come to do nothing.
type tally struct {
	mu                                                          sync.Mutex
	epochs, records, floors, sources, producers, vnodes, faults int
	instances, partitions, restarts                             int // restarts of an id
	byKind                                                      map[string]int
	longest, retained                                           int
}

func (c *tally) add(w *world) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKind == nil {
		c.byKind = map[string]int{}
	}
	c.epochs += len(w.oracle.order)
	c.records += len(w.store.truth)
	c.floors += len(w.store.floors)
	c.vnodes += w.capacity
	c.instances += w.instances
	sources, producers := w.oracle.origins()
	c.sources += sources
	c.producers += producers
	for kind, n := range w.faults {
		c.byKind[kind] += n
	}
	c.faults += w.faults["crash"] + w.faults["pause"] + w.faults["panic"]
	c.partitions += w.faults["partition"]
	c.restarts += w.faults["start"] - len(w.everyone())
	c.longest = max(c.longest, w.oracle.longest)
	c.retained = max(c.retained, w.oracle.retained)
}

// origins counts the sources and the generations of producers of which events were sealed.
func (o *oracle) origins() (sources, producers int) {
	seen := map[generation]bool{}
	for _, v := range o.vnodes {
		for g, at := range v.at {
			if at > 0 && !seen[g] {
				seen[g] = true
				if g.n == 0 {
					sources++
				} else {
					producers++
				}
			}
		}
	}
	return sources, producers
}

func (c *tally) report(seeds int) string {
	per := func(n int) string { return fmt.Sprintf("%.1f", float64(n)/float64(seeds)) }
	return fmt.Sprintf("%d schedules; each on average: %s epochs sealed, %s records, %s floors, %s vnodes, %s sources, %s generations of producers, "+
		"%s crashes, pauses and panics, %s instances, %s partitions, %s restarts with the same id; longest chain %d, most records retained %d; in all %v",
		seeds, per(c.epochs), per(c.records), per(c.floors), per(c.vnodes), per(c.sources), per(c.producers), per(c.faults), per(c.instances), per(c.partitions), per(c.restarts), c.longest, c.retained, c.byKind)
}

func (c *tally) tooLittle(seeds int) error {
	if c.epochs < 10*seeds || c.faults < 2*seeds || c.vnodes < 4*seeds || c.sources < 2*seeds || c.producers < 2*seeds ||
		c.instances < 3*seeds/2 || c.partitions < seeds || c.restarts < seeds {
		return fmt.Errorf("the schedules do too little: %s", c.report(seeds))
	}
	for _, kind := range []string{
		"ahead", "cut", "dealt", "detach", "drained", "fold", "folded", "in use", "pin", "refused", "relist", "reopen", "revived", "resigned", "search", "segment", "sink", "stopped", "superseded", "twin",
	} {
		if c.byKind[kind] == 0 {
			return fmt.Errorf("no schedule has %q: %s", kind, c.report(seeds))
		}
	}
	return nil
}
