package backend_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// benchCaptures holds counters by route and day, as a job on flights has them: about 11 MB in 256 vnodes.
func benchCaptures(epoch uint64) ([]backend.Capture, int64) {
	const capacity, keys = 256, 500_000
	captures, size := make([]backend.Capture, capacity), int64(0)
	for v := range captures {
		captures[v] = backend.Capture{Vnode: vnode.ID(v), Slice: sliceOf(epoch), Base: sliceOf(epoch - 1)}
	}
	for i := range keys {
		c := &captures[i*2654435761>>8%capacity]
		day := time.Date(2001, 1, 1+i%180, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		key := fmt.Appendf(nil, "%c%c%c-ORD-%s", 'A'+i%26, 'A'+i/26%26, 'A'+i/676%26, day)
		c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: key, Value: []byte{0x82, byte(i % 24), 0x19, byte(i >> 7), byte(i * 31)}})
		c.Entries++
	}
	for v := range captures {
		size += int64(len(captures[v].Delta))
	}
	return captures, size
}

func BenchmarkEncodeSegment(b *testing.B) {
	captures, size := benchCaptures(1)
	meta := segmentMeta(256, 1)
	b.SetBytes(size)
	b.ReportAllocs()
	stored := int64(0)
	for b.Loop() {
		stored = encodeSegment(b, meta, captures).Ref.Size
	}
	b.ReportMetric(float64(stored)/float64(size), "stored/raw")
}

// BenchmarkEncodeTinySegment is what an epoch costs in which 4,096 vnodes changed a key each.
func BenchmarkEncodeTinySegment(b *testing.B) {
	var captures []backend.Capture
	for v := range 4096 {
		captures = append(captures, captureOf(v, 1, 1, 8))
	}
	meta := segmentMeta(4096, 1)
	b.ReportAllocs()
	for b.Loop() {
		encodeSegment(b, meta, captures)
	}
}

func BenchmarkRestore(b *testing.B) {
	captures, size := benchCaptures(1)
	s := newChainStore(b, 256)
	s.seal(b, captures...)
	all := make([]vnode.ID, 256)
	for v := range all {
		all[v] = vnode.ID(v)
	}
	ref := s.newest().Segments[0]
	b.SetBytes(size)
	b.ReportAllocs()
	var limit time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := s.objects.Get(b.Context(), ref.Key(), backend.Range{}); err != nil {
			b.Fatal(err)
		}
		limit += time.Since(begin)
		r := backend.Restorer{Objects: s.objects, Record: s.newest()}
		if err := r.Restore(context.Background(), all, func(backend.RestoredSlice) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(limit.Microseconds())/float64(b.N), "µs/plain-read")
}

func BenchmarkCompact(b *testing.B) {
	captures, size := benchCaptures(1)
	s := newChainStore(b, 256)
	s.seal(b, captures...)
	for e := uint64(2); e <= 8; e++ {
		changed, _ := benchCaptures(e)
		for v := range changed {
			c := &changed[v]
			c.Delta = bytes.Clone(c.Delta[:0])
			c.Entries = 0
			for rest := captures[v].Delta; c.Entries < captures[v].Entries/8; c.Entries++ {
				var x vnode.Entry
				x, rest, _ = vnode.NextEntry(rest)
				c.Delta = vnode.AppendEntry(c.Delta, x)
			}
		}
		s.seal(b, changed...)
	}
	plans := backend.PlanCompaction(s.newest(), everyVnode(256), backend.CompactionPolicy{})
	if len(plans) == 0 {
		b.Fatal("nothing to fold")
	}
	b.SetBytes(size + size*7/8)
	b.ReportAllocs()
	for b.Loop() {
		for _, plan := range plans {
			s.compact(b, plan)
		}
	}
}
