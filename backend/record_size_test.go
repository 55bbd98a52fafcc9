package backend_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// maxRecordObject is what a record's object may take at 4,096 vnodes and 3 instances, so that an append stays cheap.
const maxRecordObject = 64 << 10

// shape is what makes a record large.
type shape struct {
	instances, segments  int // segments of each instance: a chain at its bound, and a base
	sources, producers   int
	pins                 int
	changed              float64 // share of an instance's vnodes that an epoch changes, so that its segment is needed
	restarts             uint64  // of a vnode's lives
	interleaved, renamed bool    // vnodes go to instances at random; names have nothing in common
}

// TestRecordsStaySmall measures records of 4,096 vnodes: one as they are, and the worst in which every bound is reached
// and nothing can be compressed.
func TestRecordsStaySmall(t *testing.T) {
	codec := newCodec(t)
	for name, x := range map[string]shape{
		"usual, one instance":      {instances: 1, segments: 12, sources: 16, producers: 4, pins: 2, changed: 1, restarts: 1},
		"usual, three instances":   {instances: 3, segments: 12, sources: 64, producers: 16, pins: 4, changed: 1, restarts: 1},
		"scattered, after moves":   {instances: 3, segments: 16, sources: 64, producers: 64, pins: 16, changed: .5, restarts: 4096, interleaved: true},
		"a thousand sources":       {instances: 3, segments: 16, sources: 1024, producers: 16, pins: 4, changed: .5, restarts: 16},
		"every bound, no patterns": {instances: 3, segments: 16, sources: 256, producers: 256, pins: backend.MaxPins, changed: .5, restarts: 1 << 20, interleaved: true, renamed: true},
	} {
		size := len(mustEncode(t, codec, x.record()))
		t.Logf("%s: %d bytes", name, size)
		if size > maxRecordObject {
			t.Errorf("%s: the record has %d bytes, want at most %d", name, size, maxRecordObject)
		}
	}
}

func (x shape) record() *backend.Record {
	const capacity = 4096
	r := rand.New(rand.NewPCG(1, 2))
	id := func() (id uuid.UUID) {
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		return id
	}
	digest := func() (d backend.Digest) {
		a, b := id(), id()
		copy(d[:16], a[:])
		copy(d[16:], b[:])
		return d
	}
	name := func(kind string, i int) string {
		if x.renamed {
			return fmt.Sprintf("%04d-%s", i, id())
		}
		return fmt.Sprintf("%s-%04d", kind, i)
	}
	attempt := vnode.Attempt{Term: 7, Number: 100_000, Version: 12}
	rec := goldenRecord()
	rec.Identity.Capacity, rec.Identity.Parent, rec.Seq, rec.Attempt, rec.Epoch, rec.High = capacity, nil, 200_000, attempt, 100_000, 100_000
	rec.Assignment = vnode.Assignment{Version: 12, Owners: make([]int, capacity)}
	rec.Tips, rec.Segments, rec.Cuts, rec.Producers, rec.Pins = make([]vnode.SliceID, capacity), nil, nil, nil, nil
	for i := range x.instances {
		rec.Assignment.Members = append(rec.Assignment.Members, vnode.Member{Instance: fmt.Sprint("node-", i), Incarnation: id()})
	}
	for v := range capacity {
		o := v * x.instances / capacity
		if x.interleaved {
			o = r.IntN(x.instances)
		}
		rec.Assignment.Owners[v] = o
		rec.Tips[v] = vnode.SliceID{Life: vnode.Life{Incarnation: rec.Assignment.Members[o].Incarnation, N: 1 + r.Uint64N(x.restarts)}, Attempt: attempt}
	}
	for i := range x.segments {
		for m, member := range rec.Assignment.Members {
			through := rec.Epoch - vnode.Epoch(x.segments-1-i)
			s := backend.SegmentRef{
				Epoch: through, Instance: member.Instance, ID: id(), Size: r.Int64N(1 << 30), Footer: digest(),
				From: through - 1, Through: through, Live: r.Int64N(1 << 30), Entries: r.Int64N(1 << 24),
			}
			s.ID[0] = byte(m) // their order
			for v, o := range rec.Assignment.Owners {
				if o == m && r.Float64() < x.changed {
					s.Vnodes.Add(vnode.ID(v))
				}
			}
			rec.Segments = append(rec.Segments, s)
		}
	}
	for i := range x.sources {
		source := name("source", i)
		rec.Cuts = append(rec.Cuts, backend.Cut{Source: source, At: r.Uint64N(1 << 40)})
		rec.Assignment.Sources = append(rec.Assignment.Sources, vnode.SourceOwner{Source: source, Owner: r.IntN(x.instances)})
	}
	for i := range x.producers {
		rec.Producers = append(rec.Producers, backend.ProducerName{Name: name("producer", i), Generation: r.Uint64N(1 << 20)})
	}
	for i := range x.pins {
		rec.Pins = append(rec.Pins, backend.Pin{Name: name("pin", i), Seq: r.Uint64N(rec.Seq), Digest: digest(), Epoch: vnode.Epoch(r.Uint64N(100_000))})
	}
	return rec
}
