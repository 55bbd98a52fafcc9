package gossip_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/gossip"
)

func TestOtherClustersAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, reason string
		change       func(*remote.GossipConfig)
	}{
		{remote.RefusedCapacity, "128", func(cfg *remote.GossipConfig) { cfg.Capacity = 128 }},
		{remote.RefusedApp, "another app", func(cfg *remote.GossipConfig) { cfg.App = "sums" }},
		{remote.RefusedFormat, "format 2", func(cfg *remote.GossipConfig) { cfg.Format = 2 }},
	} {
		t.Run(c.kind, func(t *testing.T) {
			all := cluster(t, 2)
			cfg := config()
			c.change(&cfg)
			x := join(t, cfg, named(t, "x"), all[0])
			until(t, func() bool { return all[0].Refused()[c.kind] > 1 && x.Refused()[c.kind] > 1 }, func() any {
				return []any{"refused", all[0].Refused(), x.Refused()}
			})
			for _, p := range []*peer{all[0], x} {
				told := map[string]int{}
				for _, e := range p.logs.FilterMessage("gossip refused").All() {
					fields := e.ContextMap()
					told[fields["peer"].(string)]++
					if fields["kind"] != c.kind || p == all[0] && !strings.Contains(fields["reason"].(string), c.reason) {
						t.Errorf("%s logged %v", p.self.Instance, fields)
					}
				}
				for peer, n := range told {
					if n > 1 {
						t.Errorf("%s logged %d times that %s is refused", p.self.Instance, n, peer)
					}
				}
				if len(told) == 0 {
					t.Errorf("%s logged no refusal", p.self.Instance)
				}
			}
			x.sees(t, x.self)
			for _, e := range x.logs.FilterMessage("a seed is not reached").All() {
				if text := e.ContextMap()["error"].(string); !strings.Contains(text, "refused: ") {
					t.Errorf("x is not told why it is not one of the seed's: %s", text)
				}
			}
			if n := x.logs.FilterMessage("a seed is not reached").Len(); n != 1 {
				t.Errorf("x logged %d times that the seed is not reached", n)
			}
			for _, p := range all {
				p.sees(t, selves(all...)...)
			}
		})
	}
}

// TestStrangersThatKnowMembersAreRefused: a node that was told of our members, and tells us of them and of itself.
func TestStrangersThatKnowMembersAreRefused(t *testing.T) {
	t.Parallel()
	a := join(t, config(), named(t, "a"))
	cfg := memberlist.DefaultLANConfig()
	cfg.Name, cfg.Label, cfg.BindAddr, cfg.BindPort, cfg.LogOutput = "x", "test", "127.0.0.1", 0, io.Discard
	x, err := memberlist.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Shutdown() }()
	for range 2 {
		if _, err := x.Join([]string{a.Address()}); err != nil {
			t.Fatal(err)
		}
	}
	if x.NumMembers() != 2 {
		t.Fatalf("x knows %v", x.Members())
	}
	until(t, func() bool { return a.Refused()[remote.RefusedMeta] >= 2 }, func() any { return a.Refused() })
	a.sees(t, a.self)
}

func TestWhoHasNotTheKeyOrTheNameIsRefused(t *testing.T) {
	t.Parallel()
	key := gossip.NewKey()
	other := with(t, key)
	other.Cluster = "another"
	for name, cfg := range map[string]remote.GossipConfig{"another key": with(t, gossip.NewKey()), "no key": config(), "another name": other} {
		t.Run(name, func(t *testing.T) {
			a := join(t, with(t, key), named(t, "a"))
			x := join(t, cfg, named(t, "x"), a)
			until(t, func() bool {
				return x.logs.FilterMessage("a seed is not reached").Len() > 0 && a.logs.FilterLevelExact(zap.ErrorLevel).Len() > 0
			},
				func() any { return []any{"logged", a.logs.All(), x.logs.All()} })
			for _, e := range a.logs.FilterLevelExact(zap.ErrorLevel).All() {
				if !strings.HasPrefix(e.ContextMap()["from"].(string), "127.0.0.1:") || strings.Contains(e.Message, "memberlist:") {
					t.Errorf("memberlist's line became %q, %v", e.Message, e.ContextMap())
				}
			}
			b := join(t, with(t, key), named(t, "b"), a)
			for _, p := range []*peer{a, b} {
				p.sees(t, a.self, b.self)
			}
			x.sees(t, x.self)
		})
	}
}

// TestGossipOffLoopbackNeedsAKey proves I12.
func TestGossipOffLoopbackNeedsAKey(t *testing.T) {
	key := with(t, gossip.NewKey()).KeyFile
	for _, change := range []func(*remote.GossipConfig){
		func(cfg *remote.GossipConfig) { cfg.Listen, cfg.Advertise = ":0", "127.0.0.1:7946" },
		func(cfg *remote.GossipConfig) { cfg.Listen, cfg.Advertise = "0.0.0.0:0", "127.0.0.1:7946" },
		func(cfg *remote.GossipConfig) { cfg.Listen = "192.0.2.1:7946" },
		func(cfg *remote.GossipConfig) { cfg.Advertise = "192.0.2.1:7946" },
		func(cfg *remote.GossipConfig) { cfg.Seeds = []string{"127.0.0.1:7946", "a.example:7946"} },
	} {
		cfg := config()
		change(&cfg)
		var exposed *remote.ExposedError
		if _, err := gossip.New(cfg); !errors.As(err, &exposed) || !exposed.Gossip {
			t.Errorf("%+v: %v", cfg, err)
		}
		insecure, secure := cfg, cfg
		insecure.Insecure, secure.KeyFile = true, key
		for _, cfg := range []remote.GossipConfig{insecure, secure} {
			if _, err := gossip.New(cfg); err != nil {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*remote.GossipConfig)
	}{
		{"name of the cluster", func(cfg *remote.GossipConfig) { cfg.Cluster = "" }},
		{"name of the cluster", func(cfg *remote.GossipConfig) { cfg.Cluster = strings.Repeat("c", 256) }},
		{"capacity 0", func(cfg *remote.GossipConfig) { cfg.Capacity = 0 }},
		{"capacity 65536", func(cfg *remote.GossipConfig) { cfg.Capacity = 1 << 16 }},
		{`listen on "x"`, func(cfg *remote.GossipConfig) { cfg.Listen = "x" }},
		{"advertise one", func(cfg *remote.GossipConfig) { cfg.Listen, cfg.Insecure = ":7946", true }},
		{`advertise "0.0.0.0:1"`, func(cfg *remote.GossipConfig) { cfg.Advertise, cfg.Insecure = "0.0.0.0:1", true }},
		{`seed "127.0.0.1:0"`, func(cfg *remote.GossipConfig) { cfg.Seeds = []string{"127.0.0.1:0"} }},
		{"no such file", func(cfg *remote.GossipConfig) { cfg.KeyFile = filepath.Join(t.TempDir(), "none") }},
		{"line 2 is no key", func(cfg *remote.GossipConfig) { *cfg = with(t, "# keys", "c2VjcmV0") }},
		{"0 keys", func(cfg *remote.GossipConfig) { *cfg = with(t) }},
		{"0 keys", func(cfg *remote.GossipConfig) {
			cfg.KeyFile = filepath.Join(t.TempDir(), "empty")
			if err := os.WriteFile(cfg.KeyFile, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		cfg := config()
		c.change(&cfg)
		_, err := gossip.New(cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
}

func TestOneAddressIsAdvertised(t *testing.T) {
	t.Parallel()
	cfg := with(t, gossip.NewKey())
	cfg.Listen, cfg.Advertise = ":0", "localhost:0"
	a := join(t, cfg, named(t, "a"))
	if host, port, ok := strings.Cut(a.Address(), ":"); !ok || host != "127.0.0.1" || port == "0" {
		t.Errorf("address %q, want 127.0.0.1 and the port that was chosen", a.Address())
	}
	b := join(t, cfg, named(t, "b"), a)
	a.sees(t, a.self, b.self)
}
