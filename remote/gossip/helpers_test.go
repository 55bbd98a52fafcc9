package gossip_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/gossip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen; what is promised is much sooner.
const patience = 40 * time.Second

// peer is an instance that gossips, with all that it was told.
type peer struct {
	*gossip.Gossip
	self remote.Member
	logs *observer.ObservedLogs

	mu    sync.Mutex // guards what follows
	lists [][]remote.Member
	late  bool // it was told something after its end
	ended bool
	calls sync.Mutex // held by a call of changed
	twice bool       // two at once
}

func config() remote.GossipConfig {
	return remote.GossipConfig{Cluster: "test", Listen: "127.0.0.1:0", App: "counts", Capacity: 256, Format: 1}
}

// named returns a new incarnation of an instance.
func named(t *testing.T, instance string) remote.Member {
	t.Helper()
	incarnation, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return remote.Member{Instance: instance, Incarnation: incarnation, Address: instance + ":7070", Weight: 1}
}

// join opens an instance that calls others. It is closed at the end of the test.
func join(t *testing.T, cfg remote.GossipConfig, self remote.Member, seeds ...*peer) *peer {
	t.Helper()
	for _, s := range seeds {
		cfg.Seeds = append(slices.Clone(cfg.Seeds), s.Address())
	}
	core, logs := observer.New(zap.DebugLevel)
	cfg.Log = zap.New(core)
	g, err := gossip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Gossip: g, self: self, logs: logs}
	t.Cleanup(p.end)
	if err := g.Join(t.Context(), self, p.changed); err != nil {
		t.Fatal(err)
	}
	return p
}

// cluster joins instances a, b, c and so on; each has the first for a seed.
func cluster(t *testing.T, n int) []*peer {
	t.Helper()
	all := []*peer{join(t, config(), named(t, "a"))}
	for i := 1; i < n; i++ {
		all = append(all, join(t, config(), named(t, string(rune('a'+i))), all[0]))
	}
	for _, p := range all {
		p.sees(t, selves(all...)...)
	}
	return all
}

func (p *peer) end() {
	p.Close()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
}

func (p *peer) changed(list []remote.Member) {
	free := p.calls.TryLock()
	p.mu.Lock()
	p.lists = append(p.lists, list)
	p.late = p.late || p.ended
	p.twice = p.twice || !free
	p.mu.Unlock()
	if free {
		p.calls.Unlock()
	}
}

// told returns the lists so far.
func (p *peer) told() [][]remote.Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lists)
}

func (p *peer) now() []remote.Member {
	if all := p.told(); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// sees waits until an instance is told of exactly these, and returns how long that took.
func (p *peer) sees(t *testing.T, want ...remote.Member) time.Duration {
	t.Helper()
	return until(t, func() bool { return slices.Equal(p.now(), want) }, func() any {
		return []any{p.self.Instance, "is told of", p.now(), "want", want}
	})
}

func selves(peers ...*peer) []remote.Member {
	var all []remote.Member
	for _, p := range peers {
		all = append(all, p.self)
	}
	slices.SortFunc(all, func(a, b remote.Member) int { return strings.Compare(a.Instance, b.Instance) })
	return all
}

// until waits for a condition, and returns how long that took.
func until(t *testing.T, is func() bool, state func() any) time.Duration {
	t.Helper()
	begin := time.Now()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		if time.Since(begin) > patience {
			t.Fatalf("after %v: %v", patience, state())
		}
		<-ticker.C
	}
	return time.Since(begin)
}

// keyFile writes a file of keys, at once.
func keyFile(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// with returns a config with the keys of a new file.
func with(t *testing.T, keys ...string) remote.GossipConfig {
	t.Helper()
	cfg := config()
	cfg.KeyFile = filepath.Join(t.TempDir(), "keys")
	keyFile(t, cfg.KeyFile, keys...)
	return cfg
}
