package backend_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// segmentWriter is who writes the segments of these tests.
var segmentWriter = vnode.Member{Instance: "node-0", Incarnation: uuid.UUID{7, 7}}

func segmentMeta(capacity int, epoch uint64) backend.SegmentMeta {
	id := uuid.UUID{1}
	binary.BigEndian.PutUint64(id[8:], epoch)
	return backend.CaptureMeta(backend.Identity{Capacity: capacity, App: "flights"},
		vnode.Attempt{Term: 1, Number: epoch, Version: 1}, segmentWriter, id)
}

// sliceOf is the slice that a vnode's first life captures in an epoch; zero for epoch 0.
func sliceOf(epoch uint64) vnode.SliceID {
	if epoch == 0 {
		return vnode.SliceID{}
	}
	return vnode.SliceID{
		Life:    vnode.Life{Incarnation: segmentWriter.Incarnation, N: 1},
		Attempt: vnode.Attempt{Term: 1, Number: epoch, Version: 1},
	}
}

// captureOf returns a capture with n entries of that value size.
func captureOf(v int, epoch uint64, n, size int) backend.Capture {
	r := rand.New(rand.NewPCG(uint64(v), epoch))
	c := backend.Capture{Vnode: vnode.ID(v), Slice: sliceOf(epoch), Base: sliceOf(epoch - 1), Entries: n}
	for i := range n {
		value := make([]byte, size)
		for j := range value {
			value[j] = byte(r.IntN(16))
		}
		c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: fmt.Appendf(nil, "key-%d-%d", v, i), Value: value})
	}
	c.Partial = fmt.Appendf(nil, "partial of %d", v)
	return c
}

func encodeSegment(t rapid.TB, meta backend.SegmentMeta, captures []backend.Capture) backend.Segment {
	t.Helper()
	seg, err := backend.EncodeSegment(meta, captures)
	if err != nil {
		t.Fatalf("encode %d captures: %v", len(captures), err)
	}
	return seg
}

// storeSegment encodes a segment and puts it.
func storeSegment(t rapid.TB, objects backend.Objects, meta backend.SegmentMeta, captures []backend.Capture) backend.SegmentRef {
	t.Helper()
	seg := encodeSegment(t, meta, captures)
	if err := objects.Create(context.Background(), seg.Ref.Key(), seg.Data); err != nil {
		t.Fatal(err)
	}
	return seg.Ref
}

func drawCaptures(t *rapid.T, meta backend.SegmentMeta) []backend.Capture {
	var captures []backend.Capture
	ids := rapid.SliceOfNDistinct(rapid.IntRange(0, meta.Capacity-1), 0, 40, rapid.ID).Draw(t, "vnodes")
	for _, v := range ids {
		n := rapid.IntRange(0, 5).Draw(t, "entries")
		size := rapid.SampledFrom([]int{0, 1, 100, 30_000}).Draw(t, "size")
		c := captureOf(v, meta.Attempt.Number, n, size)
		if rapid.Bool().Draw(t, "tombstone") {
			c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: []byte("gone"), Deleted: true})
			c.Entries++
		}
		c.Partial = slices.Repeat(c.Partial, rapid.SampledFrom([]int{0, 1, 5000}).Draw(t, "partial"))
		for i := range rapid.IntRange(0, 3).Draw(t, "producers") {
			if c.Positions == nil {
				c.Positions = vnode.Positions{}
			}
			c.Positions[fmt.Sprintf("producer-%d", i)] = vnode.Position{Generation: rapid.Uint64().Draw(t, "generation"), At: rapid.Uint64().Draw(t, "at")}
		}
		captures = append(captures, c)
	}
	return captures
}

func TestSegmentReturnsWhatWasCaptured(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		meta := segmentMeta(64, 9)
		captures := drawCaptures(t, meta)
		objects := newSegmentObjects()
		seg, err := backend.EncodeSegment(meta, captures)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(captures)
		again, _ := backend.EncodeSegment(meta, captures)
		if !bytes.Equal(again.Data, seg.Data) {
			t.Fatal("the same captures in another order gave other bytes")
		}
		_ = objects.Create(ctx, seg.Ref.Key(), seg.Data)
		s, err := backend.OpenSegment(ctx, objects, seg.Ref, "ledger/9")
		if err != nil {
			t.Fatal(err)
		}
		if s.Meta() != meta {
			t.Fatalf("meta: got %+v, want %+v", s.Meta(), meta)
		}
		for _, c := range captures {
			checkCaptured(t, s, seg.Ref, c)
		}
	})
}

// checkCaptured compares what a segment holds of a vnode with what was captured.
func checkCaptured(t rapid.TB, s *backend.SegmentReader, ref backend.SegmentRef, c backend.Capture) {
	ctx := context.Background()
	info, ok := s.Slice(c.Vnode)
	if !ok || info.Slice != c.Slice || info.Base != c.Base || info.Entries != c.Entries || info.From != vnode.Epoch(c.Base.Attempt.Number) {
		t.Fatalf("vnode %d: got %+v, %t, want %+v", c.Vnode, info, ok, c)
	}
	if delta, err := s.Delta(ctx, c.Vnode); err != nil || !bytes.Equal(delta, c.Delta) {
		t.Fatalf("vnode %d: delta of %d bytes, %v, want %d bytes", c.Vnode, len(delta), err, len(c.Delta))
	}
	if partial, err := s.Partial(ctx, c.Vnode); err != nil || !bytes.Equal(partial, c.Partial) {
		t.Fatalf("vnode %d: partial of %d bytes, %v, want %d bytes", c.Vnode, len(partial), err, len(c.Partial))
	}
	if got := s.Positions(info); !reflect.DeepEqual(got, c.Positions) {
		t.Fatalf("vnode %d: positions %v, want %v", c.Vnode, got, c.Positions)
	}
	if needs := c.Entries > 0 || len(c.Positions) > 0; ref.Vnodes.Has(c.Vnode) != needs {
		t.Fatalf("vnode %d with %d entries and %d positions: needed %t", c.Vnode, c.Entries, len(c.Positions), !needs)
	}
}

func TestSegmentRefusesWhatDoesNotFit(t *testing.T) {
	meta := segmentMeta(4, 5)
	change := func(f func(c *backend.Capture)) []backend.Capture {
		c := captureOf(1, 5, 2, 10)
		f(&c)
		return []backend.Capture{c}
	}
	long := func(n int) []byte { return make([]byte, n) }
	for name, captures := range map[string][]backend.Capture{
		"vnode beyond capacity": change(func(c *backend.Capture) { c.Vnode = 4 }),
		"vnode twice":           {captureOf(1, 5, 1, 1), captureOf(1, 5, 1, 1)},
		"another attempt":       change(func(c *backend.Capture) { c.Slice.Attempt.Term = 9 }),
		"base of the epoch":     change(func(c *backend.Capture) { c.Base = c.Slice }),
		"wrong entries":         change(func(c *backend.Capture) { c.Entries++ }),
		"torn delta":            change(func(c *backend.Capture) { c.Delta = c.Delta[:len(c.Delta)-1] }),
	} {
		if _, err := backend.EncodeSegment(meta, captures); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	captures := change(func(c *backend.Capture) { c.Partial = long(backend.MaxPartial + 1) })
	captures = append(captures, backend.Capture{
		Vnode: 2, Slice: sliceOf(5), Entries: 1,
		Delta: vnode.AppendEntry(nil, vnode.Entry{Key: long(backend.MaxKey + 1)}),
	})
	_, err := backend.EncodeSegment(meta, captures)
	for _, want := range []string{"vnode 1: a partial of 67108865 bytes is over the limit of 67108864", "vnode 2: a key of 65537 bytes is over the limit of 65536"} {
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if limit := (*backend.LimitError)(nil); !errors.As(err, &limit) {
		t.Errorf("got %v, want a LimitError", err)
	}
}

// Every flipped byte and every truncation of a segment is found and named (I10).
func TestSegmentDamageIsFound(t *testing.T) {
	ctx := context.Background()
	rec := newChainStore(t, 3)
	rec.seal(t, captureOf(0, 1, 3, 20), captureOf(1, 1, 1, 5), captureOf(2, 1, 0, 0))
	ref := rec.newest().Segments[0]
	whole := rec.objects.objects[ref.Key()]
	check := func(what string, data []byte) {
		t.Helper()
		_ = rec.objects.Put(ctx, ref.Key(), data)
		problems := rec.verify(t)
		if corrupt := (*backend.CorruptError)(nil); len(problems) == 0 || !errors.As(problems[0], &corrupt) || corrupt.Object != ref.Key() {
			t.Errorf("%s: got %v, want a CorruptError of %s", what, problems, ref.Key())
		}
	}
	for i := range whole {
		damaged := slices.Clone(whole)
		damaged[i] ^= 0x10
		check(fmt.Sprintf("byte %d of %d flipped", i, len(whole)), damaged)
		check(fmt.Sprintf("cut to %d bytes", i), whole[:i])
	}
	check("one byte longer", append(slices.Clone(whole), 0))
	other := encodeSegment(t, segmentMeta(3, 1), []backend.Capture{captureOf(0, 1, 3, 21), captureOf(1, 1, 1, 5), captureOf(2, 1, 0, 0)})
	check("another whole segment", other.Data)
	_ = rec.objects.Delete(ctx, ref.Key())
	missing := (*backend.MissingError)(nil)
	if problems := rec.verify(t); len(problems) == 0 || !errors.As(problems[0], &missing) || missing.Object != ref.Key() || missing.NamedBy == "" {
		t.Errorf("deleted: got %v, want a MissingError of %s", problems, ref.Key())
	}
}

func TestSegmentOfAnotherStoreIsRefused(t *testing.T) {
	ctx := context.Background()
	for key, change := range map[string]func(*backend.Record){
		"vnode_capacity": func(r *backend.Record) { r.Identity.Capacity, r.Tips = 4, append(r.Tips, vnode.SliceID{}) },
		"app":            func(r *backend.Record) { r.Identity.App = "other" },
	} {
		store := newChainStore(t, 3)
		store.seal(t, captureOf(0, 1, 3, 20), captureOf(1, 1, 1, 5), captureOf(2, 1, 0, 0))
		change(store.newest())
		err := backend.Restorer{Objects: store.objects, Record: store.newest()}.Restore(ctx, []vnode.ID{0}, func(backend.RestoredSlice) error { return nil })
		if foreign := (*backend.ForeignError)(nil); !errors.As(err, &foreign) || foreign.Key != key {
			t.Errorf("another %s: got %v", key, err)
		}
	}
}

// The footer of 4,096 vnodes that changed one tiny key each stays small.
func TestSegmentFooterStaysSmall(t *testing.T) {
	const capacity = 4096
	var captures []backend.Capture
	bytes := 0
	for v := range capacity {
		c := captureOf(v, 3, 1, 8)
		c.Positions = vnode.Positions{"clicks": {Generation: 3, At: uint64(1_000_000 + 7919*v%5000)}}
		bytes += len(c.Delta) + len(c.Partial)
		captures = append(captures, c)
	}
	seg := encodeSegment(t, segmentMeta(capacity, 3), captures)
	footer := binary.LittleEndian.Uint32(seg.Data[len(seg.Data)-16:])
	t.Logf("%d bytes of deltas and partials: segment %d, footer %d", bytes, len(seg.Data), footer)
	if footer > 24<<10 {
		t.Errorf("footer of %d bytes, want at most 24 KiB", footer)
	}
}

func goldenCaptures() []backend.Capture {
	a, b, c := captureOf(0, 7, 2, 4), captureOf(2, 7, 0, 0), captureOf(3, 7, 0, 0)
	a.Positions = vnode.Positions{"clicks": {Generation: 2, At: 40}, "views": {Generation: 5, At: 1 << 40}}
	b.Base = vnode.SliceID{}
	c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: []byte("large"), Value: bytes.Repeat([]byte("frame of its own "), 5000)})
	c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: []byte("gone"), Deleted: true})
	c.Entries = 2
	return []backend.Capture{a, b, c}
}

// goldenRef is the reference to testdata/segment-v1.bin.
func goldenRef(t rapid.TB) (backend.SegmentRef, []byte) {
	t.Helper()
	data, err := os.ReadFile("testdata/segment-v1.bin")
	if err != nil {
		t.Fatal(err)
	}
	return selfConsistentRef(data), data
}

// selfConsistentRef is the reference to data, whatever it is, that a record would hold.
func selfConsistentRef(data []byte) backend.SegmentRef {
	m := segmentMeta(4, 7)
	ref := backend.SegmentRef{
		Epoch: m.Epoch, Instance: m.Writer.Instance, ID: m.ID, Size: int64(len(data)), From: 6, Through: m.Through,
	}
	if n := len(data); n >= 20 {
		size := int64(binary.LittleEndian.Uint32(data[n-16:])) + 20
		ref.Footer = sha256.Sum256(data[max(0, int64(n)-size):])
	}
	return ref
}

// Release N reads what N-1 wrote: the golden file was written once and stays.
func TestSegmentFormatStands(t *testing.T) {
	ctx := context.Background()
	if os.Getenv("SHEAF_WRITE_GOLDEN") != "" {
		seg := encodeSegment(t, segmentMeta(4, 7), goldenCaptures())
		if err := os.WriteFile("testdata/segment-v1.bin", seg.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ref, data := goldenRef(t)
	objects := newSegmentObjects()
	_ = objects.Create(ctx, ref.Key(), data)
	s, err := backend.OpenSegment(ctx, objects, ref, "ledger/7")
	if err != nil {
		t.Fatal(err)
	}
	want := encodeSegment(t, segmentMeta(4, 7), goldenCaptures()).Ref
	for _, c := range goldenCaptures() {
		checkCaptured(t, s, want, c)
	}
	if s.Meta() != segmentMeta(4, 7) {
		t.Errorf("meta: got %+v, want %+v", s.Meta(), segmentMeta(4, 7))
	}
}

func TestSegmentOfANewerReleaseIsRefused(t *testing.T) {
	_, data := goldenRef(t)
	data[len(data)-12] = 2
	ref := selfConsistentRef(data)
	objects := newSegmentObjects()
	_ = objects.Create(context.Background(), ref.Key(), data)
	_, err := backend.OpenSegment(context.Background(), objects, ref, "ledger/7")
	if format := (*backend.FormatError)(nil); !errors.As(err, &format) || format.Version != 2 || format.Object != ref.Key() {
		t.Errorf("got %v, want a FormatError of version 2", err)
	}
}

func FuzzSegment(f *testing.F) {
	_, data := goldenRef(f)
	f.Add(data)
	f.Add(encodeSegment(f, segmentMeta(4, 7), nil).Data)
	f.Fuzz(func(_ *testing.T, data []byte) { readSegment(data) })
}

// FuzzSegmentIndex reaches what a wrong digest or a broken zstd frame would hide.
func FuzzSegmentIndex(f *testing.F) {
	_, data := goldenRef(f)
	n := len(data)
	footer := n - 20 - int(binary.LittleEndian.Uint32(data[n-16:]))
	d, _ := zstd.NewReader(nil)
	index, err := d.DecodeAll(data[footer:n-20], nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[8:footer], index)
	e, _ := zstd.NewWriter(nil)
	f.Fuzz(func(_ *testing.T, frames, index []byte) {
		data := append([]byte("sheafseg"), frames...)
		footer := e.EncodeAll(index, nil)
		data = append(data, footer...)
		data = binary.LittleEndian.AppendUint32(data, uint32(len(index)))
		data = binary.LittleEndian.AppendUint32(data, uint32(len(footer)))
		readSegment(append(data, "\x01\x00\x00\x00sheafseg"...))
	})
}

// readSegment reads all that can be read of a segment whose record has the right digest.
func readSegment(data []byte) {
	ctx := context.Background()
	ref := selfConsistentRef(data)
	objects := newSegmentObjects()
	_ = objects.Create(ctx, ref.Key(), data)
	s, err := backend.OpenSegment(ctx, objects, ref, "ledger/7")
	if err != nil {
		return
	}
	for v := range vnode.ID(4) {
		_, _ = s.Delta(ctx, v)
		_, _ = s.Partial(ctx, v)
	}
}
