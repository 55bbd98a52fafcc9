package backend

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// A segment is one object, written once and never changed. Format 1:
//
//	offset    size  what
//	0         8     magic "sheafseg"
//	8         …     frames of deltas, each a zstd frame of the deltas of one or more vnodes, in ascending order
//	…         …     frames of partials, likewise
//	end-20-f  f     index, a zstd frame
//	end-20    4     size of the index uncompressed, little-endian
//	end-16    4     f, little-endian
//	end-12    4     format, little-endian: 1
//	end-8     8     magic "sheafseg"
//
// The index and the 20 bytes behind it are the footer. Its SHA-256 stands in the record that names the segment, and the
// index holds a digest of each frame: what a record names cannot be exchanged for anything else. Every later format
// keeps those 20 bytes, and what the digest covers. Frames lie side by side, so the index has sizes and no offsets.
//
// A frame ends before the vnode with which it would pass 64 KiB uncompressed: 4,096 tiny deltas share a few frames and
// digests, a large delta has a frame of its own.
//
// The index, uncompressed, in which an integer is an unsigned varint and text is its length and its bytes:
//
//	meta      kind, epoch, through, attempt (term, number, version), text instance, 16 bytes incarnation,
//	          16 bytes id, capacity, text app
//	tables    each its length and its items: incarnations (16 bytes), attempts (term, number, version), texts (names
//	          of producers, ascending)
//	slices    their number n, then columns of n integers:
//	            vnode less the one before less one
//	            slice: incarnation (its place in the table), life, attempt (its place in the table)
//	            base: the same three
//	            through less from
//	            entries
//	            size of the delta, uncompressed
//	            size of the partial, uncompressed
//	            number of positions
//	          then columns of as many integers as there are positions, by slice, then by name:
//	            name (its place in the table), generation, position
//	frames    numbers of frames of deltas and of partials, then columns of as many integers as both:
//	            slices that have bytes in it
//	            size as stored
//	          then as many SHA-256 of the frames as stored
const (
	segmentMagic  = "sheafseg"
	segmentFormat = 1

	segmentTrailer = 4 + 4 + 4 + len(segmentMagic)
	segmentMinSize = len(segmentMagic) + segmentTrailer
	frameTarget    = 64 << 10
)

// Limits of what a segment holds.
const (
	MaxKey     = 64 << 10 // bytes of an encoded key
	MaxPartial = 64 << 20 // bytes of one vnode's partial
	MaxSlice   = 1 << 30  // bytes of one vnode's delta or base
	maxIndex   = 64 << 20 // bytes of an index, uncompressed
)

// LimitError says that something is too large for a segment.
type LimitError struct {
	Vnode vnode.ID
	What  string
	Size  int
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("vnode %d: %s of %d bytes is over the limit of %d", e.Vnode, e.What, e.Size, e.Limit)
}

// SegmentKind says what a segment was written for.
type SegmentKind uint8

// The kinds of segments.
const (
	SegmentCapture SegmentKind = 1 // what an instance captured at one barrier
	SegmentFold    SegmentKind = 2 // what compaction made of older segments
)

// SegmentMeta says who wrote a segment, when, and what it covers.
type SegmentMeta struct {
	Kind     SegmentKind
	Epoch    vnode.Epoch // in its name
	Through  vnode.Epoch // the last epoch whose changes it holds; of a capture, Epoch
	Attempt  vnode.Attempt
	Writer   vnode.Member
	ID       uuid.UUID // a UUIDv7
	Capacity int
	App      string
}

// CaptureMeta describes the segment that writer puts for an attempt, in the store of that identity.
func CaptureMeta(identity Identity, attempt vnode.Attempt, writer vnode.Member, id uuid.UUID) SegmentMeta {
	e := vnode.Epoch(attempt.Number)
	return SegmentMeta{
		Kind: SegmentCapture, Epoch: e, Through: e, Attempt: attempt, Writer: writer, ID: id,
		Capacity: identity.Capacity, App: identity.App,
	}
}

// Capture is what a vnode contributes to a segment. The encoder only reads its bytes.
type Capture struct {
	Vnode   vnode.ID
	Slice   vnode.SliceID
	Base    vnode.SliceID // the slice that Delta builds on
	Entries int           // in Delta
	// Positions of all plain producers; nil if they are those of Base. The newest ones of a chain count.
	Positions vnode.Positions
	Delta     []byte
	Partial   []byte
}

// Key is the segment's key in [Objects].
func (r SegmentRef) Key() string {
	return fmt.Sprintf("%s%020d/%s-%s", segmentPrefix, r.Epoch, r.Instance, r.ID)
}

// same reports whether two references name the same object.
func (r *SegmentRef) same(s *SegmentRef) bool {
	return r.ID == s.ID && r.Epoch == s.Epoch && r.Instance == s.Instance && r.Footer == s.Footer
}

// SliceInfo is what a segment's index says of one vnode.
type SliceInfo struct {
	Vnode     vnode.ID
	Slice     vnode.SliceID
	Base      vnode.SliceID
	From      vnode.Epoch // the slice covers the changes after it; 0 if nothing is below it
	Entries   int
	bytes     [payloads]bytesInfo
	positions []indexPosition
}

// payload is one of the things that a segment holds of each slice, each in frames of its own.
type payload int

const (
	deltas payload = iota
	partials
	payloads
)

// bytesInfo says where a slice's delta or partial is.
type bytesInfo struct {
	size  int // uncompressed
	frame int // if size is not 0
	at    int // in the frame, uncompressed
}

// indexPosition is a position whose name is a place in the index's table.
type indexPosition struct {
	name uint64
	at   vnode.Position
}

// needed reports whether a chain cannot do without the slice.
func (s *SliceInfo) needed() bool { return s.Entries > 0 || len(s.positions) > 0 }

// segmentIndex is a segment's index in memory.
type segmentIndex struct {
	meta   SegmentMeta
	names  []string
	slices []SliceInfo // by vnode
	frames [payloads][]frameInfo
}

// frameInfo says where a frame is and what it holds.
type frameInfo struct {
	offset int64
	stored int
	raw    int
	slices int // that have bytes in it
	digest Digest
}

// from is the segment's From: every slice that a chain needs covers at least the epochs after it.
func (x *segmentIndex) from() vnode.Epoch {
	from, found := vnode.Epoch(0), false
	for i := range x.slices {
		if s := &x.slices[i]; s.needed() {
			from, found = max(from, s.From), true
		}
	}
	if !found {
		return x.meta.Through
	}
	return from
}

// compareRefs orders a record's segments.
func compareRefs(a, b SegmentRef) int {
	return cmp.Or(cmp.Compare(a.Through, b.Through), cmp.Compare(a.From, b.From), bytes.Compare(a.ID[:], b.ID[:]))
}
