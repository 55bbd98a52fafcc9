package vnode_test

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/sheaf-go/sheaf/vnode"
)

const (
	benchVnodes = 256
	benchKeys   = 1_000_000
	benchEvents = 1 << 20
	benchBlock  = benchVnodes * 256 // events that a sender splits at a time: batches of 256 on average
)

// event is small, so that what is measured is the state and not the reading of events.
type event uint32

func (e event) key() int64 { return int64(e) * 0x1e3779b97f4a7c15 }

// workload is events in order of arrival, and the same split into batches.
type workload struct {
	events  []event
	batches [][]event // batch i goes to vnode i % benchVnodes
}

func newWorkload(next func() uint64) workload {
	ops := vnode.NewKeyOps[int64]()
	w := workload{events: make([]event, benchEvents)}
	for i := range w.events {
		w.events[i] = event(next())
	}
	for at := 0; at < benchEvents; at += benchBlock {
		split := make([][]event, benchVnodes)
		for _, e := range w.events[at : at+benchBlock] {
			id := vnode.Of(ops.Hash(e.key()), benchVnodes)
			split[id] = append(split[id], e)
		}
		w.batches = append(w.batches, split...)
	}
	return w
}

func workloads() map[string]func() uint64 {
	r := rand.New(rand.NewSource(1))
	zipf := rand.NewZipf(r, 1.1, 1, benchKeys-1)
	return map[string]func() uint64{
		"zipf":    zipf.Uint64,
		"uniform": func() uint64 { return uint64(r.Intn(benchKeys)) },
	}
}

// BenchmarkApply compares batches applied to slices, keys hashed and changes tracked, with a plain loop over Go
// maps. Both sum into 256 parts of a million keys.
func BenchmarkApply(b *testing.B) {
	for name, next := range workloads() {
		w := newWorkload(next)
		b.Run(name+"/slices", func(b *testing.B) { benchSlices(b, w) })
		b.Run(name+"/maps", func(b *testing.B) { benchMaps(b, w) })
	}
}

func benchSlices(b *testing.B, w workload) {
	ops := vnode.NewKeyOps[int64]()
	codec := vnode.CBOR[int64]()
	all := make([]*vnode.Slice[int64, int64], benchVnodes)
	for i := range all {
		all[i] = vnode.NewSlice(ops, codec)
	}
	for i := range event(benchKeys) {
		h := ops.Hash(i.key())
		all[vnode.Of(h, benchVnodes)].Upsert(h, i.key())
	}
	seal(b, all)
	update := func(s *int64, e event) error { *s += int64(e) & 15; return nil }
	b.ReportAllocs()
	for b.Loop() {
		for i, batch := range w.batches {
			apply(all[i%benchVnodes], ops, batch, update)
		}
	}
	report(b)
}

// apply does what a vnode does with a batch.
func apply(s *vnode.Slice[int64, int64], ops vnode.KeyOps[int64], batch []event, update func(*int64, event) error) {
	var hashes [vnode.WarmLen]uint64
	var places [vnode.WarmLen]vnode.Place[int64, int64]
	for part := range slices.Chunk(batch, len(hashes)) {
		for i, e := range part {
			hashes[i] = ops.Hash(e.key())
			places[i] = s.PlaceOf(hashes[i])
		}
		s.Warm(places[:len(part)])
		for i, e := range part {
			state, existed := s.UpsertAt(places[i], hashes[i], e.key())
			if err := update(state, e); err != nil && !existed {
				s.Forget(hashes[i], e.key())
			}
		}
	}
}

func seal(b *testing.B, all []*vnode.Slice[int64, int64]) {
	var delta []byte
	for _, s := range all {
		out, mark, err := s.Capture(delta[:0])
		if err != nil {
			b.Fatal(err)
		}
		delta = out
		s.Sealed(mark)
	}
}

func benchMaps(b *testing.B, w workload) {
	ops := vnode.NewKeyOps[int64]()
	maps := make([]map[int64]int64, benchVnodes)
	for i := range maps {
		maps[i] = map[int64]int64{}
	}
	for i := range event(benchKeys) {
		maps[vnode.Of(ops.Hash(i.key()), benchVnodes)][i.key()] = 0
	}
	for b.Loop() {
		for _, e := range w.events {
			k := e.key()
			maps[vnode.Of(ops.Hash(k), benchVnodes)][k] += int64(e) & 15
		}
	}
	report(b)
}

// BenchmarkCapture measures what a vnode of a 256th of a million keys, all changed, does in one turn: capture,
// then a fold over every key, and later the seal.
func BenchmarkCapture(b *testing.B) {
	const keys = benchKeys / benchVnodes
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	var delta []byte
	var sum int64
	for b.Loop() {
		b.StopTimer()
		for e := range event(keys) {
			state, _ := s.Upsert(ops.Hash(e.key()), e.key())
			*state += int64(e)
		}
		b.StartTimer()
		out, mark, err := s.Capture(delta[:0])
		if err != nil {
			b.Fatal(err)
		}
		for _, state := range s.All {
			sum += *state
		}
		s.Sealed(mark)
		delta = out
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/capture")
	b.ReportMetric(float64(len(delta))/keys, "B/key")
}

// BenchmarkLoad measures what a vnode of a 256th of two million keys does with its sealed base when it is restored.
func BenchmarkLoad(b *testing.B) {
	const keys = 2 * benchKeys / benchVnodes
	ops := vnode.NewKeyOps[int64]()
	from := vnode.NewSlice(ops, vnode.CBOR[[96]byte]())
	for e := range event(keys) {
		from.Upsert(ops.Hash(e.key()), e.key())
	}
	delta, _, err := from.Capture(nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s := vnode.NewSlice(ops, vnode.CBOR[[96]byte]())
		if err := s.Load(delta); err != nil || s.Len() != keys {
			b.Fatal(s.Len(), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
	b.ReportMetric(0, "ns/op")
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/record")
	b.ReportMetric(0, "ns/op")
}
