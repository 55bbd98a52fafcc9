package vnode_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/vnode"
)

var update = flag.Bool("update", false, "write the golden files")

// TestHashesAsTheReference compares string and array keys with hashes of the reference implementation.
func TestHashesAsTheReference(t *testing.T) {
	f, err := os.Open("testdata/xxh3.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4096)
	for i := range buf {
		buf[i] = byte((i + 1) % 251)
	}
	ops, n := vnode.NewKeyOps[string](), 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var size int
		var want uint64
		if _, err := fmt.Sscanf(lines.Text(), "%d %x", &size, &want); err != nil {
			continue // a comment
		}
		n++
		if got := ops.Hash(string(buf[:size])); got != want {
			t.Errorf("hash of %d bytes = %016x, want %016x", size, got, want)
		}
		if got := xxh3.Hash(buf[:size]); got != want {
			t.Errorf("library's hash of %d bytes = %016x, want %016x", size, got, want)
		}
	}
	if n < 40 {
		t.Errorf("read %d vectors, want at least 40", n)
	}
}

// TestHashNeverChanges pins the hash of one key of every kind: a change would give stored keys to other vnodes.
func TestHashNeverChanges(t *testing.T) {
	const golden = "testdata/keys.golden"
	var got bytes.Buffer
	goldenKeys(&got)
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("keys hash to\n%swant\n%s", &got, want)
	}
}

func goldenKeys(w *bytes.Buffer) {
	golden(w, "")
	golden(w, "ORD")
	golden(w, "ORD-LAX-2001-01-01")
	golden(w, "grün")
	golden(w, strings.Repeat("x", vnode.MaxKeyLen))
	golden(w, int(5))
	golden(w, int8(5))
	golden(w, int8(-5))
	golden(w, int16(-5))
	golden(w, int32(-5))
	golden(w, int64(-5))
	golden(w, int64(math.MinInt64))
	golden(w, uint(5))
	golden(w, uint8(255))
	golden(w, uint16(math.MaxUint16))
	golden(w, uint32(math.MaxUint32))
	golden(w, uint64(math.MaxUint64))
	golden(w, [4]byte{1, 2, 3, 4})
	golden(w, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	golden(w, [12]byte{1, 11: 12})
	golden(w, [16]byte{1, 15: 16})
	golden(w, [20]byte{1, 19: 20})
	golden(w, [24]byte{1, 23: 24})
	golden(w, [32]byte{1, 31: 32})
	golden(w, [64]byte{1, 63: 64})
}

func golden[K vnode.Key](w *bytes.Buffer, k K) {
	ops := vnode.NewKeyOps[K]()
	key := fmt.Sprintf("%x", ops.Append(nil, k))
	if len(key) > 200 {
		key = fmt.Sprintf("%s…(%d bytes)", key[:16], len(key)/2)
	}
	fmt.Fprintf(w, "%T %s %s %016x\n", k, ops.ID(), key, ops.Hash(k))
}

type airport string

type flight int32

type digest [20]byte

// TestKeysComeBack checks every kind, with types of the user's own among them.
func TestKeysComeBack(t *testing.T) {
	t.Run("string", comesBack("string", rapid.String()))
	t.Run("airport", comesBack("string", rapid.Map(rapid.String(), func(s string) airport { return airport(s) })))
	t.Run("int", comesBack("int64", rapid.Int()))
	t.Run("int8", comesBack("int64", rapid.Int8()))
	t.Run("int16", comesBack("int64", rapid.Int16()))
	t.Run("int32", comesBack("int64", rapid.Int32()))
	t.Run("int64", comesBack("int64", rapid.Int64()))
	t.Run("flight", comesBack("int64", rapid.Map(rapid.Int32(), func(i int32) flight { return flight(i) })))
	t.Run("uint", comesBack("uint64", rapid.Uint()))
	t.Run("uint8", comesBack("uint64", rapid.Uint8()))
	t.Run("uint16", comesBack("uint64", rapid.Uint16()))
	t.Run("uint32", comesBack("uint64", rapid.Uint32()))
	t.Run("uint64", comesBack("uint64", rapid.Uint64()))
	t.Run("bytes4", comesBack("bytes4", rapid.Map(bytesOf(4), func(b []byte) [4]byte { return [4]byte(b) })))
	t.Run("bytes8", comesBack("bytes8", rapid.Map(bytesOf(8), func(b []byte) [8]byte { return [8]byte(b) })))
	t.Run("digest", comesBack("bytes20", rapid.Map(bytesOf(20), func(b []byte) digest { return digest(b) })))
	t.Run("bytes64", comesBack("bytes64", rapid.Map(bytesOf(64), func(b []byte) [64]byte { return [64]byte(b) })))
}

func bytesOf(n int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), n, n) }

func comesBack[K vnode.Key](id string, keys *rapid.Generator[K]) func(*testing.T) {
	return rapid.MakeCheck(func(t *rapid.T) {
		ops, k := vnode.NewKeyOps[K](), keys.Draw(t, "key")
		if got := ops.ID(); got != id {
			t.Fatalf("id of %T = %q, want %q", k, got, id)
		}
		encoded := ops.Append([]byte("before"), k)[len("before"):]
		if got, want := ops.Hash(k), xxh3.Hash(encoded); got != want {
			t.Fatalf("hash of %v = %016x, want that of its bytes %016x", k, got, want)
		}
		got, err := ops.Decode(encoded)
		clear(encoded)
		if err != nil || got != k {
			t.Fatalf("decode %v = %v, %v", k, got, err)
		}
		if err := ops.Check(k); err != nil {
			t.Fatalf("check %v: %v", k, err)
		}
	})
}

func TestIntegersOfEveryWidthAgree(t *testing.T) {
	want := vnode.NewKeyOps[int64]().Hash(-7)
	for _, got := range []uint64{
		vnode.NewKeyOps[int]().Hash(-7), vnode.NewKeyOps[int8]().Hash(-7),
		vnode.NewKeyOps[int16]().Hash(-7), vnode.NewKeyOps[int32]().Hash(-7),
	} {
		if got != want {
			t.Errorf("hash of -7 = %016x, want that of int64 %016x", got, want)
		}
	}
}

func TestBadKeyBytesAreTyped(t *testing.T) {
	word := func(x int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(x)) }
	for name, err := range map[string]error{
		"short integer":     decodeError[int64](word(1)[:7]),
		"long integer":      decodeError[uint16](append(word(1), 0)),
		"int8 overflow":     decodeError[int8](word(128)),
		"int32 underflow":   decodeError[int32](word(math.MinInt32 - 1)),
		"negative uint32":   decodeError[uint32](word(-1)),
		"short array":       decodeError[[16]byte](make([]byte, 15)),
		"no integer at all": decodeError[int64](nil),
	} {
		if !errors.Is(err, vnode.ErrKey) {
			t.Errorf("%s: error %v, want ErrKey", name, err)
		}
	}
}

func decodeError[K vnode.Key](src []byte) error {
	_, err := vnode.NewKeyOps[K]().Decode(src)
	return err
}

func TestLongKeyNamesTheLimit(t *testing.T) {
	ops, long := vnode.NewKeyOps[string](), strings.Repeat("x", vnode.MaxKeyLen+1)
	for name, err := range map[string]error{"check": ops.Check(long), "decode": decodeError[string]([]byte(long))} {
		var tooLong *vnode.KeyTooLongError
		if !errors.As(err, &tooLong) || tooLong.Len != 4097 || !strings.Contains(err.Error(), "4096") {
			t.Errorf("%s: %v, want a KeyTooLongError of 4097 bytes with the limit 4096", name, err)
		}
	}
	if err := ops.Check(long[1:]); err != nil {
		t.Errorf("key of %d bytes: %v, want none", vnode.MaxKeyLen, err)
	}
}

func TestHashDoesNotAllocate(t *testing.T) {
	text, word, array := vnode.NewKeyOps[airport](), vnode.NewKeyOps[flight](), vnode.NewKeyOps[digest]()
	var sum uint64
	if n := testing.AllocsPerRun(100, func() {
		sum += text.Hash("ORD") + word.Hash(5) + array.Hash(digest{1})
	}); n != 0 {
		t.Errorf("three hashes made %v allocations, want 0", n)
	}
}

// BenchmarkHash compares with the library's hash of the same bytes.
func BenchmarkHash(b *testing.B) {
	b.Run("int64", hashBench(int64(5)))
	b.Run("int32", hashBench(int32(5)))
	b.Run("string", hashBench("ORD-LAX-2001-01-01"))
	b.Run("bytes16", hashBench([16]byte{1}))
	b.Run("library/8", func(b *testing.B) {
		buf := make([]byte, 8)
		for b.Loop() {
			xxh3.Hash(buf)
		}
	})
}

func hashBench[K vnode.Key](k K) func(*testing.B) {
	return func(b *testing.B) {
		ops := vnode.NewKeyOps[K]()
		for b.Loop() {
			ops.Hash(k)
		}
	}
}
