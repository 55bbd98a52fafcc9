package sheaf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport"
)

// Errors of a [Config] whose Membership does not go with its State.
var (
	ErrMembership = errors.New("a membership is for object_store with discovery = \"dynamic\" and without seed_peers")
	ErrNoSeeds    = errors.New("dynamic discovery needs seed_peers to gossip with, of which one's own is enough, or a membership")
)

// checkMembers finds what is wrong with the members that a config names, as far as one of them can tell.
func checkMembers(cfg Config) error {
	c := cfg.State
	dynamic := c.Backend == backend.KindObjectStore && c.Discovery == backend.DiscoveryDynamic
	switch {
	case cfg.Membership != nil && (!dynamic || len(c.SeedPeers) > 0):
		return fmt.Errorf("config: %w", ErrMembership)
	case dynamic && cfg.Membership == nil && len(c.SeedPeers) == 0:
		return fmt.Errorf("state.seed_peers: %w", ErrNoSeeds)
	case c.Backend != backend.KindObjectStore || dynamic:
		return nil
	}
	members, err := membersOf(c)
	if err != nil {
		return fmt.Errorf("seed_peers: %w", err)
	}
	if len(members.Members()) > 1 {
		return nil
	}
	if _, err := backend.ResolveClaims(c.Capacity(), []backend.Claim{c.Claim()}); err != nil {
		return fmt.Errorf("the only member must own all vnodes: %w", err)
	}
	return nil
}

func membersOf(c backend.Config) (*remote.Static, error) {
	cluster := c.Cluster.WithDefaults()
	return remote.NewStatic(remote.Member{Instance: c.Instance(), Address: cmp.Or(cluster.Advertise, cluster.Listen)}, peersOf(c)...)
}

// peersOf lists the seed peers but this instance itself.
func peersOf(c backend.Config) []remote.Member {
	var out []remote.Member
	for _, s := range c.SeedPeers {
		if id, address, _ := strings.Cut(s, "="); id != c.Instance() {
			out = append(out, remote.Member{Instance: id, Address: address})
		}
	}
	return out
}

// clusterOf is how an instance meets others; nil if nobody can: it has no peers, and is told no address to listen on.
func clusterOf(cfg Config, app string) (*actors.ClusterConfig, error) {
	c := cfg.State
	cluster := c.Cluster.WithDefaults()
	all := &actors.ClusterConfig{Name: cluster.Name, App: app, Transport: transportOf(cluster), Open: openTransport}
	switch {
	case c.Backend == backend.KindObjectStore && c.Discovery == backend.DiscoveryDynamic:
		return all, stretch(cfg, all)
	case c.Backend != backend.KindObjectStore, len(peersOf(c)) == 0 && c.Cluster.Listen == "" && c.Cluster.Advertise == "":
		return nil, nil
	}
	members, err := membersOf(c)
	if err != nil {
		return nil, err
	}
	coordinator, ok := remote.Coordinator(members, c.MergerInstance)
	if !ok {
		return nil, fmt.Errorf("merger_instance = %q is no member", c.MergerInstance)
	}
	all.Members, all.Coordinator, all.Claim = members.Members(), coordinator.Instance, c.Claim()
	return all, nil
}

const (
	// settle is how long a planned move waits for more members to come or go.
	settle = 500 * time.Millisecond
	// patience is how long it waits for those to whom vnodes move to load them. Whoever needs longer may not be able to.
	patience = 10 * time.Minute
)

// stretch makes a cluster elastic: its members are those that gossip, or the membership that is handed in, knows.
func stretch(cfg Config, all *actors.ClusterConfig) error {
	c := cfg.State.Cluster.WithDefaults()
	all.Elastic = &actors.ElasticConfig{
		Elastic:    actors.Elastic{ByZone: c.Balance == backend.BalanceZone, Settle: settle, Patience: patience},
		Membership: cfg.Membership, Zone: c.Zone, Weight: uint32(c.Weight), //nolint:gosec // validated
	}
	if cfg.Membership != nil {
		return nil
	}
	m, err := remote.OpenGossip(remote.GossipConfig{
		Cluster: c.Name, Listen: c.Gossip.Listen, Advertise: c.Gossip.Advertise, Seeds: cfg.State.SeedPeers, KeyFile: c.Gossip.KeyFile,
		App: all.App, Capacity: cfg.State.Capacity(), Format: actors.WireFormat, Insecure: c.Insecure, Log: cfg.Log,
	})
	all.Elastic.Membership = m
	return err
}

func openTransport(cfg remote.TransportConfig) (remote.Transport, error) { return transport.New(cfg) }

func transportOf(c backend.Cluster) remote.TransportConfig {
	return remote.TransportConfig{
		Listen: c.Listen, Advertise: c.Advertise, Insecure: c.Insecure,
		Cert: c.TLS.Cert, Key: c.TLS.Key, CA: c.TLS.CA,
		MaxFrame: int(c.Limits.Message), MaxQueue: int64(c.Limits.InFlight),
	}
}

// appID names an app and its codecs for the others of a cluster.
func appID(id backend.Identity, events string) string {
	return strings.Join(slices.Concat([]string{id.App, id.KeyCodec, id.StateCodec, id.ResultCodec}, []string{events}), " ")
}
