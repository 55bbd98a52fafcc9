package gossip_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/gossip"
)

func TestAllHearOfAll(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			begin := time.Now()
			all := cluster(t, n)
			t.Logf("%d instances know each other after %v", n, time.Since(begin))
			for _, p := range all {
				if p.twice {
					t.Errorf("%s was told two lists at once", p.self.Instance)
				}
			}
		})
	}
}

func TestUpdatesReachAll(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3)
	b := all[1]
	b.self.Zone, b.self.Weight, b.self.Address = "west", 7, "b2:7070"
	begin := time.Now()
	if err := b.Update(b.self); err != nil {
		t.Fatal(err)
	}
	said := time.Since(begin)
	for _, p := range all {
		p.sees(t, selves(all...)...)
	}
	t.Logf("Update took %v, all knew after %v", said, time.Since(begin))
	b.self.Leaving = true
	if err := b.Update(b.self); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		p.sees(t, selves(all...)...)
	}
}

func TestLeavingIsNoCrash(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3)
	begin := time.Now()
	if err := all[1].Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	leaving := all[1].self
	leaving.Leaving = true
	for _, p := range []*peer{all[0], all[2]} {
		p.sees(t, all[0].self, all[2].self)
		if told := p.told(); !slices.Contains(told[len(told)-2], leaving) {
			t.Errorf("before b was gone, %s was told of %v", p.self.Instance, told[len(told)-2])
		}
		if p.logs.FilterMessageSnippet("as failed").Len() > 0 {
			t.Errorf("%s took b for dead", p.self.Instance)
		}
	}
	t.Logf("Leave took %v, b was gone everywhere after %v", took, time.Since(begin))
}

func TestDeathIsNoticed(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3)
	begin := time.Now()
	all[1].Close()
	closed := time.Since(begin)
	for _, p := range []*peer{all[0], all[2]} {
		p.sees(t, all[0].self, all[2].self)
		for _, list := range p.told() {
			if slices.ContainsFunc(list, func(m remote.Member) bool { return m.Leaving }) {
				t.Errorf("%s was told that somebody leaves: %v", p.self.Instance, list)
			}
		}
	}
	t.Logf("Close took %v, the death was known after %v", closed, time.Since(begin))
}

// TestCloseWaitsForProbes: one that gets no answer is longest under way.
func TestCloseWaitsForProbes(t *testing.T) {
	all := cluster(t, 2)
	all[1].Close()
	until(t, func() bool { return all[0].logs.FilterMessageSnippet("Failed UDP ping").Len() > 0 }, func() any { return "no probe fails" })
	all[0].Close()
	stacks := make([]byte, 1<<20)
	if text := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(text, "probeNode") {
		t.Errorf("a probe outlives Close: %s", text)
	}
}

func TestNewIncarnationReplacesTheOldOne(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3)
	for _, how := range []string{"at its address", "elsewhere"} {
		all[1].Close()
		cfg := config()
		if how == "at its address" {
			cfg.Listen = all[1].Address()
		}
		begin := time.Now()
		all[1] = join(t, cfg, named(t, "b"), all[0], all[2])
		for _, p := range all {
			p.sees(t, selves(all...)...)
		}
		t.Logf("%s: known after %v", how, time.Since(begin))
	}
	// The death of the former ones changes nothing.
	until(t, func() bool {
		return all[0].logs.FilterMessageSnippet("as failed").Len() >= 2 || all[2].logs.FilterMessageSnippet("as failed").Len() >= 2
	},
		func() any { return "the former incarnations are not dead" })
	for _, p := range all {
		p.sees(t, selves(all...)...)
	}
}

func TestNewestOfTwoLiveIncarnationsIsListed(t *testing.T) {
	t.Parallel()
	a := join(t, config(), named(t, "a"))
	older, newer := named(t, "b"), named(t, "b")
	x := join(t, config(), newer, a)
	a.sees(t, a.self, newer)
	y := join(t, config(), older, a)
	y.sees(t, a.self, newer)
	x.Close()
	a.sees(t, a.self, older)
}

func TestIsolatedInstanceComesBack(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3)
	addresses := []string{all[1].Address(), all[2].Address()}
	cfg := config()
	cfg.Seeds = append(cfg.Seeds, addresses...)
	d := join(t, cfg, named(t, "d"), all[0])
	for _, p := range all {
		p.sees(t, selves(append(all, d)...)...)
		p.Close()
	}
	d.sees(t, d.self)
	for i, instance := range []string{"b", "c"} {
		cfg := config()
		cfg.Listen = addresses[i]
		all[i] = join(t, cfg, named(t, instance)) // and has no seeds
	}
	begin := time.Now()
	for _, p := range []*peer{all[0], all[1], d} {
		p.sees(t, all[0].self, all[1].self, d.self)
	}
	t.Logf("together again after %v", time.Since(begin))
}

func TestEndsAreFinal(t *testing.T) {
	t.Parallel()
	never, err := gossip.New(config())
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Update(named(t, "a")); err == nil {
		t.Error("update before Join: no error")
	}
	if err := errors.Join(never.Close(), never.Leave(t.Context()), never.Close()); err != nil {
		t.Error(err)
	}
	if err := never.Join(t.Context(), named(t, "a"), func([]remote.Member) {}); !errors.Is(err, remote.ErrMembershipEnded) {
		t.Errorf("join after Close: %v", err)
	}
	for name, end := range map[string]func(*peer) error{
		"Close": func(p *peer) error { return errors.Join(p.Close(), p.Leave(t.Context()), p.Close()) },
		"Leave": func(p *peer) error { return errors.Join(p.Leave(t.Context()), p.Leave(t.Context()), p.Close()) },
	} {
		p := join(t, config(), named(t, "a"))
		if err := p.Join(t.Context(), p.self, p.changed); err == nil {
			t.Error("a second Join: no error")
		}
		if err := p.Update(named(t, "a")); err == nil {
			t.Error("update of another incarnation: no error")
		}
		if err := end(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Update(p.self); !errors.Is(err, remote.ErrMembershipEnded) {
			t.Errorf("update after %s: %v", name, err)
		}
	}
}

func TestNobodyIsToldAfterTheEnd(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3)
	all[0].end()
	all[1].self.Zone = "west"
	if err := all[1].Update(all[1].self); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return slices.Contains(all[2].now(), all[1].self) }, func() any { return all[2].now() })
	if all[0].late {
		t.Error("told after Close")
	}
}

func TestContextEndsAMembership(t *testing.T) {
	t.Parallel()
	a := join(t, config(), named(t, "a"))
	cfg := config()
	cfg.Seeds = []string{a.Address()}
	b, err := gossip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	self := named(t, "b")
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Join(ctx, self, func([]remote.Member) {}); err != nil {
		t.Fatal(err)
	}
	a.sees(t, a.self, self)
	cancel()
	a.sees(t, a.self)
	if err := b.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.Update(self); !errors.Is(err, remote.ErrMembershipEnded) {
		t.Errorf("update after the end of the context: %v", err)
	}
	c, err := gossip.New(config())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(ctx, named(t, "c"), func([]remote.Member) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("join in an ended context: %v", err)
	}
}

// TestSilentSeedsDoNotHoldUp: an instance without anybody to answer is the first of its cluster.
func TestSilentSeedsDoNotHoldUp(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Seeds = []string{"127.0.0.1:1"}
	a := join(t, cfg, named(t, "a"))
	a.sees(t, a.self)
	if n := a.logs.FilterMessage("a seed is not reached").Len(); n != 1 {
		t.Errorf("the silent seed was logged %d times", n)
	}
}

func TestJoinIsChecked(t *testing.T) {
	t.Parallel()
	long := named(t, "a")
	long.Zone = strings.Repeat("z", 500)
	taken := join(t, config(), named(t, "x"))
	cfg := config()
	cfg.Listen = taken.Address()
	var size *gossip.MetaSizeError
	for _, c := range []struct {
		name string
		cfg  remote.GossipConfig
		self remote.Member
		is   func(error) bool
	}{
		{"no instance", config(), remote.Member{Incarnation: uuid.New()}, func(err error) bool { return err != nil }},
		{"no incarnation", config(), remote.Member{Instance: "a"}, func(err error) bool { return err != nil }},
		{"too long", config(), long, func(err error) bool { return errors.As(err, &size) && size.Size > size.Max }},
		{"port in use", cfg, named(t, "a"), func(err error) bool { return err != nil }},
	} {
		g, err := gossip.New(c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Join(t.Context(), c.self, func([]remote.Member) {}); !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := taken.Update(remote.Member{Instance: "x", Incarnation: taken.self.Incarnation, Zone: long.Zone}); !errors.As(err, &size) {
		t.Errorf("update too long: %v", err)
	}
}

// TestImportLinksIt: this test imports the package.
func TestImportLinksIt(t *testing.T) {
	m, err := remote.OpenGossip(config())
	if _, ok := m.(*gossip.Gossip); !ok || err != nil {
		t.Errorf("open: got %T, %v", m, err)
	}
	if m, err := remote.OpenGossip(remote.GossipConfig{}); m != nil || err == nil {
		t.Errorf("open of nothing: got %v, %v", m, err)
	}
}

// TestFormerMembersAreCalledAgain: whoever knows no seed that lives finds the others where they were.
func TestFormerMembersAreCalledAgain(t *testing.T) {
	t.Parallel()
	all := cluster(t, 2) // a has no seed
	all[1].Close()
	all[0].sees(t, all[0].self)
	cfg := config()
	cfg.Listen = all[1].Address()
	b := join(t, cfg, all[1].self)
	for _, p := range []*peer{all[0], b} {
		p.sees(t, all[0].self, b.self)
	}
}
