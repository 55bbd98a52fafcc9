package backend

import (
	"fmt"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// The chain of a vnode is the live segments that need it, oldest first. Applied in order to nothing they give the
// sealed slice. What stands at its beginning has nothing below it, so only there may tombstones go (I2).

// Chain returns the chain of v as places in r.Segments.
func (r *Record) Chain(v vnode.ID) []int {
	var chain []int
	for i := range r.Segments {
		if r.Segments[i].Vnodes.Has(v) {
			chain = append(chain, i)
		}
	}
	return chain
}

// LongestChain returns the length of the longest chain of any vnode (I8).
func (r *Record) LongestChain() int {
	longest := 0
	for v := range r.Tips {
		longest = max(longest, len(r.Chain(vnode.ID(v))))
	}
	return longest
}

// SealedCapture is the capture of one vnode that a seal takes: its slice, and the segment that holds it.
type SealedCapture struct {
	Slice   vnode.SliceID
	Segment *SegmentRef
}

// SealInto makes rec, which so far continues an older epoch, seal an attempt: epoch, attempt, tips and segments.
// Captures are by vnode, one for each. Of a segment only those vnodes are needed whose capture is taken from it.
// The segments of the epoch stay in this record, needed or not, since their partials are read by it; of older
// ones only those that a chain needs. On an error rec is unchanged.
func SealInto(rec *Record, attempt vnode.Attempt, captures []SealedCapture) error {
	e := vnode.Epoch(attempt.Number)
	if e <= rec.Epoch || len(captures) != rec.Identity.Capacity {
		return fmt.Errorf("seal epoch %d with %d captures after epoch %d in a store of %d vnodes", e, len(captures), rec.Epoch, rec.Identity.Capacity)
	}
	refs, tips, err := takeCaptures(e, captures)
	if err != nil {
		return err
	}
	rec.Epoch, rec.Attempt, rec.High, rec.Tips = e, attempt, max(rec.High, attempt.Number), tips
	rec.Segments = append(rec.Segments, refs...)
	rec.dropUnneeded()
	slices.SortFunc(rec.Segments, compareRefs)
	return nil
}

// takeCaptures returns the segments of the captures, each once and needed only by the vnodes taken from it.
func takeCaptures(e vnode.Epoch, captures []SealedCapture) ([]SegmentRef, []vnode.SliceID, error) {
	var refs []SegmentRef
	tips := make([]vnode.SliceID, len(captures))
	for v, c := range captures {
		if c.Segment == nil || c.Segment.Epoch != e || c.Segment.Through != e {
			return nil, nil, fmt.Errorf("seal epoch %d: vnode %d has no segment of that epoch", e, v)
		}
		i := slices.IndexFunc(refs, func(r SegmentRef) bool { return r.same(c.Segment) })
		if i < 0 {
			i = len(refs)
			refs = append(refs, *c.Segment)
			refs[i].Vnodes = nil
		}
		if c.Segment.Vnodes.Has(vnode.ID(v)) {
			refs[i].Vnodes.Add(vnode.ID(v))
		}
		tips[v] = c.Slice
	}
	return refs, tips, nil
}

// dropUnneeded forgets the segments that no chain and no emission of the newest epoch needs.
func (r *Record) dropUnneeded() {
	r.Segments = slices.DeleteFunc(r.Segments, func(s SegmentRef) bool {
		return s.Vnodes.Len() == 0 && s.Through < r.Epoch
	})
}

// Fold says what a segment made by compaction stands for. It enters the ledger with [ApplyFold].
type Fold struct {
	Ref   SegmentRef // of the new segment; no segment was written if it has no Vnodes
	Runs  []FoldedRun
	Bases vnode.Set // of the vnodes that were folded from the beginning of their chains
}

// FoldedRun is a segment that was folded: which vnodes of it, and what that takes off its Live and Entries.
type FoldedRun struct {
	Segment SegmentRef
	Vnodes  vnode.Set
	Live    int64
	Entries int64
}

// Late reports whether the fold can no longer enter the ledger: a segment of its name's epoch is never named anew
// once that epoch is sealed, since collection may have looked for it already (I9).
func (f *Fold) Late(sealed vnode.Epoch) bool { return f.Ref.Epoch <= sealed }

// ApplyFold puts a fold into rec, which seals an epoch behind sealed (see [SealInto]), and reports whether it did. It
// does only if rec's epoch lets the new segment's name in, and the live chain of every folded vnode still holds
// exactly what was folded (I2, I9). Otherwise rec is unchanged.
func ApplyFold(rec *Record, sealed vnode.Epoch, f *Fold) bool {
	if f.Late(sealed) || f.Ref.Epoch > rec.Epoch {
		return false
	}
	places, ok := rec.find(f.Runs)
	if !ok {
		return false
	}
	for v := range f.vnodes().All {
		if !rec.fits(f, places, v) {
			return false
		}
	}
	for i, run := range f.Runs {
		rec.Segments[places[i]].release(run)
	}
	if f.Ref.Vnodes.Len() > 0 {
		ref := f.Ref
		ref.Vnodes = ref.Vnodes.Clone()
		rec.Segments = append(rec.Segments, ref)
	}
	rec.dropUnneeded()
	slices.SortFunc(rec.Segments, compareRefs)
	return true
}

// find returns where the folded segments stand in the record; false if one does not.
func (r *Record) find(runs []FoldedRun) ([]int, bool) {
	places := make([]int, len(runs))
	for i := range runs {
		places[i] = slices.IndexFunc(r.Segments, func(s SegmentRef) bool { return s.same(&runs[i].Segment) })
		if places[i] < 0 {
			return nil, false
		}
	}
	return places, true
}

// vnodes is the set of all folded vnodes.
func (f *Fold) vnodes() vnode.Set {
	var all vnode.Set
	for _, run := range f.Runs {
		for v := range run.Vnodes.All {
			all.Add(v)
		}
	}
	return all
}

// fits reports whether the chain of v holds what was folded of v without anything between, in the fold's place in
// time, and at its beginning if tombstones were dropped.
func (r *Record) fits(f *Fold, places []int, v vnode.ID) bool {
	var run []int
	for i := range f.Runs {
		if f.Runs[i].Vnodes.Has(v) {
			run = append(run, places[i])
		}
	}
	chain := r.Chain(v)
	begin := slices.Index(chain, run[0])
	end := begin + len(run)
	switch {
	case begin < 0 || end > len(chain) || !slices.Equal(chain[begin:end], run):
		return false
	case f.Bases.Has(v) && begin > 0:
		return false
	case end < len(chain) && r.Segments[chain[end]].Through <= f.Ref.Through:
		return false
	}
	return true
}

// release takes folded vnodes out of a segment's need.
func (r *SegmentRef) release(run FoldedRun) {
	for v := range run.Vnodes.All {
		r.Vnodes.Remove(v)
	}
	r.Live = max(0, r.Live-run.Live)
	r.Entries = max(0, r.Entries-run.Entries)
}
