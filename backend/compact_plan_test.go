package backend_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// planned is a record of segments, each of some vnodes, that nothing but plans looks at.
type planned struct{ rec *backend.Record }

func newPlanned(capacity int, epoch vnode.Epoch) planned {
	return planned{&backend.Record{Identity: backend.Identity{Capacity: capacity}, Epoch: epoch}}
}

func (p planned) add(from, through vnode.Epoch, size int64, vnodes ...vnode.ID) {
	var of vnode.Set
	for _, v := range vnodes {
		of.Add(v)
	}
	p.rec.Segments = append(p.rec.Segments, backend.SegmentRef{
		Epoch: through, From: from, Through: through, Vnodes: of, Size: size, Live: size, Entries: size / 100,
	})
}

func (p planned) plans(policy backend.CompactionPolicy) []backend.FoldPlan {
	return backend.PlanCompaction(p.rec, everyVnode(p.rec.Identity.Capacity), policy)
}

// A plan folds the oldest bases, and no more than a part, while the store may wait for the rest. Where it may not, it
// folds everything, a part for each segment.
func TestPlansFoldAPartAtATime(t *testing.T) {
	policy := backend.CompactionPolicy{Part: 200_000}
	record := func(changes int64) planned {
		p := newPlanned(8, 20)
		for i, v := range []vnode.ID{5, 2, 0, 7, 1, 3, 4, 6} { // by the age of their bases
			p.add(0, vnode.Epoch(i+1), 100_000, v)
		}
		all := slices.Collect(everyVnode(8).All)
		p.add(10, 19, changes, all...)
		p.add(19, 20, 80, all...)
		return p
	}
	if plans := record(300_000).plans(policy); len(plans) != 0 {
		t.Errorf("less than half is wasted: got %d plans, want none", len(plans))
	}
	policy.Slack = 1
	if plans := record(600_000).plans(policy); len(plans) != 1 || !slices.Equal(slices.Collect(plans[0].Vnodes.All), []vnode.ID{5}) || len(plans[0].Segments) != 3 {
		t.Errorf("more than half is wasted: got %+v, want the vnode with the oldest base", plans)
	}
	if plans := record(700_000).plans(policy); len(plans) != 4 || !plans[0].Vnodes.Has(0) || !plans[1].Vnodes.Has(2) || !plans[2].Vnodes.Has(5) || !plans[3].Vnodes.Has(7) {
		t.Errorf("more than three quarters are wasted: got %+v, want the vnodes of the four oldest bases", plans)
	}
	plans := record(900_000).plans(policy)
	if len(plans) != 8 {
		t.Errorf("more than all is wasted: got %d plans, want one for each of 8 parts", len(plans))
	}
	var seen vnode.Set
	for _, plan := range plans {
		for v := range plan.Vnodes.All {
			if seen.Has(v) {
				t.Errorf("vnode %d is in two plans", v)
			}
			seen.Add(v)
		}
	}
}

// However vnodes are shuffled between members, an instance does not collect more than 64 bases.
func TestPlansBoundTheNumberOfBases(t *testing.T) {
	p := newPlanned(100, 200)
	for v := range vnode.ID(100) {
		p.add(0, vnode.Epoch(v+1), int64(100+v), v)
		plans := p.plans(backend.CompactionPolicy{})
		if many := v >= 64; many != (len(plans) > 0) {
			t.Fatalf("with %d bases: got %d plans", v+1, len(plans))
		}
		if len(plans) > 0 && (len(plans[0].Segments) != int(v+1)/2 || plans[0].Segments[0].Size != 100) {
			t.Fatalf("with %d bases: %d are folded, the first of %d bytes; want the lightest half", v+1, len(plans[0].Segments), plans[0].Segments[0].Size)
		}
	}
}

// Where each epoch changes another vnode, chains stay short, and the number of segments is bounded all the same.
func TestPlansBoundTheSegmentsOfScatteredChanges(t *testing.T) {
	p := newPlanned(100, 200)
	p.add(0, 1, 10_000, slices.Collect(everyVnode(100).All)...)
	for i := range vnode.Epoch(11) {
		if plans := p.plans(backend.CompactionPolicy{Slack: 1}); len(plans) > 0 {
			t.Fatalf("with %d segments: got %+v, want none", len(p.rec.Segments), plans)
		}
		p.add(1, i+2, 10, vnode.ID(i))
	}
	if plans := p.plans(backend.CompactionPolicy{Slack: 1}); len(plans) != 1 || len(plans[0].Segments) < 6 {
		t.Errorf("with %d segments: got %+v, want the tail folded", len(p.rec.Segments), plans)
	}
}

// What a base holds of positions is written again by every fold, and so is no reason for one.
func TestPositionsAreNoWaste(t *testing.T) {
	const vnodes, producers = 256, 1000
	rec := &backend.Record{Identity: backend.Identity{Capacity: vnodes, App: "a"}, Epoch: 2}
	for i := range uint64(producers) {
		rec.Producers = append(rec.Producers, backend.ProducerName{Name: fmt.Sprint("producer-", i), Generation: i + 1})
	}
	var captures []backend.Capture
	attempt := vnode.Attempt{Term: 1, Number: 1, Version: 1}
	for v := range vnode.ID(vnodes) {
		positions := vnode.Positions{}
		for i, p := range rec.Producers {
			positions[p.Name] = vnode.Position{Generation: p.Generation, At: uint64(i*7919+int(v)*104729) % 100_000}
		}
		captures = append(captures, backend.Capture{
			Vnode: v, Slice: vnode.SliceID{Attempt: attempt}, Entries: 1, Positions: positions,
			Delta: vnode.AppendEntry(nil, vnode.Entry{Key: fmt.Append(nil, v), Value: []byte("value")}),
		})
	}
	segment, err := new(backend.Packer).Encode(backend.CaptureMeta(rec.Identity, attempt, vnode.Member{Instance: "a", Incarnation: uuid.New()}, uuid.New()), captures)
	if err != nil {
		t.Fatal(err)
	}
	rec.Segments = []backend.SegmentRef{segment.Ref}
	if segment.Ref.Size < 256<<10 || segment.Ref.Live > 64<<10 {
		t.Fatalf("the segment is of no use for this: %d bytes, %d live", segment.Ref.Size, segment.Ref.Live)
	}
	if plans := backend.PlanCompaction(rec, everyVnode(vnodes), backend.CompactionPolicy{}); len(plans) > 0 || backend.Overdue(rec, everyVnode(vnodes), backend.CompactionPolicy{}) {
		t.Errorf("a base of %d bytes, %d of them live, alone: got %d plans, want none", segment.Ref.Size, segment.Ref.Live, len(plans))
	}
}
