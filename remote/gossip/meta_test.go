package gossip_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/gossip"
)

var update = flag.Bool("update", false, "write the golden files anew")

const golden = "testdata/meta-v1.bin"

func goldenMember() remote.Member {
	return remote.Member{
		Instance: "node-0", Incarnation: uuid.MustParse("0190a000-1111-7222-8333-444455556666"), Address: "10.0.0.1:7070",
		Zone: "west", Weight: 7, Leaving: true,
	}
}

func TestMetaStaysReadable(t *testing.T) {
	b, err := gossip.EncodeMeta(config(), goldenMember())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
	for _, more := range []string{"", "of a newer release"} {
		if m, err := gossip.DecodeMeta(config(), append(bytes.Clone(want), more...)); m != goldenMember() || err != nil {
			t.Errorf("with %q behind it: got %+v, %v", more, m, err)
		}
	}
	for n := range want {
		if _, err := gossip.DecodeMeta(config(), want[:n]); err == nil {
			t.Errorf("cut off after %d bytes: no error", n)
		}
	}
	newer := append([]byte{2}, want[1:]...)
	if _, err := gossip.DecodeMeta(config(), newer); err == nil {
		t.Error("version 2: no error")
	}
}

func FuzzMeta(f *testing.F) {
	b, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := gossip.DecodeMeta(config(), b)
		if err != nil {
			return
		}
		again, err := gossip.EncodeMeta(config(), m)
		var size *gossip.MetaSizeError
		if errors.As(err, &size) && size.Size > size.Max {
			return
		}
		if n, err := gossip.DecodeMeta(config(), again); n != m || err != nil {
			t.Errorf("got %+v, %v, want %+v", n, err, m)
		}
	})
}
