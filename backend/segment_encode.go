package backend

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"github.com/sheaf-go/sheaf/vnode"
)

// Segment is the object that stands under Ref's key once it is created.
type Segment struct {
	Ref  SegmentRef
	Data []byte
}

// EncodeSegment is [Packer.Encode] for a single segment.
func EncodeSegment(meta SegmentMeta, captures []Capture) (Segment, error) {
	return new(Packer).Encode(meta, captures)
}

// Packer makes segments, one after another, in memory that it uses again: to ask for that much anew at every epoch makes
// the runtime hold a processor for tens of milliseconds. The zero Packer is ready.
type Packer struct {
	zstd *zstd.Encoder
	room chan *frameBuffers // an open frame each, and those in work
	data []byte
}

// Encode packs the captures of one instance and attempt, in any order, at most one for each vnode. The same input gives
// the same bytes; they are the packer's, and stay until the next call. It reports every capture that is malformed or
// over a limit ([LimitError]).
func (p *Packer) Encode(meta SegmentMeta, captures []Capture) (Segment, error) {
	b, err := p.begin(len(captures))
	if err != nil {
		return Segment{}, err
	}
	defer b.wait()
	byVnode := func(x, y Capture) int { return cmp.Compare(x.Vnode, y.Vnode) }
	if !slices.IsSortedFunc(captures, byVnode) {
		captures = slices.Clone(captures)
		slices.SortFunc(captures, byVnode)
	}
	var problems []error
	for i, c := range captures {
		if i > 0 && captures[i-1].Vnode == c.Vnode {
			problems = append(problems, fmt.Errorf("vnode %d is captured twice", c.Vnode))
		}
		runtime.Gosched() // vnodes go first: nobody waits for this but the seal
		problems = append(problems, checkCapture(meta, c), b.add(c, vnode.Epoch(c.Base.Attempt.Number)))
	}
	if err := errors.Join(problems...); err != nil {
		return Segment{}, fmt.Errorf("encode a segment of epoch %d: %w", meta.Epoch, err)
	}
	return b.finish(meta)
}

// checkCapture compares a capture with the segment that it is to be part of.
func checkCapture(meta SegmentMeta, c Capture) error {
	switch {
	case int(c.Vnode) >= meta.Capacity:
		return fmt.Errorf("vnode %d in a store of %d vnodes", c.Vnode, meta.Capacity)
	case c.Slice.Attempt != meta.Attempt:
		return fmt.Errorf("vnode %d: a slice of attempt %s in a segment of attempt %s", c.Vnode, c.Slice.Attempt, meta.Attempt)
	case c.Base.Attempt.Number >= meta.Attempt.Number:
		return fmt.Errorf("vnode %d: a slice of epoch %d on a base of epoch %d", c.Vnode, meta.Attempt.Number, c.Base.Attempt.Number)
	}
	return nil
}

// checkDelta reports what makes a delta unfit for a segment.
func checkDelta(c Capture) error {
	if len(c.Partial) > MaxPartial {
		return &LimitError{Vnode: c.Vnode, What: "a partial", Size: len(c.Partial), Limit: MaxPartial}
	}
	if len(c.Delta) > MaxSlice {
		return &LimitError{Vnode: c.Vnode, What: "a delta", Size: len(c.Delta), Limit: MaxSlice}
	}
	entries := 0
	for rest := c.Delta; len(rest) > 0; entries++ {
		var e vnode.Entry
		var err error
		if e, rest, err = vnode.NextEntry(rest); err != nil {
			return fmt.Errorf("vnode %d: entry %d: %w", c.Vnode, entries, err)
		}
		if len(e.Key) > MaxKey {
			return &LimitError{Vnode: c.Vnode, What: "a key", Size: len(e.Key), Limit: MaxKey}
		}
	}
	if entries != c.Entries {
		return fmt.Errorf("vnode %d: a delta of %d entries, said to have %d", c.Vnode, entries, c.Entries)
	}
	return nil
}

// segmentBuilder makes one segment, one slice after another, by vnode.
type segmentBuilder struct {
	packer    *Packer
	slices    []SliceInfo
	positions []vnode.Positions // by slice
	payloads  [payloads]frameWriter
}

// encodeWindow is how far back zstd looks for what it has seen.
const encodeWindow = 512 << 10

// begin begins a segment of about n slices. The one before is finished, or given up and waited for.
func (p *Packer) begin(n int) (*segmentBuilder, error) {
	if err := p.prepare(); err != nil {
		return nil, err
	}
	b := &segmentBuilder{packer: p, slices: make([]SliceInfo, 0, n), positions: make([]vnode.Positions, 0, n)}
	for i := range b.payloads {
		b.payloads[i].zstd, b.payloads[i].room = p.zstd, p.room
	}
	return b, nil
}

// prepare makes what the packer needs the first time.
func (p *Packer) prepare() (err error) {
	if p.zstd != nil {
		return nil
	}
	p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(encodeWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return fmt.Errorf("open the segment encoder: %w", err)
	}
	p.room = make(chan *frameBuffers, int(payloads)+max(1, runtime.GOMAXPROCS(0)/2)) // half of the processors are left to the vnodes
	for range cap(p.room) {
		p.room <- new(frameBuffers)
	}
	return nil
}

// rest is the packer's memory for the next segment. It is given back where segments have become much smaller.
func (p *Packer) rest() []byte {
	if cap(p.data) > minKept && cap(p.data)/8 > len(p.data) {
		p.data = nil
	}
	return p.data[:0]
}

// minKept is how many bytes a packer keeps in any case.
const minKept = 1 << 20

// wait waits for the goroutines of a builder that may not have finished, and takes back what it has open.
func (b *segmentBuilder) wait() {
	for i := range b.payloads {
		b.payloads[i].drop()
	}
}

// add takes the next slice, which covers the changes after from. The builder reads its bytes until it has ended.
func (b *segmentBuilder) add(c Capture, from vnode.Epoch) error {
	if err := checkDelta(c); err != nil {
		return err
	}
	b.slices = append(b.slices, SliceInfo{
		Vnode: c.Vnode, Slice: c.Slice, Base: c.Base, From: from,
		Entries: c.Entries, bytes: [payloads]bytesInfo{{size: len(c.Delta)}, {size: len(c.Partial)}},
	})
	b.positions = append(b.positions, c.Positions)
	b.payloads[deltas].add(c.Delta)
	b.payloads[partials].add(c.Partial)
	return nil
}

// finish returns the segment. The builder is of no use afterwards.
func (b *segmentBuilder) finish(meta SegmentMeta) (Segment, error) {
	x := &segmentIndex{meta: meta, slices: b.slices}
	data := append(b.packer.rest(), segmentMagic...)
	for i := range b.payloads {
		data = b.payloads[i].appendTo(data)
		x.frames[i] = b.payloads[i].frames
	}
	b.namePositions(x)
	footer := len(data)
	raw := x.append(nil)
	if len(raw) > maxIndex {
		return Segment{}, fmt.Errorf("the index of segment %s has %d bytes, over the limit of %d", meta.ID, len(raw), maxIndex)
	}
	data = b.packer.zstd.EncodeAll(raw, data)
	size := len(data) - footer
	data = binary.LittleEndian.AppendUint32(data, uint32(len(raw)))
	data = binary.LittleEndian.AppendUint32(data, uint32(size))
	data = binary.LittleEndian.AppendUint32(data, segmentFormat)
	data = append(data, segmentMagic...)
	b.packer.data = data
	return Segment{Ref: x.ref(data, footer), Data: data}, nil
}

// namePositions fills in the table of names and the positions that refer to it.
func (b *segmentBuilder) namePositions(x *segmentIndex) {
	places := map[string]uint64{}
	for _, p := range b.positions {
		for name := range p {
			places[name] = 0
		}
	}
	x.names = slices.Sorted(maps.Keys(places))
	for i, name := range x.names {
		places[name] = uint64(i)
	}
	for i, p := range b.positions {
		for name, at := range p {
			x.slices[i].positions = append(x.slices[i].positions, indexPosition{name: places[name], at: at})
		}
		slices.SortFunc(x.slices[i].positions, func(a, b indexPosition) int { return cmp.Compare(a.name, b.name) })
	}
}

// ref is the reference to the encoded segment whose footer begins there.
func (x *segmentIndex) ref(data []byte, footer int) SegmentRef {
	r := SegmentRef{
		Epoch: x.meta.Epoch, Instance: x.meta.Writer.Instance, ID: x.meta.ID,
		Size: int64(len(data)), Footer: sha256.Sum256(data[footer:]),
		From: x.from(), Through: x.meta.Through,
	}
	for i := range x.slices {
		if s := &x.slices[i]; s.needed() {
			r.Vnodes.Add(s.Vnode)
			r.Entries += int64(s.Entries)
		}
	}
	for _, f := range x.frames[deltas] {
		r.Live += int64(f.stored)
	}
	return r
}

// frameWriter packs bytes into frames and compresses them beside its caller. Room bounds the frames in work: whoever
// takes buffers out of it puts them back.
type frameWriter struct {
	zstd   *zstd.Encoder
	room   chan *frameBuffers
	open   *frameBuffers // nil if no frame is open
	count  int           // of slices in open
	frames []frameInfo
	stored []*storedFrame
	busy   sync.WaitGroup
	share  atomic.Int64 // what the last large frame took of its raw bytes, in 256ths
}

// frameBuffers are used for one frame after another.
type frameBuffers struct{ raw, stored []byte }

// storedFrame is a frame once it is compressed.
type storedFrame struct {
	data   []byte
	digest Digest
}

// add takes the bytes of the next slice.
func (w *frameWriter) add(p []byte) {
	if len(p) == 0 {
		return
	}
	if w.open != nil && len(w.open.raw)+len(p) > frameTarget {
		w.flush()
	}
	if w.open == nil {
		w.open = <-w.room
	}
	w.count++
	if len(p) >= frameTarget {
		w.compress(p)
		return
	}
	w.open.raw = append(w.open.raw, p...)
}

// flush ends the open frame.
func (w *frameWriter) flush() {
	if w.open != nil {
		w.compress(w.open.raw)
	}
}

// compress makes a frame of raw, beside its caller, and takes the open buffers for it.
func (w *frameWriter) compress(raw []byte) {
	buffers, stored := w.open, new(storedFrame)
	w.frames = append(w.frames, frameInfo{raw: len(raw), slices: w.count})
	w.stored = append(w.stored, stored)
	w.open, w.count = nil, 0
	w.busy.Go(func() {
		runtime.Gosched()
		if len(raw) > frameTarget {
			// Too large to be kept: it gets a buffer of about its size, for one that grows copies all it has again and again.
			about := len(raw) * int(w.share.Load()+8) >> 8
			stored.data = w.zstd.EncodeAll(raw, make([]byte, 0, about))
			w.share.Store(int64(len(stored.data)) << 8 / int64(len(raw)))
		} else {
			buffers.stored = w.zstd.EncodeAll(raw, buffers.stored[:0])
			stored.data = bytes.Clone(buffers.stored)
		}
		stored.digest = sha256.Sum256(stored.data)
		buffers.raw = buffers.raw[:0]
		w.room <- buffers
	})
}

// drop waits for the frames in work and gives up the open one.
func (w *frameWriter) drop() {
	w.busy.Wait()
	if w.open != nil {
		w.open.raw = w.open.raw[:0]
		w.room <- w.open
		w.open, w.count = nil, 0
	}
}

// appendTo ends the open frame, appends all to the segment and fills in where they are.
func (w *frameWriter) appendTo(data []byte) []byte {
	w.flush()
	w.busy.Wait()
	size := 0
	for _, p := range w.stored {
		size += len(p.data)
	}
	data = slices.Grow(data, size)
	for i, p := range w.stored {
		runtime.Gosched()
		f := &w.frames[i]
		f.offset, f.stored, f.digest = int64(len(data)), len(p.data), p.digest
		data = append(data, p.data...)
	}
	return data
}
