package gossip_test

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/gossip"
)

func TestKeysAreReplacedUnderALiveCluster(t *testing.T) {
	t.Parallel()
	first, second, third := gossip.NewKey(), gossip.NewKey(), gossip.NewKey()
	var configs []remote.GossipConfig
	var all []*peer
	for i, instance := range []string{"a", "b", "c"} {
		configs = append(configs, with(t, first))
		all = append(all, join(t, configs[i], named(t, instance), all[:min(i, 1)]...))
	}
	for _, p := range all {
		p.sees(t, selves(all...)...)
	}
	met := len(all[0].told())
	for n, keys := range [][]string{{first, second}, {second, first}, {second}, {second, third, first}, {third, second, first}, {third}} {
		for _, cfg := range configs {
			keyFile(t, cfg.KeyFile, keys...)
		}
		for _, p := range all {
			until(t, func() bool { return p.logs.FilterMessage("gossip keys are read anew").Len() == n+1 }, func() any {
				return []any{p.self.Instance, "has not read the keys"}
			})
		}
		all[1].self.Weight++
		if err := all[1].Update(all[1].self); err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			p.sees(t, selves(all...)...)
		}
	}
	for _, list := range all[0].told()[met:] {
		if len(list) != 3 {
			t.Errorf("while the keys were replaced, a was told of %v", list)
		}
	}
	x := join(t, with(t, first), named(t, "x"), all[0])
	x.sees(t, x.self)
	d := join(t, with(t, third), named(t, "d"), all[0])
	for _, p := range append(all, d) {
		p.sees(t, selves(append(all, d)...)...)
		for _, list := range p.told() {
			if slices.Contains(list, x.self) {
				t.Errorf("%s was told of x, whose key was removed", p.self.Instance)
			}
		}
	}
}

func TestFormerKeysStayWhileTheFileCannotBeUsed(t *testing.T) {
	t.Parallel()
	key, second := gossip.NewKey(), gossip.NewKey()
	cfg := with(t, key)
	a := join(t, cfg, named(t, "a"))
	keyFile(t, cfg.KeyFile, second[:20])
	until(t, func() bool { return a.logs.FilterMessage("the former gossip keys stay in use").Len() == 1 }, func() any { return a.logs.All() })
	b := join(t, with(t, key), named(t, "b"), a)
	a.sees(t, a.self, b.self)
	for _, e := range a.logs.FilterMessage("the former gossip keys stay in use").All() {
		if text := e.ContextMap()["error"].(string); strings.Contains(text, second[:20]) {
			t.Errorf("the log shows the file: %s", text)
		}
	}
}

func TestKeysAreInBase64OrHex(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString(gossip.NewKey())
	if err != nil || len(key) != 32 {
		t.Fatalf("a new key has %d bytes, %v", len(key), err)
	}
	a := join(t, with(t, "# the first", "", " "+base64.StdEncoding.EncodeToString(key)+"\r"), named(t, "a"))
	b := join(t, with(t, hex.EncodeToString(key)), named(t, "b"), a)
	a.sees(t, a.self, b.self)
	many := slices.Repeat([]string{gossip.NewKey()}, 9)
	if _, err := gossip.New(with(t, many...)); err == nil {
		t.Error("9 keys: no error")
	}
}

// TestWrongKeyIsReported: on both sides, with the address.
func TestWrongKeyIsReported(t *testing.T) {
	t.Parallel()
	a := join(t, with(t, gossip.NewKey()), named(t, "a"))
	if failing := a.Failing(); len(failing) > 0 {
		t.Errorf("at first: %v", failing)
	}
	x := join(t, with(t, gossip.NewKey()), named(t, "x"), a)
	reports := func(p *peer, doing, why string) func() bool {
		return func() bool {
			err := p.Failing()[doing]
			return err != nil && strings.Contains(err.Error(), why)
		}
	}
	until(t, reports(a, "understand the gossip of 127.0.0.1", "key"), func() any { return a.Failing() })
	until(t, reports(x, "call the gossip seed "+a.Address(), "keys could decrypt"), func() any { return x.Failing() })
}
