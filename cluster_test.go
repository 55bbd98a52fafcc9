package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote/certs"
)

// members are the configurations of a static cluster on loopback, over one directory. The first lists some vnodes, the
// last owns the rest.
func members(t *testing.T, url string, n int) []sheaf.Config {
	t.Helper()
	const capacity = 16
	var addresses, seeds []string
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		seeds = append(seeds, fmt.Sprintf("n%d=%s", i, addresses[i]))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var out []sheaf.Config
	for i := range n {
		c := backend.ObjectStore(url, fmt.Sprintf("n%d", i))
		c.VnodeCapacity, c.SeedPeers, c.Cluster.Listen = capacity, seeds, addresses[i]
		if i < n-1 {
			each := capacity / n
			c.Vnodes = backend.ListVnodes(backend.VnodeRange{First: i * each, Last: (i+1)*each - 1})
		}
		out = append(out, sheaf.Config{State: c, Epoch: 50 * time.Millisecond, SealTimeout: 2 * time.Second})
	}
	return out
}

// openAll opens all members at once, as the first start of a cluster needs.
func openAll(t *testing.T, configs []sheaf.Config, sinks ...sheaf.Sink[total]) []*tallyInstance {
	t.Helper()
	return openAllOn(t.Context(), t, configs, sinks...)
}

// openAllOn does so under a context, which may bring a store.
func openAllOn(ctx context.Context, t *testing.T, configs []sheaf.Config, sinks ...sheaf.Sink[total]) []*tallyInstance {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, errs := make([]*tallyInstance, len(configs)), make([]error, len(configs))
	var wg sync.WaitGroup
	for i := range configs {
		wg.Go(func() { out[i], errs[i] = sheaf.Open(ctx, configs[i], tallies(), sinks...) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("open member %d: %v", i, err)
		}
		t.Cleanup(func() { abort(out[i]) })
	}
	return out
}

func TestClusterCountsWhatEveryMemberSends(t *testing.T) {
	const keys, each = 100, 2000
	var mu sync.Mutex // guards last
	var last sheaf.Result[total]
	sink := sheaf.SinkFunc[total](func(_ context.Context, r sheaf.Result[total]) error {
		mu.Lock()
		defer mu.Unlock()
		last = r
		return nil
	})
	all := openAll(t, members(t, "file://"+t.TempDir(), 3), sink)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i, in := range all {
		wg.Go(func() {
			p, err := in.Producer(ctx, fmt.Sprintf("p%d", i))
			if err != nil {
				t.Errorf("open producer %d: %v", i, err)
				return
			}
			for n := range each {
				if _, err := p.Send(ctx, event{Key: fmt.Sprint("k", n%keys), Add: 1}); err != nil {
					t.Errorf("send %d: %v", n, err)
					return
				}
			}
			if err := p.Flush(ctx); err != nil {
				t.Errorf("flush %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i, in := range all {
		for k := range keys {
			if got, _, err := in.Get(ctx, fmt.Sprint("k", k)); err != nil || got != each/keys*int64(len(all)) {
				t.Fatalf("member %d, key %d: got %d %v, want %d", i, k, got, err, each/keys*len(all))
			}
		}
	}
	if err := all[0].Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := (total{Keys: keys, Sum: int64(len(all) * each)}); last.Value != want {
		t.Errorf("the last result is %+v, want %+v", last.Value, want)
	}
}

// exact is a sink that checks every result against its own cuts: each event of its sources adds 1.
func exact(t *testing.T, box *inbox) sheaf.Sink[total] {
	return sheaf.SinkFunc[total](func(ctx context.Context, r sheaf.Result[total]) error {
		var want int64
		for _, at := range r.Cuts {
			want += int64(at)
		}
		if r.Value.Sum != want {
			t.Errorf("epoch %d: the sum is %d, its cuts %v hold %d", r.Epoch, r.Value.Sum, r.Cuts, want)
		}
		return box.Emit(ctx, r)
	})
}

// TestClusterOutlivesItsMembers ends members as a crash would, the coordinator among them, while all read sources, and
// starts them again (I4, I5, I6).
func TestClusterOutlivesItsMembers(t *testing.T) {
	const length = 40_000
	var box inbox
	configs := members(t, "file://"+t.TempDir(), 3)
	all := openAll(t, configs, exact(t, &box))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ends := make([]<-chan struct{}, len(all))
	attach := func(i int) {
		t.Helper()
		s := scripted(repeated(length))
		s.chunk, s.every = 20, time.Millisecond
		var err error
		if ends[i], err = all[i].Attach(ctx, fmt.Sprintf("s%d", i), s); err != nil {
			t.Fatalf("attach to member %d: %v", i, err)
		}
	}
	for i := range all {
		attach(i)
	}
	for _, i := range []int{1, 0, 2, 0} {
		before := all[i].Status().Epoch
		await(ctx, t, "two epochs more", func() bool { return all[i].Status().Epoch >= before+2 })
		abort(all[i])
		in, err := sheaf.Open(ctx, configs[i], tallies(), exact(t, &box))
		if err != nil {
			t.Fatalf("open member %d again: %v", i, err)
		}
		t.Cleanup(func() { abort(in) })
		all[i] = in
		attach(i)
	}
	awaitEnds(ctx, t, ends, all[0])
	await(ctx, t, "the last result", func() bool {
		got := box.results()
		return len(got) > 0 && got[len(got)-1].Value.Sum == int64(len(all)*length)
	})
}

// awaitEnds waits until the ends of all sources are sealed.
func awaitEnds(ctx context.Context, t *testing.T, ends []<-chan struct{}, in *tallyInstance) {
	t.Helper()
	for i, end := range ends {
		select {
		case <-end:
		case <-ctx.Done():
			t.Fatalf("source s%d does not end: %+v", i, in.Status())
		}
	}
}

// await waits until something holds, in real time.
func await(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestClientSendsAndReads(t *testing.T) {
	configs := members(t, "file://"+t.TempDir(), 2)
	all := openAll(t, configs)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client, err := sheaf.Dial(ctx, sheaf.Config{State: backend.Config{
		Backend: backend.KindObjectStore, VnodeCapacity: configs[0].State.VnodeCapacity, SeedPeers: configs[0].State.SeedPeers,
	}}, tallies())
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.Producer(ctx, "outside")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	for n := range 1000 {
		k := fmt.Sprint("k", n%50)
		want[k]++
		if _, err := p.Send(ctx, event{Key: k, Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	wantTallies(t, "scan by the client", collect(t, client.Scan(ctx)), want)
	wantTallies(t, "scan by a member", live(t, all[1]), want)
	if n, found, err := client.Get(ctx, "k7"); n != 20 || !found || err != nil {
		t.Errorf("get k7: got %d %v %v, want 20", n, found, err)
	}
	if err := client.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, _, epoch, err := all[0].GetSealed(ctx, "k7"); err != nil || epoch == 0 {
		t.Errorf("get sealed: epoch %d, %v", epoch, err)
	}
}

// TestProducerOutlivesItsMember flushes what no instance is there to take any more: the error of the end, and no wait for
// ever under the producer's own lock.
func TestProducerOutlivesItsMember(t *testing.T) {
	all := openAll(t, members(t, "file://"+t.TempDir(), 2))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := all[1].Producer(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := p.Send(ctx, event{Key: fmt.Sprint("k", n), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	abort(all[1])
	if err := p.Flush(ctx); !errors.Is(err, sheaf.ErrClosed) {
		t.Errorf("flush: got %v, want %v", err, sheaf.ErrClosed)
	}
}

// TestClientFindsTheOtherMembers: it is told of one, and hears of the others from it.
func TestClientFindsTheOtherMembers(t *testing.T) {
	configs := members(t, "file://"+t.TempDir(), 2)
	openAll(t, configs)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, err := sheaf.Dial(ctx, sheaf.Config{State: backend.Config{
		Backend: backend.KindObjectStore, VnodeCapacity: configs[0].State.VnodeCapacity, SeedPeers: configs[0].State.SeedPeers[:1],
	}}, tallies())
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.Producer(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := p.Send(ctx, event{Key: fmt.Sprint("k", n), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(ctx); err != nil { // all is sealed
		t.Error(err)
	}
}

// moody is a codec of events that fails with some of them.
type moody struct{ sheaf.Codec[event] }

func (m moody) Append(b []byte, e *event) ([]byte, error) {
	if strings.HasPrefix(e.Key, "cursed") {
		return b, errRefused
	}
	return m.Codec.Append(b, e)
}

func (m moody) Decode(b []byte, e *event) error {
	if err := m.Codec.Decode(b, e); err != nil {
		return err
	}
	if strings.HasPrefix(e.Key, "hexed") {
		panic("hexed")
	}
	return nil
}

// TestEventsThatCannotTravelAreRejected sends batches that are larger than a message may be, and events among them that
// fit into none or that their codec fails with: all others count (I11).
func TestEventsThatCannotTravelAreRejected(t *testing.T) {
	const length = 3000
	var box inbox
	var mu sync.Mutex // guards rejected
	rejected := map[string]bool{}
	app := tallies()
	app.EventCodec = moody{sheaf.CBOR[event]()}
	app.DeadLetter = func(r sheaf.Rejected[event]) {
		mu.Lock()
		defer mu.Unlock()
		rejected[fmt.Sprint(r.Origin, r.Position)] = true
	}
	events := make([]event, length)
	for i := range events {
		kind := "fine"
		switch i % 100 {
		case 7:
			kind = "cursed"
		case 8:
			kind = "hexed"
		case 9:
			kind = strings.Repeat("long", 1000)
		}
		events[i] = event{Key: fmt.Sprint(kind, i, strings.Repeat("x", 90)), Add: 1}
	}
	configs := members(t, "file://"+t.TempDir(), 2)
	for i := range configs {
		configs[i].State.Cluster.Limits.Message = 3 << 10
	}
	all := make([]*tallyInstance, len(configs))
	var wg sync.WaitGroup
	for i := range configs {
		wg.Go(func() {
			var err error
			if all[i], err = sheaf.Open(t.Context(), configs[i], app, &box); err != nil {
				t.Errorf("open member %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	end, err := all[0].Attach(ctx, "s", scripted(events))
	if err != nil {
		t.Fatal(err)
	}
	p, err := all[1].Producer(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if _, err := p.Send(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-end:
	case <-ctx.Done():
		t.Fatalf("the source does not end: %+v", all[0].Status())
	}
	await(ctx, t, "everything is counted or rejected", func() bool {
		got := box.results()
		mu.Lock()
		defer mu.Unlock()
		return len(got) > 0 && int(got[len(got)-1].Value.Sum)+len(rejected) == 2*length
	})
	if len(rejected) < length/100 {
		t.Errorf("%d events were rejected", len(rejected))
	}
	for _, in := range all {
		abort(in)
	}
}

// TestClusterOverTLS has members and a client whose certificates name them, and one whose certificate names another (I12).
func TestClusterOverTLS(t *testing.T) {
	dir := t.TempDir()
	if err := certs.WriteAuthority(dir); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"n0", "n1", "client"} {
		if err := certs.WriteMember(dir, id, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	tls := func(id string) backend.TLS {
		return backend.TLS{Cert: filepath.Join(dir, id+".pem"), Key: filepath.Join(dir, id+"-key.pem"), CA: filepath.Join(dir, "ca.pem")}
	}
	configs := members(t, "file://"+t.TempDir(), 2)
	for i := range configs {
		configs[i].State.Cluster.TLS = tls(configs[i].State.InstanceID)
	}
	all := openAll(t, configs)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	outside := sheaf.Config{State: backend.Config{
		Backend: backend.KindObjectStore, VnodeCapacity: configs[0].State.VnodeCapacity, SeedPeers: configs[0].State.SeedPeers,
		Cluster: backend.Cluster{TLS: tls("client")},
	}}
	client, err := sheaf.Dial(ctx, outside, tallies())
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.Producer(ctx, "outside")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := p.Send(ctx, event{Key: fmt.Sprint("k", n%10), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(ctx); err != nil {
		t.Error(err)
	}
	if n, _, err := all[1].Get(ctx, "k3"); n != 10 || err != nil {
		t.Errorf("get k3: got %d %v, want 10", n, err)
	}
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	outside.State.Cluster.TLS = backend.TLS{}
	_, err = sheaf.Dial(soon, outside, tallies())
	if err == nil || all[0].Status().Refused["tls"] == 0 {
		t.Errorf("a client without a certificate: got %v, refused %v", err, all[0].Status().Refused)
	}
}
