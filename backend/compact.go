package backend

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// Compaction keeps chains short and the store small, beside the vnodes, which only ever write what changed. It folds
// when one of two bounds is passed, and then enough that the work is paid for by what was written since the last:
//
//   - what is not live outweighs half of what is: everything is folded. How much is live is estimated from below, as if
//     every entry of a delta stood for one in the bases, and all values were of one size. It waits until there is more
//     than [CompactionPolicy.Slack] to win;
//   - the deltas are as many as a chain may have: from the oldest on that weighs less than all newer ones together.
//
// A fold takes time, in which epochs go on. Where that would take them past a harder bound, no epoch is opened before the
// fold is there to enter with it (see [Overdue]): so what a record names is at most twice the live state, or wastes about
// the slack, and no chain is longer than four thirds of [CompactionPolicy.MaxChain] (I8).

// CompactionPolicy bounds what compaction lets grow.
type CompactionPolicy struct {
	MaxChain int   // segments in a chain that is to be folded; default 12, at least 3
	Slack    int64 // bytes that may be wasted without a fold; default 256 KiB
}

func (p CompactionPolicy) withDefaults() CompactionPolicy {
	if p.MaxChain == 0 {
		p.MaxChain = 12
	}
	if p.Slack == 0 {
		p.Slack = 256 << 10
	}
	p.MaxChain = max(p.MaxChain, 3)
	return p
}

// FoldPlan says what to fold: of each vnode, the segments among these that need it in the record planned on.
type FoldPlan struct {
	Vnodes   vnode.Set
	Segments []SegmentRef // in the order of the record
}

// weight is a segment as far as it matters to a set of vnodes.
type weight struct {
	place               int
	base, newest        bool
	live, dead, entries int64 // dead: of no use to any vnode any more, nor to the newest epoch's emission
}

// weigh weighs the segments of the record that any of these vnodes needs.
func weigh(rec *Record, vnodes vnode.Set) []weight {
	var all []weight
	for i := range rec.Segments {
		s := &rec.Segments[i]
		ours, needed := int64(len(shared(s.Vnodes, vnodes))), int64(s.Vnodes.Len())
		if ours == 0 {
			continue
		}
		share := func(n int64) int64 { return n * ours / needed }
		w := weight{place: i, base: s.From == 0, newest: s.Through == rec.Epoch, live: share(s.Live), entries: share(s.Entries)}
		if !w.newest {
			w.dead = share(s.Size - s.Live)
		}
		all = append(all, w)
	}
	return all
}

// shared lists the vnodes that are in both sets.
func shared(a, b vnode.Set) []vnode.ID {
	var both []vnode.ID
	for v := range a.All {
		if b.Has(v) {
			both = append(both, v)
		}
	}
	return both
}

// total adds weights up.
func total(all []weight) weight {
	var t weight
	for _, w := range all {
		t.live, t.dead, t.entries = t.live+w.live, t.dead+w.dead, t.entries+w.entries
	}
	return t
}

// burden is what the chains of some vnodes weigh together.
type burden struct {
	all, bases, changes []weight
	live                int64 // at least that much of it is
	waste               int64 // the rest
	chain               int   // at most that long
}

func burdenOf(all []weight) burden {
	x := burden{all: all}
	for _, w := range all {
		if w.base {
			x.bases = append(x.bases, w)
		} else {
			x.changes = append(x.changes, w)
		}
	}
	b, d := total(x.bases), total(x.changes)
	if b.entries > 0 {
		replaced := float64(b.live) * float64(d.entries) / float64(b.entries)
		x.live = max(0, b.live+d.live-int64(replaced))
	}
	x.waste = b.live + b.dead + d.live + d.dead - x.live
	x.chain = max(len(x.changes)+1, len(x.bases))
	return x
}

// outweighed reports whether everything is to be folded for what that wins.
func (x *burden) outweighed(p CompactionPolicy) bool { return 2*x.waste > x.live && x.waste > p.Slack }

// PlanCompaction says whether anything of these vnodes is to be folded, and what. Fewer vnodes make smaller folds: the
// chains of disjoint sets have nothing to do with each other.
func PlanCompaction(rec *Record, vnodes vnode.Set, policy CompactionPolicy) (FoldPlan, bool) {
	policy = policy.withDefaults()
	x := burdenOf(weigh(rec, vnodes))
	full := x.chain >= policy.MaxChain
	switch {
	case x.outweighed(policy):
		return planOf(rec, vnodes, x.all), true
	case full && (x.live+x.waste <= policy.Slack || len(x.bases) >= policy.MaxChain):
		return planOf(rec, vnodes, x.all), true
	case full:
		return planOf(rec, vnodes, lightTail(x.changes)), true
	}
	return FoldPlan{}, false
}

// Overdue reports whether the fold that [PlanCompaction] plans for these vnodes, which must be those of one instance, must
// enter with the next epoch: one more delta like the last could take what is stored past twice what is live, or a chain
// past its bound.
func Overdue(rec *Record, vnodes vnode.Set, policy CompactionPolicy) bool {
	policy = policy.withDefaults()
	x := burdenOf(weigh(rec, vnodes))
	var last int64
	for _, w := range x.all {
		if w.newest {
			last += w.live
		}
	}
	most := policy.MaxChain + policy.MaxChain/3
	return x.chain >= most && longestOf(rec, vnodes) >= most ||
		x.outweighed(policy) && x.waste+last > x.live
}

// longestOf is the longest chain of any of these vnodes. They may come from several owners, each with segments of its own:
// then the chain of no vnode is as long as all of those together.
func longestOf(rec *Record, vnodes vnode.Set) int {
	chains := make([]int, rec.Identity.Capacity)
	for i := range rec.Segments {
		for _, v := range shared(rec.Segments[i].Vnodes, vnodes) {
			chains[v]++
		}
	}
	return slices.Max(chains)
}

// lightTail returns the newest segments, from the oldest on that weighs less than all newer ones together; half of
// them if there is none such. At least two.
func lightTail(changes []weight) []weight {
	for i := range len(changes) - 1 {
		if changes[i].live < total(changes[i+1:]).live {
			return changes[i:]
		}
	}
	return changes[min(len(changes)/2, len(changes)-2):]
}

func planOf(rec *Record, vnodes vnode.Set, weights []weight) FoldPlan {
	var p FoldPlan
	for _, w := range weights {
		s := rec.Segments[w.place]
		s.Vnodes = s.Vnodes.Clone()
		p.Segments = append(p.Segments, s)
		for _, v := range shared(s.Vnodes, vnodes) {
			p.Vnodes.Add(v)
		}
	}
	return p
}

// FoldName names the segment of a fold, once its content stands.
type FoldName struct {
	Epoch  vnode.Epoch // above all sealed ones; the later it is asked for, the longer the fold may enter
	ID     uuid.UUID
	Writer vnode.Member
}

// Compact carries out a plan made on rec and puts the segment, if anything is left to put. One part of the vnodes is
// in memory at a time, beside the compressed result. name is called when all is folded.
func Compact(ctx context.Context, objects Objects, rec *Record, plan FoldPlan, name func() FoldName) (*Fold, error) {
	return new(Packer).Compact(ctx, objects, rec, plan, name)
}

// Compact is the function of that name, in memory that the packer uses again. After an error the packer must not be used any
// more: a request that was given up on may still be reading its bytes.
func (p *Packer) Compact(ctx context.Context, objects Objects, rec *Record, plan FoldPlan, name func() FoldName) (*Fold, error) {
	f, err := newFolder(ctx, objects, rec, plan, p)
	if err != nil {
		return nil, fmt.Errorf("compact behind epoch %d: %w", rec.Epoch, err)
	}
	defer f.builder.wait()
	for _, part := range f.chains.split(foldBytes) {
		if err := f.chains.load(ctx, part, f.add); err != nil {
			return nil, fmt.Errorf("compact behind epoch %d: %w", rec.Epoch, err)
		}
	}
	n := name()
	seg, err := f.builder.finish(SegmentMeta{
		Kind: SegmentFold, Epoch: n.Epoch, Through: plan.Segments[len(plan.Segments)-1].Through,
		Writer: n.Writer, ID: n.ID, Capacity: rec.Identity.Capacity, App: rec.Identity.App,
	})
	if err != nil {
		return nil, fmt.Errorf("compact behind epoch %d: %w", rec.Epoch, err)
	}
	f.fold.Ref = seg.Ref
	if seg.Ref.Vnodes.Len() > 0 {
		if err := seg.Put(ctx, objects); err != nil {
			return nil, err
		}
	}
	return f.fold, nil
}

// foldBytes is how much of the slices is in memory at once, uncompressed, unless a single vnode takes more.
const foldBytes = 16 << 20

// folder folds the chains of a plan, one vnode after another.
type folder struct {
	chains  *chains
	builder *segmentBuilder
	fold    *Fold
	runs    map[int]*FoldedRun // by place in the record
	seen    keySet
}

func newFolder(ctx context.Context, objects Objects, rec *Record, plan FoldPlan, packer *Packer) (*folder, error) {
	f := &folder{fold: &Fold{Runs: make([]FoldedRun, len(plan.Segments))}, runs: map[int]*FoldedRun{}, seen: keySet{}}
	for i, s := range plan.Segments {
		place := slices.IndexFunc(rec.Segments, func(r SegmentRef) bool { return r.same(&s) })
		if place < 0 {
			return nil, fmt.Errorf("%s does not name segment %s of the plan", recordKey(rec.Seq), s.Key())
		}
		f.fold.Runs[i].Segment = s
		f.runs[place] = &f.fold.Runs[i]
	}
	run := func(v vnode.ID) []int {
		return slices.DeleteFunc(rec.Chain(v), func(place int) bool { return f.runs[place] == nil })
	}
	var err error
	restorer := Restorer{Objects: objects, Record: rec}
	if f.chains, err = restorer.open(ctx, slices.Collect(plan.Vnodes.All), run); err != nil {
		return nil, err
	}
	f.chains.atOnce = 1 // it may take its time, and the processors are others'
	if slices.ContainsFunc(f.chains.of, func(run []int) bool { return len(run) == 0 }) {
		return nil, fmt.Errorf("the plan was not made on %s", recordKey(rec.Seq))
	}
	f.builder, err = packer.begin(len(f.chains.vnodes))
	return f, err
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
