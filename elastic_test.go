package sheaf_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
	_ "github.com/sheaf-go/sheaf/remote/gossip"
)

// elastic is the configuration of a member of an elastic cluster on loopback. Its gossip goes over the seeds.
func elastic(url, id string, seeds ...string) sheaf.Config {
	c := backend.ObjectStore(url, id)
	c.VnodeCapacity, c.Discovery, c.SeedPeers = 16, backend.DiscoveryDynamic, seeds
	c.Cluster.Listen, c.Cluster.Gossip.Listen = "127.0.0.1:0", "127.0.0.1:0"
	return sheaf.Config{State: c, Epoch: 50 * time.Millisecond, SealTimeout: 2 * time.Second}
}

// freeAddress is one that nobody listens at, now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// manager is an external one of instances: it knows who is there because they say so.
type manager struct {
	mu      sync.Mutex // guards members
	members map[string]managed
}

type managed struct {
	self    remote.Member
	changed func([]remote.Member)
}

// managedBy is the membership of one instance.
type managedBy struct {
	m    *manager
	mu   sync.Mutex // guards self
	self remote.Member
}

func (b *managedBy) Join(_ context.Context, self remote.Member, changed func([]remote.Member)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.self = self
	b.m.set(self.Instance, &managed{self, changed})
	return nil
}

func (b *managedBy) Update(self remote.Member) error { return nil }

func (b *managedBy) Leave(context.Context) error { return b.Close() }

func (b *managedBy) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m.set(b.self.Instance, nil)
	return nil
}

// set notes a member, or that it is gone, and tells all.
func (m *manager) set(id string, x *managed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.members == nil {
		m.members = map[string]managed{}
	}
	if delete(m.members, id); x != nil {
		m.members[id] = *x
	}
	var list []remote.Member
	for _, y := range m.members {
		list = append(list, y.self)
	}
	slices.SortFunc(list, func(a, b remote.Member) int { return strings.Compare(a.Instance, b.Instance) })
	for _, y := range m.members {
		y.changed(slices.Clone(list))
	}
}

func openElastic(t *testing.T, cfg sheaf.Config, sinks ...sheaf.Sink[total]) *tallyInstance {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	in, err := sheaf.Open(ctx, cfg, tallies(), sinks...)
	if err != nil {
		t.Fatalf("open %s: %v", cfg.State.InstanceID, err)
	}
	t.Cleanup(func() { abort(in) })
	return in
}

// TestMembersComeAndGo reads eight sources in a cluster that grows to four, loses the coordinator, and shrinks: every
// result holds exactly what its cuts name (I4, I5, I6), and vnodes are shared out evenly.
func TestMembersComeAndGo(t *testing.T) {
	const sources, length = 8, 30_000
	var box inbox
	url, seed := "file://"+t.TempDir(), freeAddress(t)
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	all := map[string]*tallyInstance{}
	var ends []<-chan struct{}
	join := func(id string) {
		t.Helper()
		cfg := elastic(url, id, seed)
		if id == "n0" {
			cfg.State.Cluster.Gossip.Listen = seed
		}
		in := openElastic(t, cfg, exact(t, &box))
		all[id] = in
		ends = nil
		for i := range sources {
			s := scripted(repeated(length))
			s.chunk, s.every = 10, time.Millisecond
			end, err := in.Attach(ctx, fmt.Sprintf("s%d", i), s)
			if err != nil {
				t.Fatalf("attach to %s: %v", id, err)
			}
			ends = append(ends, end)
		}
	}
	even := func(n int) {
		t.Helper()
		await(ctx, t, fmt.Sprintf("%d members with even shares", n), func() bool {
			var owned []int
			for _, in := range all {
				owned = append(owned, in.Status().Owned)
			}
			sum := 0
			for _, o := range owned {
				sum += o
			}
			return len(owned) == n && sum == 16 && slices.Max(owned)-slices.Min(owned) <= 1
		})
	}
	for i := range 4 {
		join(fmt.Sprintf("n%d", i))
		even(i + 1)
	}
	leader := all["n0"].Status().Coordinator.Instance
	abort(all[leader])
	delete(all, leader)
	even(3)
	for id, in := range all { // one leaves, on purpose
		if err := in.Close(ctx); err != nil {
			t.Fatalf("close %s: %v", id, err)
		}
		delete(all, id)
		break
	}
	even(2)
	join("n9")
	even(3)
	awaitEnds(ctx, t, ends, all["n9"])
	await(ctx, t, "the last result", func() bool {
		got := box.results()
		return len(got) > 0 && got[len(got)-1].Value.Sum == sources*length
	})
}

// constellation opens members that a manager of the program's own knows.
func constellation(t *testing.T, n int) []*tallyInstance {
	t.Helper()
	var m manager
	url := "file://" + t.TempDir()
	var all []*tallyInstance
	for i := range n {
		cfg := elastic(url, fmt.Sprintf("n%d", i))
		cfg.Membership = &managedBy{m: &m}
		all = append(all, openElastic(t, cfg))
	}
	return all
}

func TestConstellation(t *testing.T) {
	all := constellation(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := all[2].Producer(ctx, "p")
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
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for _, in := range all {
		wantTallies(t, "scan", live(t, in), want)
	}
	for _, in := range all {
		if err := in.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}
