package bench_test

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/vnode"
)

// latency is what a request to a store in the same region takes at least, before its first byte.
const latency = 20 * time.Millisecond

// BenchmarkRestoreRemote reads a sealed state, a base and the changes of some epochs behind it, from a store that takes its
// time for each request, with so many parts in work at once: its bytes are read by ranges, checked and decompressed, and
// not made into slices. Its limit is a plain read of the same objects, in one range after another as long as a restore's
// longest. That what is read comes from the operating system's cache makes latency all that there is to hide.
func BenchmarkRestoreRemote(b *testing.B) {
	cfg := sheaf.Config{State: backend.Local(b.TempDir()), Epoch: time.Hour}
	fillChain(b, cfg, scale(200_000, 1_000_000))
	store, err := cfg.State.OpenReader(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	_, rec, err := backend.OpenReader(b.Context(), store.Objects())
	if err != nil {
		b.Fatal(err)
	}
	for _, parallel := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) { benchRemote(b, store.Objects(), rec, parallel) })
	}
}

func benchRemote(b *testing.B, own backend.Objects, rec *backend.Record, parallel int) {
	var restores, reads rates
	var requests int
	var size int64
	for b.Loop() {
		for range rounds() {
			slow := remote(own)
			began := time.Now()
			restoreAll(b, backend.Restorer{Objects: slow, Record: rec, Parallel: parallel})
			restores.add(time.Since(began), 1)
			requests = len(slow.Journal())
			began = time.Now()
			size = readPlainly(b, remote(own), rec)
			reads.add(time.Since(began), 1)
		}
	}
	hideTime(b)
	b.ReportMetric(float64(requests), "requests")
	b.ReportMetric(float64(size)/1e6, "stored-MB")
	b.ReportMetric(float64(size)/1e6/(restores.median()/1e9), "MB/s")
	b.ReportMetric(float64(size)/1e6/(reads.median()/1e9), "plain-read-MB/s")
	b.ReportMetric(restores.over(reads), "x-plain-read")
}

// remote is a store as far away as latency says.
func remote(own backend.Objects) *backendtest.Faults {
	f := backendtest.NewFaults(own, 1)
	f.Add(backendtest.Rule{Delay: latency})
	return f
}

func restoreAll(b *testing.B, r backend.Restorer) {
	all := make([]vnode.ID, r.Record.Identity.Capacity)
	for v := range all {
		all[v] = vnode.ID(v)
	}
	if err := r.Restore(b.Context(), all, func(backend.RestoredSlice) error { return nil }); err != nil {
		b.Fatal(err)
	}
}

// readPlainly reads the live segments and returns their size.
func readPlainly(b *testing.B, objects backend.Objects, rec *backend.Record) (size int64) {
	const most = 4 << 20
	for i := range rec.Segments {
		s := &rec.Segments[i]
		for at := int64(0); at < s.Size; at += most {
			if _, err := objects.Get(b.Context(), s.Key(), backend.Range{Offset: at, Size: min(most, s.Size-at)}); err != nil {
				b.Fatal(err)
			}
		}
		size += s.Size
	}
	return size
}

// fillChain seals a state of so many keys, and then some epochs that each change a fiftieth of it.
func fillChain(b *testing.B, cfg sheaf.Config, keys int) {
	in, err := sheaf.Open(b.Context(), cfg, blobs())
	if err != nil {
		b.Fatal(err)
	}
	defer closeInstance(b, in.Close)
	p, err := in.Producer(b.Context(), "fill")
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	seal := func(from, to int) {
		for i := from; i < to; i++ {
			e := blobEvent{key: keyOf(uint64(i))}
			r.Read(e.blob[:])
			if _, err := p.Send(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	seal(0, keys)
	for e := range 8 {
		seal(e*keys/50, (e+1)*keys/50)
	}
}
