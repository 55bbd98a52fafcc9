package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/sheaf-go/sheaf/vnode"
)

// Verified counts what [Verify] has read.
type Verified struct {
	Records  int
	Segments int
	Bytes    int64 // of segments
}

// Verify reads everything that some records reach (see [Ledger.Retained]: from the newest record down, each found to be
// the one that the next follows, then pinned ones) and reports what is wrong with it, naming the object:
//
//   - a segment that is missing, longer or shorter than its record says, or has a digest that does not fit: each
//     segment, footer and frames, is read once;
//   - a vnode without a capture in its record's epoch that is its tip;
//   - a chain that does not follow from the chain of the record before: it may only end with the vnode's new capture,
//     built on its tip or by the same life, and have folds of runs in place of the runs (I2).
//
// It goes on behind a fault; its own error says that it could not.
func Verify(ctx context.Context, objects Objects, records iter.Seq2[*Record, error], report func(error)) (Verified, error) {
	d, err := newSegmentDecoder()
	if err != nil {
		return Verified{}, err
	}
	v := &verifier{objects: objects, zstd: d, report: report, open: map[string]*SegmentReader{}}
	for rec, err := range records {
		if ctx.Err() != nil {
			return v.done, ctx.Err()
		}
		if err != nil {
			report(err)
			continue
		}
		v.record(ctx, rec)
	}
	return v.done, ctx.Err()
}

// verifier goes down the records, one after another.
type verifier struct {
	objects Objects
	zstd    *zstd.Decoder
	report  func(error)
	done    Verified
	open    map[string]*SegmentReader // of the segments that the last record names; nil where one is damaged
	newer   *verified
}

// verified is a record whose segments are all whole.
type verified struct {
	*Record
	readers []*SegmentReader // by place
}

// record verifies a record and how the one above it follows from it.
func (v *verifier) record(ctx context.Context, rec *Record) {
	v.done.Records++
	open := map[string]*SegmentReader{}
	r := v.readers(ctx, rec, rec.Segments, open)
	newer := v.newer
	if newer != nil && newer.Seq != rec.Seq+1 {
		newer = nil // a pin alone keeps rec
	}
	v.open, v.newer = open, r
	if r == nil {
		return
	}
	if newer != nil && newer.Epoch == r.Epoch {
		v.sameSegments(newer, r)
		return
	}
	for id := range rec.Tips {
		if err := r.checkVnode(vnode.ID(id)); err != nil {
			v.report(err)
		}
	}
	if newer != nil {
		v.follow(ctx, newer, r)
	}
}

// readers returns the record with its segments read and found whole; nil, after reports, if one is not.
func (v *verifier) readers(ctx context.Context, rec *Record, refs []SegmentRef, open map[string]*SegmentReader) *verified {
	r := &verified{Record: rec, readers: make([]*SegmentReader, len(refs))}
	whole := true
	for i, ref := range refs {
		s, known := v.open[ref.Key()]
		if again, ok := open[ref.Key()]; ok {
			s, known = again, true
		}
		if !known {
			s = v.segment(ctx, rec, ref)
		}
		if s != nil && (!s.ref.same(&ref) || s.ref.Size != ref.Size) {
			v.report(s.corrupt("%s names it with footer %x and %d bytes", recordKey(rec.Seq), ref.Footer, ref.Size))
			whole = false
		}
		open[ref.Key()], r.readers[i] = s, s
		whole = whole && s != nil
	}
	if !whole {
		return nil
	}
	return r
}

// segment reads a segment; nil, after a report, if it is not whole.
func (v *verifier) segment(ctx context.Context, rec *Record, ref SegmentRef) *SegmentReader {
	v.done.Segments++
	v.done.Bytes += ref.Size
	s, err := openSegment(ctx, v.objects, ref, recordKey(rec.Seq), v.zstd)
	if err == nil {
		err = errors.Join(s.checkIdentity(rec.Identity), s.checkBytes(ctx))
	}
	if err != nil {
		v.report(err)
		return nil
	}
	return s
}

// checkBytes reads the whole segment.
func (s *SegmentReader) checkBytes(ctx context.Context) error {
	head, err := s.read(ctx, 0, int64(len(segmentMagic)))
	if err != nil {
		return err
	}
	if string(head) != segmentMagic {
		return s.corrupt("it begins with %q, a segment begins with %q", head, segmentMagic)
	}
	err = s.each(ctx, deltas, s.index.slices, func(info SliceInfo, delta []byte) error {
		c := Capture{Vnode: info.Vnode, Entries: info.Entries, Delta: delta}
		if err := checkDelta(c); err != nil {
			return s.corrupt("%v", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.Partials(ctx, func(SliceInfo, []byte) error { return nil }); err != nil {
		return err
	}
	switch _, err := s.objects.Get(ctx, s.ref.Key(), Range{Offset: s.ref.Size, Size: 1}); {
	case err == nil:
		return s.corrupt("it is longer than the %d bytes that its record says", s.ref.Size)
	case !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read segment %s: %w", s.ref.Key(), err)
	}
	return nil
}

// checkVnode checks the chain of v, and that the epoch holds the capture that is its tip.
func (r *verified) checkVnode(v vnode.ID) error {
	chain := r.Chain(v)
	if err := checkChain(r.Record, v, chain, r.readers); err != nil || r.Epoch == 0 {
		return err
	}
	place, info := r.tip(v)
	if place < 0 {
		return r.corrupt("no segment that it names holds slice %v, the newest of vnode %d", r.Tips[v], v)
	}
	if last := slices.Contains(chain, place); last != info.needed() {
		return r.corrupt("segment %s has %d entries of vnode %d, its chain has the segment: %t", r.Segments[place].Key(), info.Entries, v, last)
	}
	return nil
}

func (r *verified) corrupt(format string, args ...any) error {
	return &CorruptError{Object: recordKey(r.Seq), Reason: fmt.Sprintf(format, args...)}
}

// tip returns the segment of the record's epoch that holds the tip of v, and what it says; -1 if there is none.
func (r *verified) tip(v vnode.ID) (int, SliceInfo) {
	for place, s := range r.readers {
		if s.index.meta.Kind != SegmentCapture || s.index.meta.Through != r.Epoch {
			continue
		}
		if info, ok := s.Slice(v); ok && info.Slice == r.Tips[v] {
			return place, info
		}
	}
	return -1, SliceInfo{}
}

// sameSegments compares records of one epoch: only a seal changes the segments.
func (v *verifier) sameSegments(newer, r *verified) {
	same := slices.EqualFunc(newer.Segments, r.Segments, func(a, b SegmentRef) bool {
		return a.same(&b) && slices.Equal(a.Vnodes, b.Vnodes)
	})
	if !same || !slices.Equal(newer.Tips, r.Tips) {
		v.report(newer.corrupt("it changes segments or tips of epoch %d, which was sealed already", r.Epoch))
	}
}

// follow checks that a record that seals an epoch follows from the one below it.
func (v *verifier) follow(ctx context.Context, newer, r *verified) {
	for i := range newer.Segments {
		s := &newer.Segments[i]
		known := slices.ContainsFunc(r.Segments, func(o SegmentRef) bool { return o.same(s) })
		if !known && (s.Epoch <= r.Epoch || s.Epoch > newer.Epoch) {
			v.report(newer.corrupt("segment %s is new in it, behind epoch %d", s.Key(), r.Epoch))
		}
	}
	for id := range r.Tips {
		if err := newer.followVnode(ctx, r, vnode.ID(id)); err != nil {
			v.report(err)
		}
	}
}

// followVnode checks that the chain of v is that of the older record, with folds of runs in place of the runs, and the
// capture of the new epoch behind it.
func (r *verified) followVnode(ctx context.Context, older *verified, v vnode.ID) error {
	place, info := r.tip(v)
	if tip := older.Tips[v]; place >= 0 && info.Base != tip && info.Slice.Life != tip.Life {
		return r.corrupt("slice %v of vnode %d is built on %v, the newest was %v", info.Slice, v, info.Base, tip)
	}
	chain, before := r.Chain(v), older.Chain(v)
	if n := len(chain); n > 0 && chain[n-1] == place {
		chain = chain[:n-1]
	}
	for i, place := range chain {
		n, gone := older.stoodFor(before, r.readers[place], v)
		if n == 0 || gone > 0 && i > 0 {
			return r.corrupt("the chain of vnode %d holds segment %s, which does not follow", v, r.Segments[place].Key())
		}
		if err := r.checkGone(ctx, older, v, before[:gone]); err != nil {
			return err
		}
		before = before[n:]
	}
	if len(chain) == 0 {
		return r.checkGone(ctx, older, v, before)
	}
	if len(before) > 0 {
		return r.corrupt("the chain of vnode %d has lost segment %s", v, older.Segments[before[0]].Key())
	}
	return nil
}

// stoodFor returns how many segments at the beginning of a chain of v in this record a newer record has s for: all up to
// itself if it is one of them, those from its base to its slice if it is a fold, 0 if it cannot follow. The first gone of
// them have left the chain without anything in their place.
func (r *verified) stoodFor(chain []int, s *SegmentReader, v vnode.ID) (n, gone int) {
	if at := slices.IndexFunc(chain, func(place int) bool { return r.Segments[place].same(&s.ref) }); at >= 0 {
		return at + 1, at
	}
	fold, ok := s.Slice(v)
	if !ok || s.index.meta.Kind != SegmentFold {
		return 0, 0
	}
	find := func(same func(SliceInfo) bool) int {
		return slices.IndexFunc(chain, func(place int) bool {
			info, _ := r.readers[place].Slice(v)
			return same(info)
		})
	}
	begin := find(func(info SliceInfo) bool { return info.Base == fold.Base })
	if fold.From == 0 {
		begin = 0 // what has nothing below it
	}
	end := find(func(info SliceInfo) bool { return info.Slice == fold.Slice })
	if begin < 0 || end < begin {
		return 0, 0
	}
	return end + 1, begin
}

// checkGone makes sure that a fold of these segments, the beginning of a chain of v, leaves nothing: of such a fold
// there is no trace.
func (r *verified) checkGone(ctx context.Context, older *verified, v vnode.ID, gone []int) error {
	var list [][]byte
	empty := true
	for _, place := range gone {
		s := older.readers[place]
		info, _ := s.Slice(v)
		delta, err := s.Delta(ctx, v)
		if err != nil {
			return err
		}
		list, empty = append(list, delta), empty && len(info.positions) == 0
	}
	if err := newestEntries(list, keySet{}, func(e vnode.Entry) { empty = empty && e.Deleted }); err != nil {
		return err
	}
	if !empty {
		return r.corrupt("the chain of vnode %d has lost segment %s", v, older.Segments[gone[0]].Key())
	}
	return nil
}
