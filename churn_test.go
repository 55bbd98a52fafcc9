package sheaf_test

import (
	"context"
	"flag"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

var churnFor = flag.Duration("churn", 3*time.Second, "how long keys are inserted and deleted")

// churn is an event of a key that is inserted when its bit is 0 and deleted when it is 1.
func churned() sheaf.App[uint64, uint64, int64, int64] {
	return sheaf.App[uint64, uint64, int64, int64]{
		Name:  "churn",
		KeyOf: func(e uint64) uint64 { return e >> 1 },
		Update: func(turn *sheaf.Turn, s *int64, e uint64) error {
			if *s = int64(e); e&1 == 1 {
				turn.Delete()
			}
			return nil
		},
		Fold:  func(r *int64, _ uint64, _ *int64) { *r++ },
		Merge: func(into *int64, from int64) { *into += from },
	}
}

// load is what an instance takes up at one moment.
type load struct {
	heap, stored int64
	goroutines   int
}

func loadOf(t *testing.T, dir string) load {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	x := load{heap: int64(m.HeapAlloc), goroutines: runtime.NumGoroutine()}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // deleted meanwhile
		}
		if info, err := d.Info(); err == nil {
			x.stored += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestChurnStaysFlat proves I8 for a state whose keys come and go: neither memory nor the store grows with what was
// there, only with what is. Run it long with -churn 10m.
func TestChurnStaysFlat(t *testing.T) {
	window := uint64(1_000) // keys alive
	if *churnFor > time.Minute {
		window = 20_000
	}
	ctx, dir := t.Context(), t.TempDir()
	in, err := sheaf.Open(ctx, sheaf.Config{State: backend.Local(dir), Epoch: 50 * time.Millisecond}, churned())
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.Producer(ctx, "churn")
	if err != nil {
		t.Fatal(err)
	}
	var loads []load
	begin, next := time.Now(), time.Now()
	for key := uint64(0); time.Since(begin) < *churnFor; key++ {
		sendChurn(ctx, t, p, key<<1)
		if key >= window {
			sendChurn(ctx, t, p, (key-window)<<1|1)
		}
		if key%(window/10) == 0 {
			<-time.After(5 * time.Millisecond) // not the machine's speed but the number of epochs is what counts
		}
		if key > 4*window && time.Now().After(next) {
			next = time.Now().Add(*churnFor / 60)
			loads = append(loads, loadOf(t, dir))
		}
	}
	if err := in.Close(ctx); err != nil {
		t.Fatal(err)
	}
	third := len(loads) / 3
	if third == 0 {
		t.Fatalf("%d samples in %v: too few", len(loads), *churnFor)
	}
	first, last := middle(loads[:third]), middle(loads[len(loads)-third:])
	t.Logf("%v, %d epochs: median of the first third %+v, of the last %+v", *churnFor, in.Status().Epoch, first, last)
	if last.heap > first.heap*3/2+8<<20 || last.stored > first.stored*3/2+4<<20 || last.goroutines > first.goroutines+50 {
		t.Errorf("it grows: median of the first third %+v, of the last %+v; all %+v", first, last, loads)
	}
}

func sendChurn(ctx context.Context, t *testing.T, p *sheaf.Producer[uint64, uint64], e uint64) {
	t.Helper()
	if _, err := p.Send(ctx, e); err != nil {
		t.Fatal(err)
	}
}

// middle returns the median of each: a single sample may catch a fold at work, or all vnodes awake at once.
func middle(loads []load) load {
	by := func(f func(load) int64) int64 {
		var all []int64
		for _, x := range loads {
			all = append(all, f(x))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return load{
		heap: by(func(x load) int64 { return x.heap }), stored: by(func(x load) int64 { return x.stored }),
		goroutines: int(by(func(x load) int64 { return int64(x.goroutines) })),
	}
}
