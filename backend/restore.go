package backend

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/sheaf-go/sheaf/vnode"
)

// Restorer reads what a record has sealed. Its zero limits work.
type Restorer struct {
	Objects  Objects
	Record   *Record
	Parallel int   // parts in work at once, and segments that each of them reads at once; default 8
	Bytes    int64 // of uncompressed slices in work at once, unless a single slice takes more; default 64 MiB
}

// RestoredSlice is the sealed slice of a vnode, in the parts in which it was written.
type RestoredSlice struct {
	Vnode     vnode.ID
	Slice     vnode.SliceID   // newest sealed
	Deltas    [][]byte        // of the chain, oldest first; owned by whoever gets them
	Positions vnode.Positions // of plain producers; nil if there are none
	Continues bool            // Deltas go on top of what was loaded before (see [Restorer.Continue]); else they are all
	Loaded    Loaded          // what a slice holds that has them; it shares Positions
}

// Size is the number of bytes in all deltas.
func (s RestoredSlice) Size() int {
	n := 0
	for _, d := range s.Deltas {
		n += len(d)
	}
	return n
}

// Apply calls apply for every entry of every delta, oldest first: a later entry of a key replaces an earlier one.
func (s RestoredSlice) Apply(apply func(vnode.Entry) error) error {
	for _, rest := range s.Deltas {
		for len(rest) > 0 {
			var e vnode.Entry
			var err error
			if e, rest, err = vnode.NextEntry(rest); err != nil {
				return fmt.Errorf("restore vnode %d: %w", s.Vnode, err)
			}
			if err := apply(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// Restore reads the sealed slices of these vnodes and calls yield once for each, from several goroutines at once and
// in no order. It returns the first error, its own or that of yield, after all goroutines have ended.
func (r Restorer) Restore(ctx context.Context, vnodes []vnode.ID, yield func(RestoredSlice) error) error {
	anew := make(map[vnode.ID]Loaded, len(vnodes))
	for _, v := range vnodes {
		anew[v] = Loaded{}
	}
	return r.Continue(ctx, anew, yield)
}

// Partials returns the partials of the record's sealed epoch by vnode; none at epoch 0.
func (r Restorer) Partials(ctx context.Context) ([][]byte, error) {
	if r.Record.Epoch == 0 {
		return nil, nil
	}
	found := make([]bool, r.Record.Identity.Capacity)
	all := make([][]byte, r.Record.Identity.Capacity)
	readers, err := r.openAll(ctx, func(s *SegmentRef) bool { return s.Through == r.Record.Epoch })
	if err != nil {
		return nil, fmt.Errorf("read the partials of epoch %d: %w", r.Record.Epoch, err)
	}
	for _, s := range readers {
		if s == nil {
			continue
		}
		err := s.Partials(ctx, func(slice SliceInfo, partial []byte) error {
			if slice.Slice == r.Record.Tips[slice.Vnode] {
				found[slice.Vnode], all[slice.Vnode] = true, partial
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the partials of epoch %d: %w", r.Record.Epoch, err)
		}
	}
	if v := slices.Index(found, false); v >= 0 {
		return nil, &CorruptError{Object: recordKey(r.Record.Seq), Reason: fmt.Sprintf("no segment that it names holds slice %v of vnode %d", r.Record.Tips[v], v)}
	}
	return all, nil
}

func (r Restorer) parallel() int {
	if r.Parallel > 0 {
		return r.Parallel
	}
	return 8
}

func (r Restorer) bytes() int64 {
	if r.Bytes > 0 {
		return r.Bytes
	}
	return 64 << 20
}

// chains reads the chains of some vnodes, or parts of them.
type chains struct {
	record  *Record
	vnodes  []vnode.ID       // ascending
	of      [][]int          // by vnodes: its segments, as places in the record
	readers []*SegmentReader // by place; nil where no chain passes
	atOnce  int              // segments that are read at once
}

// open opens every segment that the chains of these vnodes pass, and checks that they are chains of this record.
func (r Restorer) open(ctx context.Context, vnodes []vnode.ID, chain func(vnode.ID) []int) (*chains, error) {
	c := &chains{record: r.Record, vnodes: slices.Clone(vnodes), atOnce: r.parallel()}
	slices.Sort(c.vnodes)
	c.vnodes = slices.Compact(c.vnodes)
	passed := map[*SegmentRef]bool{}
	for _, v := range c.vnodes {
		if int(v) >= r.Record.Identity.Capacity {
			return nil, fmt.Errorf("vnode %d in a store of %d", v, r.Record.Identity.Capacity)
		}
		c.of = append(c.of, chain(v))
		for _, place := range c.of[len(c.of)-1] {
			passed[&r.Record.Segments[place]] = true
		}
	}
	var err error
	if c.readers, err = r.openAll(ctx, func(s *SegmentRef) bool { return passed[s] }); err != nil {
		return nil, err
	}
	return c, c.check()
}

// only are the chains of some of the vnodes.
func (c *chains) only(vnodes vnode.Set) *chains {
	some := *c
	some.vnodes, some.of = nil, nil
	for i, v := range c.vnodes {
		if vnodes.Has(v) {
			some.vnodes, some.of = append(some.vnodes, v), append(some.of, c.of[i])
		}
	}
	return &some
}

// openAll opens the wanted segments of the record; the others are nil.
func (r Restorer) openAll(ctx context.Context, want func(*SegmentRef) bool) ([]*SegmentReader, error) {
	d, err := newSegmentDecoder()
	if err != nil {
		return nil, err
	}
	readers := make([]*SegmentReader, len(r.Record.Segments))
	err = inParallel(ctx, r.parallel(), len(readers), func(ctx context.Context, i int) error {
		ref := &r.Record.Segments[i]
		if !want(ref) {
			return nil
		}
		s, err := openSegment(ctx, r.Objects, *ref, recordKey(r.Record.Seq), d)
		if err != nil {
			return err
		}
		readers[i] = s
		return s.checkIdentity(r.Record.Identity)
	})
	return readers, err
}

// checkIdentity refuses a segment of another store (I10).
func (s *SegmentReader) checkIdentity(want Identity) error {
	m := s.index.meta
	switch {
	case m.Capacity != want.Capacity:
		return fmt.Errorf("segment %s: %w", s.ref.Key(), &ForeignError{Key: "vnode_capacity", Store: strconv.Itoa(m.Capacity), Want: strconv.Itoa(want.Capacity)})
	case m.App != want.App:
		return fmt.Errorf("segment %s: %w", s.ref.Key(), &ForeignError{Key: "app", Store: m.App, Want: want.App})
	}
	return nil
}

// check compares what the segments say with what the record needs them for.
func (c *chains) check() error {
	for i, v := range c.vnodes {
		if err := checkChain(c.record, v, c.of[i], c.readers); err != nil {
			return err
		}
	}
	return nil
}

// checkChain makes sure that the segments hold slices of v, in the order of time and none newer than its tip.
func checkChain(rec *Record, v vnode.ID, chain []int, readers []*SegmentReader) error {
	tip, through := rec.Tips[v], vnode.Epoch(0)
	for _, place := range chain {
		s := readers[place]
		info, ok := s.Slice(v)
		switch {
		case !ok || !info.needed():
			return s.corrupt("%s needs it for vnode %d, of which it holds nothing", recordKey(rec.Seq), v)
		case s.index.meta.Through <= through || info.From >= s.index.meta.Through:
			return s.corrupt("its slice of vnode %d covers epochs (%d, %d], behind one that ends at %d", v, info.From, s.index.meta.Through, through)
		case info.Slice != tip && info.Slice.Attempt.Number >= tip.Attempt.Number:
			return s.corrupt("it holds slice %v of vnode %d, the newest in %s is %v", info.Slice, v, recordKey(rec.Seq), tip)
		}
		through = s.index.meta.Through
	}
	return nil
}

// part is a run of vnodes that are read together: places in chains.vnodes.
type part struct{ begin, end int }

// split cuts the vnodes into parts of at most limit bytes, or of one vnode.
func (c *chains) split(limit int64) []part {
	var parts []part
	at, size := 0, int64(0)
	for i := range c.vnodes {
		n := c.size(i)
		if i > at && size+n > limit {
			parts = append(parts, part{at, i})
			at, size = i, 0
		}
		size += n
	}
	if at < len(c.vnodes) {
		parts = append(parts, part{at, len(c.vnodes)})
	}
	return parts
}

// size is the number of bytes in the chain of a vnode, uncompressed.
func (c *chains) size(i int) int64 {
	n := int64(0)
	for _, place := range c.of[i] {
		info, _ := c.readers[place].Slice(c.vnodes[i])
		n += int64(info.bytes[deltas].size)
	}
	return n
}

// load reads the chains of a part and calls yield for each vnode, in ascending order. It reads up to c.atOnce segments at
// once: a store may take long to answer, and a chain passes many.
func (c *chains) load(ctx context.Context, p part, yield func(RestoredSlice) error) error {
	lists := make([][]SliceInfo, len(c.readers))
	var places []int // of the segments that the part passes
	for i, v := range c.vnodes[p.begin:p.end] {
		for _, place := range c.of[p.begin+i] {
			info, _ := c.readers[place].Slice(v)
			if lists[place] == nil {
				places = append(places, place)
			}
			lists[place] = append(lists[place], info)
		}
	}
	slices.Sort(places)
	read := make([][][]byte, len(places))
	err := inParallel(ctx, c.atOnce, len(places), func(ctx context.Context, i int) error {
		return c.readers[places[i]].each(ctx, deltas, lists[places[i]], func(_ SliceInfo, delta []byte) error {
			read[i] = append(read[i], delta)
			return nil
		})
	})
	if err != nil {
		return err
	}
	out := make([]RestoredSlice, p.end-p.begin)
	for i := range out {
		v := c.vnodes[p.begin+i]
		out[i] = RestoredSlice{Vnode: v, Slice: c.record.Tips[v]}
	}
	for i, place := range places {
		c.readers[place].link(lists[place], read[i], out)
	}
	for i := range out {
		if err := yield(out[i]); err != nil {
			return err
		}
	}
	return nil
}

// link adds this segment's slices, and their deltas, to the chains of their vnodes. All are ascending by vnode.
func (s *SegmentReader) link(list []SliceInfo, read [][]byte, out []RestoredSlice) {
	next := 0
	for i, info := range list {
		for out[next].Vnode != info.Vnode {
			next++
		}
		if len(read[i]) > 0 {
			out[next].Deltas = append(out[next].Deltas, read[i])
		}
		if p := s.Positions(info); p != nil {
			out[next].Positions = p
		}
	}
}

// inParallel calls do for 0 to n-1 from at most workers goroutines, and returns the first error once all have ended.
func inParallel(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var busy sync.WaitGroup
	for range min(workers, n) {
		busy.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	busy.Wait()
	return context.Cause(ctx)
}
