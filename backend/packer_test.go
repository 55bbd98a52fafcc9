package backend_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// noise is a capture whose delta does not compress.
func noise(v int, epoch uint64, size int) backend.Capture {
	value := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(v), byte(epoch)})
	_, _ = r.Read(value)
	c := captureOf(v, epoch, 1, 1)
	c.Delta, c.Entries = vnode.AppendEntry(nil, vnode.Entry{Key: []byte("key"), Value: value}), 1
	return c
}

// A packer that is used again makes what a new one makes, also behind a segment that it refused.
func TestPackerIsUsedAgain(t *testing.T) {
	var p backend.Packer
	for epoch := uint64(1); epoch <= 12; epoch++ {
		var captures []backend.Capture
		for v := range 8 {
			captures = append(captures, noise(v, epoch, int(epoch*epoch*uint64(v))<<(epoch%3*4)))
		}
		meta := segmentMeta(8, epoch)
		if epoch%4 == 0 {
			bad := append([]backend.Capture{captures[7]}, captures...)
			if _, err := p.Encode(meta, bad); err == nil {
				t.Errorf("epoch %d: a vnode that is captured twice is no error", epoch)
			}
		}
		want := encodeSegment(t, meta, captures)
		got, err := p.Encode(meta, captures)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Data, want.Data) || got.Ref.Footer != want.Ref.Footer {
			t.Errorf("epoch %d: %d bytes that are not the %d of a new packer", epoch, len(got.Data), len(want.Data))
		}
	}
}

// What a large segment took is given back when segments are small again (I8).
func TestPackerGivesMemoryBack(t *testing.T) {
	used := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var p backend.Packer
	encode := func(epoch uint64, size int) {
		t.Helper()
		var captures []backend.Capture
		for v := range 4 {
			captures = append(captures, noise(v, epoch, size))
		}
		if _, err := p.Encode(segmentMeta(4, epoch), captures); err != nil {
			t.Fatal(err)
		}
	}
	encode(1, 10)
	before := used()
	encode(2, 16<<20)
	for epoch := uint64(3); epoch < 6; epoch++ {
		encode(epoch, 10)
	}
	if got := used() - before; got > 4<<20 {
		t.Errorf("a packer keeps %d bytes behind a segment of 64 MiB, want at most 4 MiB", got)
	}
	runtime.KeepAlive(&p)
}
