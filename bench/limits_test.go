package bench_test

import (
	"sync"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
)

// limits are the loops that ingest is measured against: the least that a program of its own would do. Like the vnodes,
// the maps hold every key beforehand.
type limits struct {
	ops   vnode.KeyOps[uint64]
	maps  [capacity]map[uint64]int64
	pool  []event
	split [2][]event // the pool by the half of the vnodes that its keys belong to
}

func newLimits(pool []event) *limits {
	l := &limits{ops: vnode.NewKeyOps[uint64](), pool: pool}
	for v := range l.maps {
		l.maps[v] = map[uint64]int64{}
	}
	for i := range uint64(keyCount) {
		l.maps[shard(l.ops, keyOf(i))][keyOf(i)] = 1
	}
	for _, e := range pool {
		half := shard(l.ops, e.key) % 2
		l.split[half] = append(l.split[half], e)
	}
	return l
}

func (l *limits) apply(events []event) {
	for _, e := range events {
		l.maps[shard(l.ops, e.key)][e.key] += e.value
	}
}

// one applies the pool in one goroutine.
func (l *limits) one() time.Duration {
	begin := time.Now()
	l.apply(l.pool)
	return time.Since(begin)
}

// two applies the pool in two goroutines, each its own keys.
func (l *limits) two() time.Duration {
	begin := time.Now()
	var both sync.WaitGroup
	for _, half := range l.split {
		both.Go(func() { l.apply(half) })
	}
	both.Wait()
	return time.Since(begin)
}
