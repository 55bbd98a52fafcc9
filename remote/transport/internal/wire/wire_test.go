package wire_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
	"github.com/sheaf-go/sheaf/vnode"
)

var update = flag.Bool("update", false, "write the golden files anew: a format that changes needs a new number")

const limit = 1 << 20

func hello() wire.Hello {
	return wire.Hello{Hello: remote.Hello{
		Cluster: "prod", Lowest: 1, Highest: 2, Address: "10.0.0.1:7070", Capacity: 256, App: "counts/cbor", Version: 7, Term: 3,
		Member: vnode.Member{Instance: "node-0", Incarnation: uuid.MustParse("0192aaaa-bbbb-7ccc-8ddd-eeeeffff0001")}, Client: true,
	}, Intended: "node-1", Probe: true}
}

// frames is one of each kind.
func frames() []byte {
	b := wire.AppendHello(nil, hello())
	b = wire.AppendEnd(b, "cluster", `cluster "a", not "b"`)
	start := len(b)
	b = append(wire.Start(b, wire.KindPlain, 0), "plain data"...)
	wire.Finish(b, start)
	start = len(b)
	b = append(wire.Start(b, wire.KindTracked, 5), "tracked data"...)
	wire.Finish(b, start)
	b = wire.AppendDone(b, []wire.Range{{First: 1, Last: 4}, {First: 9, Last: 9}})
	return wire.AppendAlive(b)
}

func TestFormatStaysAsItIs(t *testing.T) {
	path := filepath.Join("testdata", "frames-v1.golden")
	if *update {
		if err := os.WriteFile(path, frames(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := frames(); !bytes.Equal(got, want) {
		t.Errorf("format 1 is encoded as\n%x, want\n%x", got, want)
	}
	all, err := read([][]byte{want})
	if err != nil || len(all) != 6 {
		t.Fatalf("the golden file holds %d frames (%v), want 6", len(all), err)
	}
	if h, err := wire.ParseHello(all[0].Body); err != nil || !reflect.DeepEqual(h, hello()) {
		t.Errorf("hello %+v (%v), want %+v", h, err, hello())
	}
	if kind, reason, err := wire.ParseEnd(all[1].Body); err != nil || kind != "cluster" || reason != `cluster "a", not "b"` {
		t.Errorf("end %q %q (%v)", kind, reason, err)
	}
	if f := all[3]; f.Number != 5 || string(f.Body) != "tracked data" {
		t.Errorf("tracked frame %+v", f)
	}
	if r, err := wire.ParseDone(nil, all[4].Body); err != nil || !reflect.DeepEqual(r, []wire.Range{{First: 1, Last: 4}, {First: 9, Last: 9}}) {
		t.Errorf("ranges %v (%v)", r, err)
	}
}

// read returns the frames of one message, with bodies of their own.
func read(pieces [][]byte) (all []wire.Frame, err error) {
	r := wire.NewReader(limit)
	r.Reset(pieces)
	for {
		f, ok, err := r.Next()
		if err != nil || !ok {
			return all, err
		}
		f.Body = bytes.Clone(f.Body)
		all = append(all, f)
	}
}

// split cuts bytes into pieces at random.
func split(b []byte, seed uint64) [][]byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var pieces [][]byte
	for len(b) > 0 {
		n := min(random.IntN(16), len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

func TestAHelloOfAnotherFormatSaysSo(t *testing.T) {
	all, err := read([][]byte{wire.AppendHello(nil, hello())})
	if err != nil {
		t.Fatal(err)
	}
	all[0].Body[8] = 2
	var format *wire.FormatError
	if _, err := wire.ParseHello(all[0].Body); !errors.As(err, &format) || format.Format != 2 {
		t.Errorf("a hello of format 2: %v", err)
	}
}

func TestNumbersBecomeRanges(t *testing.T) {
	got := wire.Ranges(nil, []uint64{7, 1, 3, 2, 9, 3, 8})
	if want := []wire.Range{{First: 1, Last: 3}, {First: 7, Last: 9}}; !reflect.DeepEqual(got, want) {
		t.Errorf("ranges %v, want %v", got, want)
	}
}

// FuzzReader: whatever comes is read the same in one piece and in many, and is an error of format or encodes to itself.
func FuzzReader(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "frames-v1.golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, uint64(1))
	f.Add(golden[:len(golden)-3], uint64(2))
	f.Add([]byte{byte(wire.KindTracked), 255, 255, 255, 255, 1}, uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		all, err := read([][]byte{data})
		again, err2 := read(split(data, seed))
		if (err == nil) != (err2 == nil) || !reflect.DeepEqual(all, again) {
			t.Fatalf("%x: %v (%v) in one piece, %v (%v) in many", data, all, err, again, err2)
		}
		if err != nil && !errors.Is(err, wire.ErrFormat) {
			t.Fatalf("%x: error %v", data, err)
		}
		var b []byte
		for _, x := range all {
			start := len(b)
			b = append(wire.Start(b, x.Kind, x.Number), x.Body...)
			wire.Finish(b, start)
			bodies(t, x)
		}
		if err == nil && !bytes.Equal(b, data) {
			t.Fatalf("%x is read and encoded as %x", data, b)
		}
	})
}

// bodies checks that what a body holds encodes to itself.
func bodies(t *testing.T, f wire.Frame) {
	switch f.Kind {
	case wire.KindHello:
		if h, err := wire.ParseHello(f.Body); err == nil {
			b := wire.AppendHello(nil, h)[wire.HeaderSize:]
			if again, err := wire.ParseHello(b); err != nil || again != h {
				t.Fatalf("hello %+v is read again as %+v (%v)", h, again, err)
			}
		}
	case wire.KindEnd:
		_, _, _ = wire.ParseEnd(f.Body)
	case wire.KindDone:
		if r, err := wire.ParseDone(nil, f.Body); err == nil && !bytes.Equal(wire.AppendDone(nil, r)[wire.HeaderSize:], f.Body) {
			t.Fatalf("ranges %v are not what they were", r)
		}
	default:
	}
}
