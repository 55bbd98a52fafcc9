package backend

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"unsafe"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// FoldName names the segment of a fold, once its content stands.
type FoldName struct {
	Epoch  vnode.Epoch // above all sealed ones; the later it is asked for, the longer the fold may enter
	ID     uuid.UUID
	Writer vnode.Member
}

// Compact carries out plans made on rec, and puts a segment for each of which anything is left to put. 16 MiB of the slices
// are in memory at a time, beside the compressed result of a plan. For each plan, name is called once all of that is folded,
// and made when its segment stands.
func Compact(ctx context.Context, objects Objects, rec *Record, plans []FoldPlan, name func() (FoldName, error), made func(*Fold)) error {
	return new(Packer).Compact(ctx, objects, rec, plans, name, made)
}

// Compact is the function of that name, in memory that the packer uses again. After an error the packer must not be used any
// more: a request that was given up on may still be reading its bytes.
func (p *Packer) Compact(
	ctx context.Context, objects Objects, rec *Record, plans []FoldPlan, name func() (FoldName, error), made func(*Fold),
) error {
	folders := make([]*folder, len(plans))
	for i := range plans {
		var err error
		if folders[i], err = newFolder(rec, &plans[i]); err != nil {
			return fmt.Errorf("compact behind epoch %d: %w", rec.Epoch, err)
		}
	}
	open, err := openPlans(ctx, Restorer{Objects: objects, Record: rec}, folders)
	if err != nil {
		return fmt.Errorf("compact behind epoch %d: %w", rec.Epoch, err)
	}
	for i, f := range folders {
		f.chains = open.only(plans[i].Vnodes)
		seg, err := f.fill(ctx, p, name)
		if err != nil {
			return fmt.Errorf("compact behind epoch %d: %w", rec.Epoch, err)
		}
		if seg.Ref.Vnodes.Len() > 0 {
			if err := seg.Put(ctx, objects); err != nil {
				return err
			}
		}
		made(f.fold)
	}
	return nil
}

// foldBytes is how much of the slices is in memory at once, uncompressed, unless a single vnode takes more.
const foldBytes = 16 << 20

// folder folds the chains of a plan, one vnode after another.
type folder struct {
	plan    *FoldPlan
	chains  *chains
	builder *segmentBuilder
	fold    *Fold
	runs    map[int]*FoldedRun // by place in the record
	seen    keySet
}

func newFolder(rec *Record, plan *FoldPlan) (*folder, error) {
	f := &folder{plan: plan, fold: &Fold{Runs: make([]FoldedRun, len(plan.Segments))}, runs: map[int]*FoldedRun{}, seen: keySet{}}
	for i, s := range plan.Segments {
		place := slices.IndexFunc(rec.Segments, func(r SegmentRef) bool { return r.same(&s) })
		if place < 0 {
			return nil, fmt.Errorf("%s does not name segment %s of the plan", recordKey(rec.Seq), s.Key())
		}
		f.fold.Runs[i].Segment = s
		f.runs[place] = &f.fold.Runs[i]
	}
	return f, nil
}

// openPlans opens what all folders need, each segment once.
func openPlans(ctx context.Context, r Restorer, folders []*folder) (*chains, error) {
	of := map[vnode.ID]*folder{}
	for _, f := range folders {
		for v := range f.plan.Vnodes.All {
			of[v] = f
		}
	}
	open, err := r.open(ctx, slices.Collect(maps.Keys(of)), func(v vnode.ID) []int {
		return slices.DeleteFunc(r.Record.Chain(v), func(place int) bool { return of[v].runs[place] == nil })
	})
	if err != nil {
		return nil, err
	}
	open.atOnce = 1 // it may take its time, and the processors are others'
	if slices.ContainsFunc(open.of, func(run []int) bool { return len(run) == 0 }) {
		return nil, fmt.Errorf("the plan was not made on %s", recordKey(r.Record.Seq))
	}
	return open, nil
}

// fill folds all of the plan into a segment, which is the packer's until it makes the next.
func (f *folder) fill(ctx context.Context, packer *Packer, name func() (FoldName, error)) (seg Segment, err error) {
	if f.builder, err = packer.begin(len(f.chains.vnodes)); err != nil {
		return seg, err
	}
	defer f.builder.wait()
	for _, part := range f.chains.split(foldBytes) {
		if err := f.chains.load(ctx, part, f.add); err != nil {
			return seg, err
		}
	}
	rec := f.chains.record
	n, err := name()
	if err != nil {
		return seg, err
	}
	seg, err = f.builder.finish(SegmentMeta{
		Kind: SegmentFold, Epoch: n.Epoch, Through: f.plan.Segments[len(f.plan.Segments)-1].Through,
		Writer: n.Writer, ID: n.ID, Capacity: rec.Identity.Capacity, App: rec.Identity.App,
	})
	f.fold.Ref = seg.Ref
	return seg, err
}

// add folds the run of one vnode.
func (f *folder) add(s RestoredSlice) error {
	i, _ := slices.BinarySearch(f.chains.vnodes, s.Vnode)
	run := f.chains.of[i]
	chain := f.chains.record.Chain(s.Vnode)
	base := chain[0] == run[0]
	if base {
		f.fold.Bases.Add(s.Vnode)
	}
	for _, place := range run {
		f.runs[place].take(f.chains.readers[place], s.Vnode)
	}
	delta, entries, err := foldDeltas(s.Deltas, f.seen, base)
	if err != nil {
		return fmt.Errorf("vnode %d: %w", s.Vnode, err)
	}
	first, _ := f.chains.readers[run[0]].Slice(s.Vnode)
	last, _ := f.chains.readers[run[len(run)-1]].Slice(s.Vnode)
	c := Capture{Vnode: s.Vnode, Slice: last.Slice, Base: first.Base, Entries: entries, Positions: s.Positions, Delta: delta}
	if base {
		c.Base, first.From = vnode.SliceID{}, 0
	}
	return f.builder.add(c, first.From)
}

// take notes that a vnode of the segment is folded.
func (r *FoldedRun) take(s *SegmentReader, v vnode.ID) {
	info, _ := s.Slice(v)
	r.Vnodes.Add(v)
	r.Entries += int64(info.Entries)
	if p := info.bytes[deltas]; p.size > 0 {
		f := s.index.frames[deltas][p.frame]
		r.Live += int64(float64(f.stored) * float64(p.size) / float64(f.raw))
	}
}

// foldDeltas folds deltas, oldest first, into one: of each key its newest entry. Tombstones have done their work only
// if nothing is below the oldest delta; else they stay, also for keys that the folded deltas never held (I2).
func foldDeltas(list [][]byte, seen keySet, base bool) (delta []byte, entries int, err error) {
	size := 0
	for _, d := range list {
		size += len(d)
	}
	delta = make([]byte, 0, size)
	err = newestEntries(list, seen, func(e vnode.Entry) {
		if !e.Deleted || !base {
			delta = vnode.AppendEntry(delta, e)
			entries++
		}
	})
	return delta, entries, err
}

// yieldEvery is how many entries are folded until others may run: a vnode that waits for a processor waits for some ten
// microseconds, not for the ten milliseconds after which the runtime would step in.
const yieldEvery = 256

// keySet is keys that were met. Its strings are made of the deltas themselves: it is cleared before these go.
type keySet map[string]struct{}

// newestEntries calls yield for the newest entry of each key, tombstones too. It uses seen for that, and leaves it
// empty.
func newestEntries(list [][]byte, seen keySet, yield func(vnode.Entry)) error {
	defer clear(seen)
	n := 0
	for i, rest := range slices.Backward(list) {
		for len(rest) > 0 {
			var e vnode.Entry
			var err error
			if e, rest, err = vnode.NextEntry(rest); err != nil {
				return err
			}
			if n++; n%yieldEvery == 0 {
				runtime.Gosched()
			}
			key := unsafe.String(unsafe.SliceData(e.Key), len(e.Key))
			if _, newer := seen[key]; newer {
				continue
			}
			if i > 0 {
				seen[key] = struct{}{}
			}
			yield(e)
		}
	}
	return nil
}
