package backend

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/sheaf-go/sheaf/vnode"
)

const (
	tailRead = 64 << 10 // bytes read first, from the end: most footers, and small segments whole
	readGap  = 32 << 10 // unneeded bytes that are read over rather than asked around
	readMost = 4 << 20  // bytes after which a request is not made longer
)

// SegmentReader reads a segment by ranges and checks all it reads by digests (I10). It is safe for concurrent use.
type SegmentReader struct {
	objects Objects
	ref     SegmentRef
	namedBy string
	zstd    *zstd.Decoder
	index   *segmentIndex
	tail    []byte // the end of the object, kept from opening it
}

// newSegmentDecoder makes what readers share to decompress; it is bounded by the room it is given each time.
func newSegmentDecoder() (*zstd.Decoder, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, fmt.Errorf("open the segment decoder: %w", err)
	}
	return d, nil
}

// OpenSegment reads the footer of the segment that ref names; namedBy is the key of the record that holds ref.
// It returns [MissingError] if the object is absent, [CorruptError] if it is not the one that ref means and
// [FormatError] if a newer release wrote it.
func OpenSegment(ctx context.Context, objects Objects, ref SegmentRef, namedBy string) (*SegmentReader, error) {
	d, err := newSegmentDecoder()
	if err != nil {
		return nil, err
	}
	return openSegment(ctx, objects, ref, namedBy, d)
}

func openSegment(ctx context.Context, objects Objects, ref SegmentRef, namedBy string, d *zstd.Decoder) (*SegmentReader, error) {
	s := &SegmentReader{objects: objects, ref: ref, namedBy: namedBy, zstd: d}
	if ref.Size < int64(segmentMinSize) {
		return nil, s.corrupt("it is said to have %d bytes, a segment has at least %d", ref.Size, segmentMinSize)
	}
	var err error
	if s.tail, err = s.get(ctx, ref.Size-min(ref.Size, tailRead), ref.Size); err != nil {
		return nil, err
	}
	footer, err := s.footer(ctx)
	if err != nil {
		return nil, err
	}
	if s.index, err = s.parse(footer); err != nil {
		return nil, err
	}
	return s, s.checkIndex()
}

// footer returns the bytes of the footer, found to be those that the record means.
func (s *SegmentReader) footer(ctx context.Context) ([]byte, error) {
	trailer := s.tail[len(s.tail)-segmentTrailer:]
	if magic := string(trailer[12:]); magic != segmentMagic {
		return nil, s.corrupt("it ends with %q, a segment ends with %q", magic, segmentMagic)
	}
	size := int64(binary.LittleEndian.Uint32(trailer[4:])) + int64(segmentTrailer)
	if size > s.ref.Size-int64(len(segmentMagic)) {
		return nil, s.corrupt("a footer of %d bytes in a segment of %d", size, s.ref.Size)
	}
	footer, err := s.read(ctx, s.ref.Size-size, s.ref.Size)
	if err != nil {
		return nil, err
	}
	if got := Digest(sha256.Sum256(footer)); got != s.ref.Footer {
		return nil, s.corrupt("its footer has digest %x, the record says %x", got, s.ref.Footer)
	}
	if format := binary.LittleEndian.Uint32(trailer[8:]); format > segmentFormat {
		return nil, &FormatError{Object: s.ref.Key(), Version: format, Supported: segmentFormat}
	} else if format == 0 {
		return nil, s.corrupt("it says that it has format 0")
	}
	return footer, nil
}

// parse decompresses and reads the index.
func (s *SegmentReader) parse(footer []byte) (*segmentIndex, error) {
	stored, trailer := footer[:len(footer)-segmentTrailer], footer[len(footer)-segmentTrailer:]
	size := binary.LittleEndian.Uint32(trailer)
	if size > maxIndex {
		return nil, s.corrupt("its index has %d bytes, over the limit of %d", size, maxIndex)
	}
	raw, err := s.zstd.DecodeAll(stored, make([]byte, 0, size))
	if err != nil || len(raw) != int(size) {
		return nil, s.corrupt("its index does not decompress to %d bytes: %d, %v", size, len(raw), err)
	}
	x, err := parseIndex(raw, s.ref.Size-int64(len(footer)+len(segmentMagic)))
	if err != nil {
		return nil, s.corrupt("%v", err)
	}
	return x, nil
}

// checkIndex compares what the index says of the segment with what the record says.
func (s *SegmentReader) checkIndex() error {
	m, r := s.index.meta, s.ref
	if m.Epoch != r.Epoch || m.Writer.Instance != r.Instance || m.ID != r.ID {
		return s.corrupt("it says that it is epoch %d of %q with id %s", m.Epoch, m.Writer.Instance, m.ID)
	}
	if from := s.index.from(); from != r.From || m.Through != r.Through {
		return s.corrupt("it covers epochs (%d, %d], the record says (%d, %d]", from, m.Through, r.From, r.Through)
	}
	return nil
}

// Meta returns what the segment says of itself.
func (s *SegmentReader) Meta() SegmentMeta { return s.index.meta }

// Slice returns what the segment says of a vnode; false if it knows nothing of it.
func (s *SegmentReader) Slice(v vnode.ID) (SliceInfo, bool) {
	i, ok := slices.BinarySearchFunc(s.index.slices, v, func(i SliceInfo, v vnode.ID) int { return cmp.Compare(i.Vnode, v) })
	if !ok {
		return SliceInfo{}, false
	}
	return s.index.slices[i], true
}

// Positions returns the positions of plain producers in a slice of this segment; nil if it has none.
func (s *SegmentReader) Positions(slice SliceInfo) vnode.Positions {
	if len(slice.positions) == 0 {
		return nil
	}
	p := make(vnode.Positions, len(slice.positions))
	for _, x := range slice.positions {
		p[s.index.names[x.name]] = x.at
	}
	return p
}

// Delta returns the delta of a vnode; empty if it has none here.
func (s *SegmentReader) Delta(ctx context.Context, v vnode.ID) ([]byte, error) {
	return s.one(ctx, deltas, v)
}

// Partial returns the partial of a vnode; empty if it has none here.
func (s *SegmentReader) Partial(ctx context.Context, v vnode.ID) ([]byte, error) {
	return s.one(ctx, partials, v)
}

// Partials calls yield for the partial of each vnode of the segment, in ascending order.
func (s *SegmentReader) Partials(ctx context.Context, yield func(slice SliceInfo, partial []byte) error) error {
	return s.each(ctx, partials, s.index.slices, yield)
}

func (s *SegmentReader) one(ctx context.Context, of payload, v vnode.ID) ([]byte, error) {
	slice, ok := s.Slice(v)
	if !ok {
		return nil, nil
	}
	var out []byte
	err := s.each(ctx, of, []SliceInfo{slice}, func(_ SliceInfo, p []byte) error {
		out = p
		return nil
	})
	return out, err
}

// each calls yield with the bytes of each of these slices of the segment, which are in ascending order. Frames that
// lie near each other are read by one request. The bytes are the caller's; they may share an array.
func (s *SegmentReader) each(ctx context.Context, of payload, list []SliceInfo, yield func(SliceInfo, []byte) error) error {
	var at frameCursor
	for i := range list {
		p := list[i].bytes[of]
		if p.size == 0 {
			if err := yield(list[i], nil); err != nil {
				return err
			}
			continue
		}
		if err := s.seek(ctx, &at, of, list[i:]); err != nil {
			return err
		}
		if err := yield(list[i], at.raw[p.at:p.at+p.size:p.at+p.size]); err != nil {
			return err
		}
	}
	return nil
}

// frameCursor stands at a frame of a segment, and holds what was read together with it.
type frameCursor struct {
	frame  int
	raw    []byte // of the frame; nil before the first
	offset int64
	stored []byte // from offset on
}

// seek moves the cursor to the frame of the first slice, reading ahead for those behind it.
func (s *SegmentReader) seek(ctx context.Context, at *frameCursor, of payload, list []SliceInfo) error {
	want := list[0].bytes[of].frame
	if at.raw != nil && at.frame == want {
		return nil
	}
	f := s.index.frames[of][want]
	if f.offset+int64(f.stored) > at.offset+int64(len(at.stored)) {
		var err error
		if at.stored, err = s.read(ctx, f.offset, s.readAhead(of, list)); err != nil {
			return err
		}
		at.offset = f.offset
	}
	begin := f.offset - at.offset
	raw, err := s.unpack(f, at.stored[begin:begin+int64(f.stored)])
	if err != nil {
		return err
	}
	at.frame, at.raw = want, raw
	return nil
}

// readAhead returns where a request ends that begins with the frame of the first slice.
func (s *SegmentReader) readAhead(of payload, list []SliceInfo) int64 {
	frames := s.index.frames[of]
	first := frames[list[0].bytes[of].frame]
	end := first.offset + int64(first.stored)
	for i := range list {
		p := list[i].bytes[of]
		if p.size == 0 {
			continue
		}
		f := frames[p.frame]
		next := f.offset + int64(f.stored)
		if f.offset > end+readGap || next-first.offset > max(readMost, int64(first.stored)) {
			break
		}
		end = next
	}
	return end
}

// unpack checks and decompresses a frame.
func (s *SegmentReader) unpack(f frameInfo, stored []byte) ([]byte, error) {
	runtime.Gosched() // while a compaction reads, vnodes go first
	if got := Digest(sha256.Sum256(stored)); got != f.digest {
		return nil, s.corrupt("the frame at %d has digest %x, the index says %x", f.offset, got, f.digest)
	}
	raw, err := s.zstd.DecodeAll(stored, make([]byte, 0, f.raw))
	if err != nil || len(raw) != f.raw {
		return nil, s.corrupt("the frame at %d does not decompress to %d bytes: %d, %v", f.offset, f.raw, len(raw), err)
	}
	return raw, nil
}

// read returns the bytes from begin to end, from what opening the segment has read if they are there.
func (s *SegmentReader) read(ctx context.Context, begin, end int64) ([]byte, error) {
	if kept := s.ref.Size - int64(len(s.tail)); begin >= kept {
		return s.tail[begin-kept : end-kept], nil
	}
	return s.get(ctx, begin, end)
}

// get reads a part of the object, which is never empty.
func (s *SegmentReader) get(ctx context.Context, begin, end int64) ([]byte, error) {
	p, err := s.objects.Get(ctx, s.ref.Key(), Range{Offset: begin, Size: end - begin})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, &MissingError{Object: s.ref.Key(), NamedBy: s.namedBy}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, s.corrupt("it ends before its byte %d", end)
	case err != nil:
		return nil, fmt.Errorf("read segment %s: %w", s.ref.Key(), err)
	case int64(len(p)) != end-begin:
		return nil, s.corrupt("a read of %d bytes gave %d", end-begin, len(p))
	}
	return p, nil
}

func (s *SegmentReader) corrupt(format string, args ...any) error {
	return &CorruptError{Object: s.ref.Key(), Reason: fmt.Sprintf(format, args...)}
}
