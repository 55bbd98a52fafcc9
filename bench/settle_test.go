package bench_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
)

// settle returns when the instance is at rest: everything sealed, nothing to be folded, no garbage.
func settle(b *testing.B, in *sumInstance) {
	b.Helper()
	if in.Status().Epoch > 0 {
		if err := in.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	const look = 50 * time.Millisecond
	for range 100 {
		before := cpuUsed()
		pause(b, look)
		if cpuUsed()-before < look/10 {
			return
		}
	}
	b.Fatalf("the instance does not come to rest: %+v", in.Status())
}

// awaitEpoch waits until an epoch is sealed.
func awaitEpoch(b *testing.B, in *sumInstance, e sheaf.Epoch) {
	b.Helper()
	for range 30_000 {
		if in.Status().Epoch >= e {
			return
		}
		pause(b, time.Millisecond)
	}
	b.Fatalf("epoch %d is not sealed: %+v", e, in.Status())
}

// pause waits: measuring takes time.
func pause(b *testing.B, d time.Duration) {
	b.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}
