package vnode_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/vnode"
)

type board struct {
	Flights  int64
	DelaySum int64 `json:"delay_sum"`
	DelayMax int32 `cbor:"max"`
	Late     uint64
	Late2    uint8
	Open     bool
	Name     string
	Raw      []byte
}

// Mean is here because a method that encodes nothing must not matter.
func (b board) Mean() int64 { return b.DelaySum / max(b.Flights, 1) }

type count int64

type hex uint32

func (h hex) MarshalBinary() ([]byte, error) { return []byte{byte(h)}, nil }

func (h *hex) UnmarshalBinary(b []byte) error {
	if len(b) != 1 {
		return errors.New("want one byte")
	}
	*h = hex(b[0])
	return nil
}

type optional struct {
	A int64 `cbor:",omitempty"`
	B int64
}

type listed struct {
	_    struct{} `cbor:",toarray"`
	A, B int64
}

type nested struct {
	board
	Inner struct{ X, Y float64 }
	Seen  map[string][]int64
}

// TestCBORIsCanonical compares with the library in core deterministic mode: fast path or not, the same bytes.
func TestCBORIsCanonical(t *testing.T) {
	t.Run("int", canonical[int]())
	t.Run("int8", canonical[int8]())
	t.Run("int16", canonical[int16]())
	t.Run("int32", canonical[int32]())
	t.Run("int64", canonical[int64]())
	t.Run("uint8", canonical[uint8]())
	t.Run("uint16", canonical[uint16]())
	t.Run("uint32", canonical[uint32]())
	t.Run("uint64", canonical[uint64]())
	t.Run("bool", canonical[bool]())
	t.Run("string", canonical[string]())
	t.Run("float64", canonical[float64]())
	t.Run("named", canonical[count]())
	t.Run("encodes itself", canonical[hex]())
	t.Run("struct", canonical[board]())
	t.Run("struct of structs", canonical[nested]())
	t.Run("omitted fields", canonical[optional]())
	t.Run("array of fields", canonical[listed]())
	t.Run("field that encodes itself", canonical[struct{ H hex }]())
	t.Run("no fields", canonical[struct{}]())
	t.Run("pointer", canonical[*int64]())
	t.Run("map", canonical[map[string]int64]())
	t.Run("bytes", rapid.MakeCheck(func(t *rapid.T) {
		checkCanonical(t, rapid.SampledFrom([][]byte{nil, {}, {1}, make([]byte, 300)}).Draw(t, "value"))
	}))
}

func canonical[T any]() func(*testing.T) {
	return rapid.MakeCheck(func(t *rapid.T) { checkCanonical(t, valueOf[T](t)) })
}

// valueOf draws a value, with the edges of an encoding more often than chance has them.
func valueOf[T any](t *rapid.T) T {
	v := rapid.Make[T]().Draw(t, "value")
	edge := rapid.SampledFrom([]int64{0, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, -1, -24, -25}).Draw(t, "edge")
	if rv := reflect.ValueOf(&v).Elem(); rapid.Bool().Draw(t, "use the edge") && rv.CanInt() && !rv.OverflowInt(edge) {
		rv.SetInt(edge)
	}
	return v
}

func checkCanonical[T any](t *rapid.T, v T) {
	codec := vnode.CBOR[T]()
	opts := cbor.CoreDetEncOptions()
	opts.Time = cbor.TimeRFC3339Nano
	mode, err := opts.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	want, err := mode.Marshal(&v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec.Append([]byte("before"), &v)
	if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Fatalf("append %#v = %x, %v, want %x", v, got, err, want)
	}
	var back T
	if err := codec.Decode(want, &back); err != nil {
		t.Fatalf("decode %x: %v", want, err)
	}
	clear(want) // back must not alias it
	again, err := codec.Append(nil, &back)
	if err != nil || !bytes.Equal(again, got[len("before"):]) {
		t.Fatalf("%#v came back as %#v, %x, want %x", v, back, again, got[len("before"):])
	}
}

// TestCBORReadsWhatTheLibraryReads decodes other forms of a value than the canonical one, and other versions of
// a struct.
func TestCBORReadsWhatTheLibraryReads(t *testing.T) {
	type before struct{ A, Gone int64 }
	type after struct{ A, New int64 }
	old, err := vnode.CBOR[before]().Append(nil, &before{A: 7, Gone: 8})
	if err != nil {
		t.Fatal(err)
	}
	var got after
	if err := vnode.CBOR[after]().Decode(old, &got); err != nil || got != (after{A: 7}) {
		t.Errorf("decode of a struct with other fields = %+v, %v, want A 7", got, err)
	}
	var n int64
	if err := vnode.CBOR[int64]().Decode([]byte{0x19, 0, 5}, &n); err != nil || n != 5 {
		t.Errorf("decode of a long 5 = %d, %v, want 5", n, err)
	}
}

func TestCBORRefusesOtherBytes(t *testing.T) {
	for name, src := range map[string][]byte{
		"nothing": {}, "a rest": {1, 2}, "cut": {0x19, 1}, "text": {0x61, 'a'}, "too wide": {0x18, 200},
		"too negative": {0x38, 200}, "reserved": {0x1c}, "huge": {0x1b, 255, 255, 255, 255, 255, 255, 255, 255},
	} {
		var v int8
		if err := vnode.CBOR[int8]().Decode(src, &v); err == nil {
			t.Errorf("%s: decode %x = %d, want an error", name, src, v)
		}
	}
}

// TestCBORReadsBackWhatItWrites covers what the library's own defaults would lose or refuse.
func TestCBORReadsBackWhatItWrites(t *testing.T) {
	at := time.Date(2001, 1, 31, 23, 59, 59, 123456789, time.UTC)
	if got := back(t, at); !got.Equal(at) {
		t.Errorf("time %v came back as %v", at, got)
	}
	if got := back(t, "\xff"); got != "\xff" {
		t.Errorf("text that is not UTF-8 came back as %q", got)
	}
	if got := back(t, make([]int64, 200_000)); len(got) != 200_000 {
		t.Errorf("200,000 numbers came back as %d", len(got))
	}
}

func back[T any](t *testing.T, v T) (got T) {
	t.Helper()
	codec := vnode.CBOR[T]()
	src, err := codec.Append(nil, &v)
	if err != nil {
		t.Fatal(err)
	}
	if err := codec.Decode(src, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestCBORReportsWhatItCannotWrite(t *testing.T) {
	v := make(chan int)
	if got, err := vnode.CBOR[chan int]().Append([]byte("mine"), &v); err == nil || string(got) != "mine" {
		t.Errorf("append a channel = %q, %v, want the bytes as they came and an error", got, err)
	}
}

// FuzzCBOR: a struct with a fast path decodes whatever the library does, to the same value.
func FuzzCBOR(f *testing.F) {
	seed, err := vnode.CBOR[board]().Append(nil, &board{Flights: -1, DelaySum: 1 << 40, Name: "ORD", Raw: []byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, src []byte) {
		var got, want board
		gotErr := vnode.CBOR[board]().Decode(src, &got)
		mode, err := cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode()
		if err != nil {
			t.Fatal(err)
		}
		wantErr := mode.Unmarshal(src, &want)
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("decode %x = %+v, %v, want as the library %+v, %v", src, got, gotErr, want, wantErr)
		}
	})
}

// BenchmarkCBOR compares a struct of numbers with the library.
func BenchmarkCBOR(b *testing.B) {
	v := board{Flights: 1000, DelaySum: 123456, DelayMax: 600, Late: 17, Name: "ORD"}
	codec := vnode.CBOR[board]()
	src, err := codec.Append(nil, &v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		for buf := []byte(nil); b.Loop(); {
			buf, _ = codec.Append(buf[:0], &v)
		}
	})
	b.Run("append/library", func(b *testing.B) {
		for b.Loop() {
			_, _ = cbor.Marshal(&v)
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var v board
			_ = codec.Decode(src, &v)
		}
	})
	b.Run("decode/library", func(b *testing.B) {
		for b.Loop() {
			var v board
			_ = cbor.Unmarshal(src, &v)
		}
	})
}
