package transport_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport"
)

func TestCloseMayBeCalledTwice(t *testing.T) {
	tr, err := transport.New(remote.TransportConfig{Listen: "127.0.0.1:0", Handler: newHandler("a")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestWithoutTLSOnlyLoopback proves I12.
func TestWithoutTLSOnlyLoopback(t *testing.T) {
	var exposed *remote.ExposedError
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, err := transport.New(remote.TransportConfig{Listen: address, Handler: newHandler("a")})
		if !errors.As(err, &exposed) {
			t.Errorf("listen on %s without TLS: %v", address, err)
		}
	}
	a := open(t, "", "a", func(cfg *remote.TransportConfig, _ *handler) { cfg.Listen = "localhost:0" })
	if _, err := a.Probe(t.Context(), "192.0.2.1:7070"); !errors.As(err, &exposed) {
		t.Errorf("dial off loopback without TLS: %v", err)
	}
	b, err := transport.New(remote.TransportConfig{Listen: "0.0.0.0:0", Advertise: "b:7070", Insecure: true, Handler: newHandler("b")})
	if err != nil {
		t.Fatal(err)
	}
	if b.Address() != "b:7070" {
		t.Errorf("address %q, want the one to advertise", b.Address())
	}
	b.Close()
}

func TestConfigIsChecked(t *testing.T) {
	dir := authority(t, "a")
	for _, c := range []struct {
		name string
		cfg  remote.TransportConfig
		want string
	}{
		{"no handler", remote.TransportConfig{}, "no handler"},
		{"frames too large", remote.TransportConfig{Handler: newHandler("a"), MaxFrame: 2 << 30}, "at most"},
		{"half of TLS", remote.TransportConfig{Handler: newHandler("a"), Cert: filepath.Join(dir, "a.pem")}, "key is missing"},
		{"no such file", withCert(remote.TransportConfig{Handler: newHandler("a")}, dir, "b"), "b.pem"},
		{"a client that is advertised", remote.TransportConfig{Handler: newHandler("a"), Advertise: "a:1"}, "nothing listens"},
		{"no address to dial", remote.TransportConfig{Handler: newHandler("a"), Listen: ":0", Insecure: true}, "advertise"},
	} {
		if _, err := transport.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestProbeSaysWhoIsThere(t *testing.T) {
	secured(t, []string{"a", "b"}, func(t *testing.T, dir string) {
		a := open(t, dir, "a")
		b := open(t, dir, "b", func(_ *remote.TransportConfig, h *handler) {
			h.check = func(remote.Hello) error { return errNo }
			h.hello.Version = 7
		})
		h, err := a.Probe(t.Context(), b.Address())
		if want := b.Self(); err != nil || h.Member != want.Member || h.Version != 7 || h.Address != b.Address() || h.Client {
			t.Errorf("probe: %+v, %v", h, err)
		}
		if s := b.Status(); len(s) > 0 || len(b.Refused()) > 0 {
			t.Errorf("a probe became a peer, %+v, or was refused, %v", s, b.Refused())
		}
		b.change(func() { b.hello.Cluster = "d" })
		var refused *remote.RefusedError
		if _, err := a.Probe(t.Context(), b.Address()); !errors.As(err, &refused) || refused.Kind != remote.RefusedCluster {
			t.Errorf("probe of another cluster: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := a.Probe(ctx, serve(t, silent)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("probe of what never answers: %v", err)
		}
	})
}

// TestCertificatesAreReadAgain: connections that are made after the files have changed use what is there then.
func TestCertificatesAreReadAgain(t *testing.T) {
	dir, next := authority(t, "a", "b"), authority(t, "a", "b")
	a, b := open(t, dir, "a"), open(t, dir, "b")
	network := newProxy(t, b.Address())
	a.Dial([]remote.Member{network.member("b")})
	goesOn(t, a, b)
	network.cut()
	goesOn(t, a, b)
	old := t.TempDir()
	for _, name := range []string{"ca.pem", "a.pem", "a-key.pem"} {
		copyFile(t, filepath.Join(dir, name), filepath.Join(old, name))
	}
	for _, name := range []string{"ca.pem", "a.pem", "b.pem", "a-key.pem", "b-key.pem"} {
		copyFile(t, filepath.Join(next, name), filepath.Join(dir, name))
	}
	_, downs, _ := a.counts()
	network.cut()
	a.await(t, "down", func() bool { return len(a.downs) > downs })
	goesOn(t, a, b)
	late := open(t, "", "a", client, func(cfg *remote.TransportConfig, _ *handler) { *cfg = withCert(*cfg, old, "a") })
	late.Dial([]remote.Member{b.member()})
	late.refusedOnce(t, remote.RefusedTLS, 1)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDialKeepsToItsList(t *testing.T) {
	a, b, c := open(t, "", "a"), open(t, "", "b"), open(t, "", "c")
	var done atomic.Int64
	for range 20 { // a peer that comes again waits for the end of what was
		a.Dial([]remote.Member{b.member()})
		a.Dial([]remote.Member{c.member()})
	}
	a.Dial([]remote.Member{b.member(), c.member(), {Instance: "d"}})
	goesOnUp(t, a, 2)
	a.Send("c", tracked{number(1), &done})
	a.Dial([]remote.Member{b.member()})
	if a.Send("c", number(2)) {
		t.Error("a frame for what is no peer any more was taken")
	}
	a.await(t, "c is down", func() bool { return len(a.ups)-len(a.downs) == 1 })
	eventually(t, "it is done with", func() bool { return done.Load() == 1 })
	// Another address for the same instance.
	network := newProxy(t, b.Address())
	a.Dial([]remote.Member{network.member("b")})
	goesOnUp(t, a, 1)
	eventually(t, "b is reached there", func() bool { s := a.Status()[0]; return s.Up && s.Address == network.Addr().String() })
	goesOn(t, a, b)
}

func goesOnUp(t *testing.T, n *node, peers int) {
	t.Helper()
	n.await(t, "peers are up", func() bool { return len(n.ups)-len(n.downs) == peers })
}

// TestCloseIsQuick: whatever the peers do.
func TestCloseIsQuick(t *testing.T) {
	block := make(chan struct{})
	a := open(t, "", "a")
	b := open(t, "", "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(remote.Hello, []byte, func()) error { <-block; return nil }
	})
	a.Dial([]remote.Member{b.member(), {Instance: "x", Address: serve(t, silent)}, {Instance: "gone", Address: "127.0.0.1:1"}})
	goesOnUp(t, a, 1)
	var done atomic.Int64
	const sent = 1024 // 64 MiB, which nobody reads
	for range sent {
		if !a.Send("b", tracked{make(plain, 64<<10), &done}) {
			t.Fatal("a tracked frame was dropped")
		}
	}
	began := time.Now()
	a.Close()
	if took := time.Since(began); took > 2*time.Second { // one, on a machine with time
		t.Errorf("close took %v", took)
	}
	if done.Load() != sent {
		t.Errorf("%d of %d frames are done with", done.Load(), sent)
	}
	_, downs, _ := a.counts()
	if downs != 1 {
		t.Errorf("%d peers went down, want 1", downs)
	}
	close(block)
}

func TestCloseSendsWhatWaits(t *testing.T) {
	a, b := open(t, "", "a"), open(t, "", "b")
	a.Dial([]remote.Member{b.member()})
	goesOnUp(t, a, 1)
	for i := range 1000 {
		a.Send("b", number(i))
	}
	a.Close()
	b.await(t, "all frames", func() bool { return len(b.got) == 1000 })
}
