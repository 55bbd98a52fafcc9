package sheaf_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	_ "github.com/sheaf-go/sheaf/remote/transport"
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
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
