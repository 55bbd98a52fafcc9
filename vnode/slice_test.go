package vnode_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"math/rand"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/vnode"
)

// TestRecoversWhatWasSealed drives a slice and a model through updates, rejections, deletions, captures, seals and
// aborted captures. At every seal the sealed chain, loaded into a new slice, must be the model as it was captured.
func TestRecoversWhatWasSealed(t *testing.T) {
	words := vnode.NewKeyOps[int64]()
	t.Run("few keys", rapid.MakeCheck(func(t *rapid.T) {
		checkSlice(t, words, rapid.Int64Range(0, 20))
	}))
	t.Run("keys that collide", rapid.MakeCheck(func(t *rapid.T) {
		checkSlice(t, words, rapid.Map(rapid.Uint64Range(0, 60), collidingKey))
	}))
	t.Run("strings", rapid.MakeCheck(func(t *rapid.T) {
		checkSlice(t, vnode.NewKeyOps[string](), rapid.StringN(0, 2, -1))
	}))
	t.Run("arrays", rapid.MakeCheck(func(t *rapid.T) {
		keys := rapid.Map(rapid.Byte(), func(b byte) [16]byte { return [16]byte{b} })
		checkSlice(t, vnode.NewKeyOps[[16]byte](), keys)
	}))
}

// TestRecoversManyKeys does the same with thousands of keys a step, so that pages grow, split and shrink.
func TestRecoversManyKeys(t *testing.T) {
	for name, of := range map[string]struct {
		key  func(uint64) int64
		keys int // a step
	}{
		"in order":       {func(i uint64) int64 { return int64(i) }, 5000},
		"homes in order": {func(i uint64) int64 { return keyOf(i << 20) }, 800},
		"one tag":        {func(i uint64) int64 { return keyOf(i * 0x100001) }, 800},
		"sixteen homes":  {func(i uint64) int64 { return keyOf(i&15<<20 | i<<44) }, 800},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(3) {
				recoverMany(t, rand.New(rand.NewSource(seed)), of.key, of.keys)
			}
		})
	}
}

func recoverMany(t *testing.T, r *rand.Rand, key func(uint64) int64, keys int) {
	m := newSliceModel(vnode.NewKeyOps[int64]())
	for range 5 {
		from := uint64(r.Intn(keys))
		for i := range uint64(r.Intn(keys)) {
			m.upsert(t, key(from+i))
		}
		if r.Intn(2) == 0 {
			for i := range uint64(r.Intn(2 * keys)) {
				m.delete(t, key(from+i/2))
			}
		}
		m.capture(t)
		if r.Intn(2) == 0 {
			m.seal(t, r.Intn(len(m.open)))
		}
	}
	m.checkAll(t)
	m.capture(t)
	m.seal(t, len(m.open)-1)
	m.checkAll(t)
}

func checkSlice[K vnode.Key](t *rapid.T, ops vnode.KeyOps[K], keys *rapid.Generator[K]) {
	m := newSliceModel(ops)
	t.Repeat(map[string]func(*rapid.T){
		"upsert":  func(t *rapid.T) { m.upsert(t, keys.Draw(t, "key")) },
		"reject":  func(t *rapid.T) { m.reject(t, keys.Draw(t, "key")) },
		"delete":  func(t *rapid.T) { m.delete(t, keys.Draw(t, "key")) },
		"get":     func(t *rapid.T) { m.get(t, keys.Draw(t, "key")) },
		"capture": func(t *rapid.T) { m.capture(t) },
		"seal": func(t *rapid.T) {
			if len(m.open) == 0 {
				t.Skip("nothing captured")
			}
			m.seal(t, rapid.IntRange(0, len(m.open)-1).Draw(t, "capture"))
		},
		"abort": func(t *rapid.T) {
			if len(m.open) == 0 {
				t.Skip("nothing captured")
			}
			i := rapid.IntRange(0, len(m.open)-1).Draw(t, "capture")
			m.open = slices.Delete(m.open, i, i+1)
		},
		"restart": func(t *rapid.T) { m.restart(t) },
		"":        func(t *rapid.T) { m.checkAll(t) },
	})
}

// sliceModel is a slice beside what it should hold.
type sliceModel[K vnode.Key] struct {
	ops    vnode.KeyOps[K]
	slice  *vnode.Slice[K, int64]
	keys   map[K]int64
	dirty  map[K]vnode.Mark // changed keys: the newest capture when they changed
	newest vnode.Mark
	open   []capture[K]
	chain  [][]byte // sealed deltas
	sealed map[K]int64
	clock  int64
}

type capture[K vnode.Key] struct {
	mark  vnode.Mark
	delta []byte
	keys  map[K]int64
}

func newSliceModel[K vnode.Key](ops vnode.KeyOps[K]) *sliceModel[K] {
	return &sliceModel[K]{
		ops: ops, slice: vnode.NewSlice(ops, vnode.CBOR[int64]()),
		keys: map[K]int64{}, dirty: map[K]vnode.Mark{}, sealed: map[K]int64{},
	}
}

func (m *sliceModel[K]) upsert(t rapid.TB, k K) {
	m.clock++
	want, stood := m.keys[k]
	state, existed := m.slice.Upsert(m.ops.Hash(k), k)
	if existed != stood || *state != want {
		t.Fatalf("upsert %v = %d, %v, want %d, %v", k, *state, existed, want, stood)
	}
	*state = m.clock
	m.keys[k], m.dirty[k] = m.clock, m.newest
}

// reject is an update that returns an error.
func (m *sliceModel[K]) reject(t rapid.TB, k K) {
	if _, stood := m.keys[k]; stood {
		m.upsert(t, k)
		return
	}
	state, existed := m.slice.Upsert(m.ops.Hash(k), k)
	if existed {
		t.Fatalf("upsert %v found a key, want none", k)
	}
	*state = 99
	m.slice.Forget(m.ops.Hash(k), k)
}

func (m *sliceModel[K]) delete(t rapid.TB, k K) {
	_, stood := m.keys[k]
	if got := m.slice.Delete(m.ops.Hash(k), k); got != stood {
		t.Fatalf("delete %v = %v, want %v", k, got, stood)
	}
	if stood {
		delete(m.keys, k)
		m.dirty[k] = m.newest
	}
}

func (m *sliceModel[K]) get(t rapid.TB, k K) {
	want, stood := m.keys[k]
	got, found := m.slice.Get(m.ops.Hash(k), k)
	if found != stood || found && *got != want {
		t.Fatalf("get %v = %v, %v, want %d, %v", k, got, found, want, stood)
	}
}

func (m *sliceModel[K]) capture(t rapid.TB) {
	delta, mark, err := m.slice.Capture(nil)
	if err != nil || mark <= m.newest {
		t.Fatalf("capture = mark %d, %v, want above %d", mark, err, m.newest)
	}
	m.newest = mark
	if got, want := len(entries(t, delta)), len(m.dirty); got != want {
		t.Fatalf("capture holds %d keys, want the %d that changed since the last seal", got, want)
	}
	m.open = append(m.open, capture[K]{mark, delta, maps.Clone(m.keys)})
}

func entries(t rapid.TB, delta []byte) map[string]vnode.Entry {
	all := map[string]vnode.Entry{}
	for len(delta) > 0 {
		e, rest, err := vnode.NextEntry(delta)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[string(e.Key)]; twice {
			t.Fatalf("key %x stands twice in a delta", e.Key)
		}
		all[string(e.Key)], delta = e, rest
	}
	return all
}

func (m *sliceModel[K]) seal(t rapid.TB, i int) {
	c := m.open[i]
	m.slice.Sealed(c.mark)
	m.open = m.open[i+1:]
	m.chain, m.sealed = append(m.chain, c.delta), c.keys
	maps.DeleteFunc(m.dirty, func(_ K, at vnode.Mark) bool { return at < c.mark })
	if s := m.recover(t); !maps.Equal(contents(s), c.keys) {
		t.Fatalf("recovered %v, want what was captured %v", contents(s), c.keys)
	}
}

func (m *sliceModel[K]) recover(t rapid.TB) *vnode.Slice[K, int64] {
	s := vnode.NewSlice(m.ops, vnode.CBOR[int64]())
	for _, delta := range m.chain {
		if err := s.Load(delta); err != nil {
			t.Fatal(err)
		}
	}
	if s.Changed() != 0 {
		t.Fatalf("a loaded slice has %d changes, want 0", s.Changed())
	}
	return s
}

// restart goes on from what is sealed, as a vnode does after a panic.
func (m *sliceModel[K]) restart(t rapid.TB) {
	m.slice, m.keys = m.recover(t), maps.Clone(m.sealed)
	m.dirty, m.open, m.newest = map[K]vnode.Mark{}, nil, 0
}

func (m *sliceModel[K]) checkAll(t rapid.TB) {
	if got := contents(m.slice); !maps.Equal(got, m.keys) {
		t.Fatalf("slice holds %v, want %v", got, m.keys)
	}
	if got, want := m.slice.Len(), len(m.keys); got != want {
		t.Fatalf("length = %d, want %d", got, want)
	}
	if got, want := m.slice.Changed(), len(m.dirty); got != want {
		t.Fatalf("changed keys = %d, want %d", got, want)
	}
}

func contents[K vnode.Key](s *vnode.Slice[K, int64]) map[K]int64 {
	all := map[K]int64{}
	for k, state := range s.All {
		all[k] = *state
	}
	return all
}

// collidingKey has one of three homes, at the end of a page, and one of two tags.
func collidingKey(i uint64) int64 { return keyOf((4094+i%3)<<20 | i%2<<32 | i<<50) }

// keyOf returns the key of that hash: for 8 bytes xxh3_64 is a permutation.
func keyOf(hash uint64) int64 {
	h := unshift(hash, 28)
	h *= invert(0x9fb21c651e98df25)
	h ^= h>>35 + 8
	h *= invert(0x9fb21c651e98df25)
	// The hash starts with t(x) = x ^ rotl(x, 49) ^ rotl(x, 24). t to the 64th changes nothing, and t to the 2^k-th
	// rotates by 2^k times as much, so t to the 63rd undoes it.
	for k := range 6 {
		h ^= bits.RotateLeft64(h, 49<<k) ^ bits.RotateLeft64(h, 24<<k)
	}
	return int64(bits.RotateLeft64(h^0x1cad21f72c81017c^0xdb979083e96dd4de, 32))
}

// unshift undoes h ^= h >> n.
func unshift(h uint64, n int) uint64 {
	x := h
	for s := n; s < 64; s += n {
		x = h ^ x>>n
	}
	return x
}

// invert returns the inverse of an odd number modulo 2^64.
func invert(a uint64) uint64 {
	x := a
	for range 6 {
		x *= 2 - a*x
	}
	return x
}

func TestKeyOfUndoesTheHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Uint64().Draw(t, "hash")
		if got := vnode.NewKeyOps[int64]().Hash(keyOf(want)); got != want {
			t.Fatalf("hash of keyOf(%016x) = %016x", want, got)
		}
	})
}

// TestEqualHashBitsAreNoTrap fills one page far above its usual size with keys whose leading bits are all equal,
// which no split can part.
func TestEqualHashBitsAreNoTrap(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	const n = 10_000
	for i := range uint64(n) {
		hash := i * 0x9e3779b97f4a7c15 >> 24
		state, _ := s.Upsert(hash, keyOf(hash))
		*state = int64(i)
	}
	delta, mark, err := s.Capture(nil)
	if err != nil || s.Len() != n || s.Changed() != n {
		t.Fatalf("captured %d of %d keys, %v, want %d", s.Changed(), s.Len(), err, n)
	}
	s.Sealed(mark)
	if used := heap(s); used > 64<<20 {
		t.Errorf("%d keys take %d bytes, want no directory that grows with the bits they share", n, used)
	}
	loaded := vnode.NewSlice(ops, vnode.CBOR[int64]())
	if err := loaded.Load(delta); err != nil || !maps.Equal(contents(s), contents(loaded)) {
		t.Errorf("loaded %d keys, %v, want the %d that were captured", loaded.Len(), err, n)
	}
}

// TestChurnLeavesMemoryFlat inserts and deletes ever new keys (I8).
func TestChurnLeavesMemoryFlat(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	base := heap(nil)
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	const standing = 20_000
	next := int64(0)
	round := func(churn int64) {
		for range churn {
			s.Upsert(ops.Hash(next), next)
			s.Delete(ops.Hash(next-standing), next-standing)
			next++
		}
		_, mark, err := s.Capture(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Sealed(mark)
	}
	round(standing)
	round(standing)
	before := heap(s) - base
	for range 200 {
		round(standing / 10)
	}
	if after := heap(s) - base; after > before+before/4 {
		t.Errorf("%d bytes in use after churn, %d before", after, before)
	}
	if s.Len() != standing {
		t.Errorf("%d keys, want %d", s.Len(), standing)
	}
	for k := range next {
		s.Delete(ops.Hash(k), k)
	}
	round(0)
	if empty := heap(s) - min(base, heap(s)); empty > before/10 {
		t.Errorf("%d bytes in use by an emptied slice, %d when it was full", empty, before)
	}
}

// heap is what is in use while keep is, once no collection frees any more.
func heap(keep any) int64 {
	least := int64(math.MaxInt64)
	for {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if used := int64(m.HeapAlloc); used < least {
			least = used
			continue
		}
		runtime.KeepAlive(keep)
		return least
	}
}

// TestUnsealedCapturesStayBounded captures again and again without a seal (I8).
func TestUnsealedCapturesStayBounded(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	const keys = 1000
	var delta []byte
	round := func() {
		for k := range int64(keys) {
			s.Upsert(ops.Hash(k), k)
		}
		var err error
		if delta, _, err = s.Capture(delta[:0]); err != nil || s.Changed() != keys {
			t.Fatalf("%d changed keys, %v, want %d", s.Changed(), err, keys)
		}
	}
	round()
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("an unsealed capture makes %v allocations, want 0", n)
	}
}

func TestUpdateDoesNotAllocate(t *testing.T) {
	ops := vnode.NewKeyOps[string]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	k := fmt.Sprint("OR", "D")
	s.Upsert(ops.Hash(k), k)
	if n := testing.AllocsPerRun(100, func() {
		state, _ := s.Upsert(ops.Hash(k), k)
		*state++
	}); n != 0 {
		t.Errorf("an update made %v allocations, want 0", n)
	}
}

// TestCaptureSharesNothing changes a state that holds a map while its delta is out (I3).
func TestCaptureSharesNothing(t *testing.T) {
	ops := vnode.NewKeyOps[string]()
	s := vnode.NewSlice(ops, vnode.CBOR[map[string]int]())
	state, _ := s.Upsert(ops.Hash("a"), "a")
	*state = map[string]int{"x": 1}
	delta, _, err := s.Capture(nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	loaded := vnode.NewSlice(ops, vnode.CBOR[map[string]int]())
	go func() { done <- loaded.Load(delta) }()
	(*state)["x"] = 2
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, _ := loaded.Get(ops.Hash("a"), "a"); (*got)["x"] != 1 {
		t.Errorf("captured %v, want the state of the capture's turn, x = 1", *got)
	}
}

type failing struct{ vnode.Codec[int64] }

var errCodec = errors.New("cannot encode 13")

func (f failing) Append(dst []byte, v *int64) ([]byte, error) {
	if *v == 13 {
		return append(dst, "partial"...), errCodec
	}
	return f.Codec.Append(dst, v)
}

func TestFailedCaptureCapturesNothing(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice[int64, int64](ops, failing{vnode.CBOR[int64]()})
	for k := range int64(20) {
		state, _ := s.Upsert(ops.Hash(k), k)
		*state = k
	}
	delta, mark, err := s.Capture([]byte("mine"))
	if !errors.Is(err, errCodec) || string(delta) != "mine" || mark != 0 {
		t.Fatalf("capture = %q, mark %d, %v, want the delta as it came and the codec's error", delta, mark, err)
	}
	state, _ := s.Upsert(ops.Hash(13), 13)
	*state = 14
	if delta, _, err = s.Capture(nil); err != nil || s.Changed() != 20 {
		t.Errorf("next capture = %d bytes, %v, %d keys, want all 20", len(delta), err, s.Changed())
	}
}

func TestStrangeMarksAreIgnored(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	s.Upsert(ops.Hash(1), 1)
	for _, m := range []vnode.Mark{0, 1, 2, 3, 1 << 60} {
		s.Sealed(m)
	}
	if s.Changed() != 1 {
		t.Errorf("%d changed keys after seals of captures that never were, want 1", s.Changed())
	}
}

// TestChangesAreFoundWhereTheyMoved removes a tombstone in front of a row of keys that share a home, so that a
// changed one moves out of the block of slots that was marked for it.
func TestChangesAreFoundWhereTheyMoved(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	key := func(i uint64) (uint64, int64) { return i << 40, keyOf(i << 40) }
	for i := range uint64(200) {
		s.Upsert(key(i))
	}
	s.Sealed(capturedKeys(t, s, 200))
	s.Delete(key(0))
	mark := capturedKeys(t, s, 1)
	s.Upsert(key(128))
	s.Sealed(mark)
	capturedKeys(t, s, 1)
}

// capturedKeys captures and checks how many keys the delta holds.
func capturedKeys(t *testing.T, s *vnode.Slice[int64, int64], want int) vnode.Mark {
	t.Helper()
	delta, mark, err := s.Capture(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; len(delta) > 0; n++ {
		if _, delta, err = vnode.NextEntry(delta); err != nil {
			t.Fatal(err)
		}
	}
	if n != want {
		t.Fatalf("capture holds %d keys, want %d", n, want)
	}
	return mark
}

func TestLoadedKeysAreUnchanged(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s, other := vnode.NewSlice(ops, vnode.CBOR[int64]()), vnode.NewSlice(ops, vnode.CBOR[int64]())
	for k := range int64(3) {
		s.Upsert(ops.Hash(k), k)
		other.Upsert(ops.Hash(k), k)
	}
	s.Delete(ops.Hash(1), 1)
	delta, _, err := other.Capture(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(delta); err != nil || s.Changed() != 0 || s.Len() != 3 {
		t.Errorf("after a load of all 3 keys: %v, %d changed of %d, want 0 of 3", err, s.Changed(), s.Len())
	}
	capturedKeys(t, s, 0)
}

// TestKeysAreOwned: a sender may cut a key from a buffer that it uses again.
func TestKeysAreOwned(t *testing.T) {
	ops := vnode.NewKeyOps[string]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	buf := []byte("ORD")
	k := unsafe.String(&buf[0], len(buf))
	s.Upsert(ops.Hash(k), k)
	copy(buf, "LAX")
	if _, found := s.Get(ops.Hash("ORD"), "ORD"); !found {
		t.Errorf("keys %v after the sender's buffer changed, want ORD", contents(s))
	}
}

// FuzzLoad: no bytes make Load panic, and what it took can be captured and loaded again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	f.Add(vnode.AppendEntry(nil, vnode.Entry{Key: []byte("a"), Value: []byte{1}}))
	f.Add(vnode.AppendEntry(nil, vnode.Entry{Key: []byte("a"), Deleted: true}))
	f.Add(vnode.AppendEntry(nil, vnode.Entry{Key: []byte("b"), Value: []byte{0x1b, 255, 255, 255, 255, 255, 255, 255, 255}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, delta []byte) {
		ops := vnode.NewKeyOps[string]()
		s := vnode.NewSlice(ops, vnode.CBOR[int64]())
		if err := s.Load(delta); err != nil {
			return
		}
		want := contents(s)
		for k := range want {
			s.Upsert(ops.Hash(k), k)
		}
		again, _, err := s.Capture(nil)
		if err != nil {
			t.Fatal(err)
		}
		loaded := vnode.NewSlice(ops, vnode.CBOR[int64]())
		if err := loaded.Load(again); err != nil || !maps.Equal(contents(loaded), want) {
			t.Fatalf("loaded %v, %v, want %v", contents(loaded), err, want)
		}
	})
}
