package transport_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/certs"
	"github.com/sheaf-go/sheaf/remote/transport"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestMain lets more tests run side by side than there are processors: they wait.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil { // -parallel overrides it
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// node is an instance with a transport.
type node struct {
	*transport.Transport
	*handler
	logs *observer.ObservedLogs
}

// handler records what a transport tells it, and does what a test says.
type handler struct {
	check   func(remote.Hello) error
	receive func(from remote.Hello, data []byte, done func()) error
	up      func(remote.Hello)

	mu    sync.Mutex // guards what follows
	hello remote.Hello
	ups   []remote.Hello
	downs []remote.Hello
	whys  []error
	got   [][]byte
	moved chan struct{} // closed when something above changes
}

func (h *handler) Self() remote.Hello {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hello
}

func (h *handler) Check(peer remote.Hello) error {
	if h.check != nil {
		return h.check(peer)
	}
	return nil
}

func (h *handler) change(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
	close(h.moved)
	h.moved = make(chan struct{})
}

func (h *handler) Up(peer remote.Hello) {
	if h.up != nil {
		h.up(peer)
	}
	h.change(func() { h.ups = append(h.ups, peer) })
}

func (h *handler) Down(peer remote.Hello, why error) {
	h.change(func() { h.downs, h.whys = append(h.downs, peer), append(h.whys, why) })
}

func (h *handler) Receive(from remote.Hello, data []byte, done func()) error {
	if h.receive != nil {
		return h.receive(from, data, done)
	}
	h.change(func() { h.got = append(h.got, append([]byte(nil), data...)) })
	if done != nil {
		done()
	}
	return nil
}

// counts returns how often peers came up and went down, and how many frames came.
func (h *handler) counts() (ups, downs, got int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ups), len(h.downs), len(h.got)
}

// await waits until something holds of a handler.
func (h *handler) await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		h.mu.Lock()
		ok, moved := holds(), h.moved
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-moved:
		case <-timer.C:
			t.Fatalf("after %v there is still not: %s; up %d, down %d (%v), received %d", patience, what, len(h.ups), len(h.downs), h.whys, len(h.got))
		}
	}
}

// eventually waits until something holds that nothing tells of.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v there is still not: %s", patience, what)
		}
	}
}

func (n *node) member() remote.Member {
	return remote.Member{Instance: n.Self().Member.Instance, Address: n.Address()}
}

func newHandler(instance string) *handler {
	return &handler{moved: make(chan struct{}), hello: remote.Hello{
		Cluster: "c", Lowest: 1, Highest: 1, Capacity: 256, App: "app",
		Member: vnode.Member{Instance: instance, Incarnation: uuid.Must(uuid.NewV7())},
	}}
}

type option func(*remote.TransportConfig, *handler)

// open makes a node, with TLS if there is a directory of certificates.
func open(t testing.TB, dir, instance string, options ...option) *node {
	t.Helper()
	h := newHandler(instance)
	core, logs := observer.New(zap.WarnLevel)
	cfg := remote.TransportConfig{Listen: "127.0.0.1:0", Handler: h, Log: zap.New(core)}
	if dir != "" {
		cfg = withCert(cfg, dir, instance)
	}
	for _, o := range options {
		o(&cfg, h)
	}
	tr, err := transport.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return &node{tr, h, logs}
}

func withCert(cfg remote.TransportConfig, dir, name string) remote.TransportConfig {
	cfg.Cert, cfg.Key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	cfg.CA = filepath.Join(dir, "ca.pem")
	return cfg
}

func client(cfg *remote.TransportConfig, _ *handler) { cfg.Listen = "" }

// authority makes an authority and certificates of instances.
func authority(t testing.TB, instances ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := certs.WriteAuthority(dir); err != nil {
		t.Fatal(err)
	}
	for _, i := range instances {
		if err := certs.WriteMember(dir, i); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plain is a frame that is not tracked.
type plain []byte

func (f plain) Size() int                       { return len(f) }
func (f plain) Append(b []byte) ([]byte, error) { return append(b, f...), nil }

// tracked is one that is, and that counts how often it was done with.
type tracked struct {
	plain
	done *atomic.Int64
}

func (f tracked) Done() { f.done.Add(1) }

func number(n int) plain { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func numberOf(data []byte) int { return int(binary.BigEndian.Uint64(data)) }

var errNo = errors.New("no")

// refusedOnce waits until a node has refused connections of a kind, and checks that it logged that once.
func (n *node) refusedOnce(t *testing.T, kind string, times int) {
	t.Helper()
	eventually(t, "refused by "+kind, func() bool { return n.Refused()[kind] >= uint64(times) })
	if got := n.logs.FilterField(zap.String("kind", kind)).Len(); got != 1 {
		t.Errorf("%s: refusal by %s was logged %d times, want once: %v", n.Self().Member.Instance, kind, got, n.logs.All())
	}
}
