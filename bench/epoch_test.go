package bench_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

// BenchmarkEpoch counts what an epoch asks of the store, by kind of request, and what it writes. A changed byte is one
// of a changed key or of its state as they lie in memory, 16 bytes for each changed key: so 1 is the limit of bytes
// written per changed byte where nothing can be compressed. An epoch creates two objects, a segment and a record; what is
// above that is compaction, collection, and the record of the last emission.
func BenchmarkEpoch(b *testing.B) {
	for _, share := range []uint64{1, 100} {
		b.Run(fmt.Sprintf("changed=1in%d", share), func(b *testing.B) { benchEpoch(b, share) })
	}
}

func benchEpoch(b *testing.B, share uint64) {
	in, store := openCounted(b)
	p, err := in.Producer(b.Context(), "pushed")
	if err != nil {
		b.Fatal(err)
	}
	change := func(from, step uint64) {
		for i := from; i < keyCount; i += step {
			if _, err := p.Send(b.Context(), event{keyOf(i), int64(i)}); err != nil {
				b.Fatal(err)
			}
		}
	}
	change(0, 1)
	if err := p.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		begun, before, changed := in.Status().Epoch, len(store.Journal()), 0
		for e := range uint64(scale(8, 64)) {
			last := in.Status().Epoch
			change(e%share, share)
			awaitEpoch(b, in, last+1)
			changed += keyCount / int(share)
		}
		if err := p.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		reportRequests(b, store.Journal()[before:], int(in.Status().Epoch-begun), changed*16)
	}
	hideTime(b)
}

// reportRequests reports requests per epoch, and bytes written per byte that changed.
func reportRequests(b *testing.B, journal []backendtest.Entry, epochs, changed int) {
	count, written := map[string]int{}, 0
	for _, e := range journal {
		name := string(e.Op)
		if e.Op == backendtest.Create {
			name, _, _ = strings.Cut(e.Key, "/")
		}
		if e.Op == backendtest.Create || e.Op == backendtest.Put {
			written += e.Bytes
		}
		count[name]++
	}
	for _, name := range []string{"segment", "ledger", "put", "get", "list", "delete"} {
		b.ReportMetric(float64(count[name])/float64(epochs), name+"/epoch")
	}
	b.ReportMetric(float64(written)/float64(changed), "written/changed")
}

// openCounted opens an instance on a local store whose requests are counted.
func openCounted(b *testing.B) (*sumInstance, *backendtest.Faults) {
	var store *backendtest.Faults
	ctx := storehook.With(b.Context(), func(own backend.Objects) backend.Objects {
		store = backendtest.NewFaults(own, 0) // with no faults: for its journal
		return store
	})
	in, err := sheaf.Open(ctx, sheaf.Config{State: backend.Local(b.TempDir()), Epoch: 300 * time.Millisecond}, sum())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeInstance(b, in.Close) })
	return in, store
}
