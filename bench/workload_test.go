package bench_test

import (
	"context"
	"math/rand"
	"sync/atomic"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/vnode"
)

const (
	capacity = 256
	keyCount = 1_000_000
	poolLen  = 1 << 22 // events made beforehand; they are read round and round
)

type event struct {
	key   uint64
	value int64
}

// keyOf spreads numbers below keyCount over all 8 bytes.
func keyOf(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 }

// sum is the app: a sum per key, without a result.
func sum() sheaf.App[uint64, event, int64, int64] {
	return sheaf.App[uint64, event, int64, int64]{
		Name:   "sum",
		KeyOf:  func(e event) uint64 { return e.key },
		Update: func(_ *sheaf.Turn, s *int64, e event) error { *s += e.value; return nil },
	}
}

// workload is a way in which keys are drawn.
type workload struct {
	name string
	draw func(*rand.Rand) func() uint64
}

func workloads() []workload {
	return []workload{
		{"zipf", func(r *rand.Rand) func() uint64 { return rand.NewZipf(r, 1.1, 1, keyCount-1).Uint64 }},
		{"uniform", func(r *rand.Rand) func() uint64 { return func() uint64 { return uint64(r.Intn(keyCount)) } }},
	}
}

func (w workload) pool() []event {
	r := rand.New(rand.NewSource(1))
	next := w.draw(r)
	pool := make([]event, poolLen)
	for i := range pool {
		pool[i] = event{keyOf(next()), int64(i & 15)}
	}
	return pool
}

// stream is an endless source: every key once, then the pool round and round. It flows while it is told to.
type stream struct {
	pool    []event
	limit   atomic.Uint64 // nothing behind this position is read yet
	changed chan struct{} // holds a token after limit rose
}

func newStream(pool []event) *stream { return &stream{pool: pool, changed: make(chan struct{}, 1)} }

// flowTo lets the stream flow to a position; it may not be used for two readers at once.
func (s *stream) flowTo(limit uint64) {
	s.limit.Store(limit)
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *stream) Open(_ context.Context, offset uint64) (sheaf.Reader[event], error) {
	return &streamReader{stream: s, at: offset}, nil
}

type streamReader struct {
	*stream
	at uint64
}

func (r *streamReader) Read(ctx context.Context, into []event) (int, error) {
	for r.at >= r.limit.Load() {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-r.changed:
		}
	}
	into = into[:min(uint64(len(into)), r.limit.Load()-r.at)]
	n := r.fill(into)
	r.at += uint64(n)
	return n, nil
}

func (r *streamReader) fill(into []event) int {
	if r.at >= keyCount {
		return copy(into, r.pool[(r.at-keyCount)%uint64(len(r.pool)):])
	}
	n := min(len(into), int(keyCount-r.at))
	for i := range into[:n] {
		into[i] = event{keyOf(r.at + uint64(i)), 1}
	}
	return n
}

func (r *streamReader) Close() error { return nil }

// shard returns the vnode of a key, as the loops that are the limits find it.
func shard(ops vnode.KeyOps[uint64], key uint64) uint64 { return ops.Hash(key) & (capacity - 1) }
