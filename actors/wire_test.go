package actors_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

const wireCapacity = 64

// wireFrames is one frame of each kind, with every field set.
func wireFrames(t testing.TB, w actors.Wire) [][]byte {
	t.Helper()
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	attempt := vnode.Attempt{Term: 3, Number: 41, Version: 5}
	slice := func(n uint64) vnode.SliceID {
		return vnode.SliceID{Life: vnode.Life{Incarnation: id(1), N: n}, Attempt: attempt}
	}
	var out [][]byte
	add := func(frame []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frame)
	}
	b := &vnode.Batch[uint64]{
		Header: vnode.Header{Origin: "flights-0", Generation: 2, Version: 5, From: 100, To: 140, Barrier: attempt, Round: 7},
		Vnode:  9,
	}
	b.Base = 100
	b.Append(1, 0xabcdef0000000000, 101)
	b.Append(1<<40, 0x1230000000000000, 139)
	add(w.Batch(b, vnode.CBOR[uint64]()))
	add(w.Reply(vnode.Reply{
		Kind: vnode.Ahead, Vnode: 9, Origin: "flights-0", Generation: 2, Standing: 140, Sealed: 90, Barrier: attempt, Version: 5, Round: 7,
	}), nil)
	positions := vnode.Positions{"flights-0": {At: 140}}
	add(w.Captured(&actors.Captured{
		Attempt: attempt, Segment: backend.SegmentRef{Epoch: 41, Instance: "n1", ID: id(2), Size: 99, Through: 41},
		Notes: []actors.CaptureNote{
			{Vnode: 1, Slice: slice(4), Base: slice(3), Positions: positions}, {Vnode: 2, Slice: slice(5), Base: vnode.SliceID{}, Positions: positions},
		},
	}))
	add(w.Partials(merger.Partials{Attempt: attempt, Parts: []merger.Partial{{Vnode: 1, Slice: slice(4), Bytes: []byte("part")}, {Vnode: 2, Slice: slice(5), Bytes: []byte{}}}}), nil)
	add(w.Control(actors.CutNamed{Source: "flights-0", Attempt: attempt, At: 140, Ended: true}))
	add(w.Control(actors.Claimed{
		From: vnode.Member{Instance: "n1", Incarnation: id(3), Address: "10.0.0.1:7070"}, Supersedes: id(4),
		Claim: backend.Claim{Instance: "n1", Vnodes: backend.ListVnodes(backend.VnodeRange{First: 0, Last: 7}), Merger: "n0"},
	}))
	add(w.Control(actors.Answer{Ticket: 8, Generation: 2, Epoch: 41, Seq: 77, Err: actors.ErrAttached}))
	add(w.Control(actors.Demand))
	add(w.Control(actors.WorkingOn(attempt)))
	return out
}

func newWire(t testing.TB) actors.Wire {
	t.Helper()
	w, err := actors.NewWire()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestFramesKeepTheirFormat compares with the golden file: members of two releases may be in one cluster.
func TestFramesKeepTheirFormat(t *testing.T) {
	const file = "testdata/frames-v1.hex"
	frames := wireFrames(t, newWire(t))
	var text strings.Builder
	for _, frame := range frames {
		text.WriteString(hex.EncodeToString(frame) + "\n")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("frames: got\n%swant\n%s", text.String(), want)
	}
}

// TestFramesSayWhatWasEncoded decodes what was encoded, and encodes that again.
func TestFramesSayWhatWasEncoded(t *testing.T) {
	w := newWire(t)
	for i, frame := range wireFrames(t, w) {
		m, err := w.Decode(frame, vnode.CBOR[uint64](), wireCapacity)
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if again, ok := encodeAgain(t, w, m); ok && !bytes.Equal(again, frame) {
			t.Errorf("frame %d: got %x, want %x", i, again, frame)
		}
	}
}

func encodeAgain(t testing.TB, w actors.Wire, message any) (frame []byte, ok bool) {
	t.Helper()
	var err error
	switch m := message.(type) {
	case *vnode.Batch[uint64]:
		frame, err = w.Batch(m, vnode.CBOR[uint64]())
	case vnode.Reply:
		frame = w.Reply(m)
	case *actors.Captured:
		frame, err = w.Captured(m)
	case merger.Partials:
		frame = w.Partials(m)
	default:
		return nil, false
	}
	if err != nil {
		t.Fatalf("encode %T again: %v", message, err)
	}
	return frame, true
}

// TestBatchOutsideItsBoundsIsRefused: what a stranger could send must not reach a vnode.
func TestBatchOutsideItsBoundsIsRefused(t *testing.T) {
	w := newWire(t)
	good := func() *vnode.Batch[uint64] {
		b := &vnode.Batch[uint64]{Header: vnode.Header{Origin: "s", From: 10, To: 20}, Vnode: 1}
		b.Base = 10
		b.Append(1, 0, 11)
		b.Append(2, 0, 20)
		return b
	}
	for name, spoil := range map[string]func(*vnode.Batch[uint64]){
		"vnode":           func(b *vnode.Batch[uint64]) { b.Vnode = wireCapacity },
		"beyond its end":  func(b *vnode.Batch[uint64]) { b.To = 19 },
		"before it":       func(b *vnode.Batch[uint64]) { b.From = 11 },
		"order":           func(b *vnode.Batch[uint64]) { b.Items[0], b.Items[1] = b.Items[1], b.Items[0] },
		"the same twice":  func(b *vnode.Batch[uint64]) { b.Items[1] = b.Items[0] },
		"nothing spoiled": nil,
	} {
		b := good()
		if spoil != nil {
			spoil(b)
		}
		frame, err := w.Batch(b, vnode.CBOR[uint64]())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.Decode(frame, vnode.CBOR[uint64](), wireCapacity); (err == nil) != (spoil == nil) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	w := newWire(f)
	for _, frame := range wireFrames(f, w) {
		f.Add(frame)
	}
	// Its one event cannot be decoded: it is left out, and an empty batch stays.
	f.Add([]byte("\x010\t000000000000000000\x02\x00\x00\x0000000000\x0000000000\x00"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := w.Decode(frame, vnode.CBOR[uint64](), wireCapacity)
		if err != nil {
			return
		}
		again, ok := encodeAgain(t, w, m)
		if !ok {
			return
		}
		twice, err := w.Decode(again, vnode.CBOR[uint64](), wireCapacity)
		if err != nil {
			t.Fatalf("what was decoded and encoded again is refused: %v", err)
		}
		if !reflect.DeepEqual(withoutRoom(m), withoutRoom(twice)) {
			t.Errorf("decoded %+v, and again %+v", m, twice)
		}
	})
}

// withoutRoom returns the message without the room that a batch without events has for them.
func withoutRoom(message any) any {
	if b, ok := message.(*vnode.Batch[uint64]); ok && len(b.Items) == 0 {
		b.Items = nil
	}
	return message
}
