package sheaf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport"
)

// ErrDynamic is returned for a configuration with dynamic discovery: this release has static clusters.
var ErrDynamic = errors.New("dynamic discovery is not in this release")

// checkMembers finds what is wrong with the members that a config names, as far as one of them can tell.
func checkMembers(c backend.Config) error {
	if c.Backend != backend.KindObjectStore {
		return nil
	}
	if c.Discovery == backend.DiscoveryDynamic {
		return fmt.Errorf("discovery = %q: %w: use static discovery", c.Discovery, ErrDynamic)
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
func clusterOf(c backend.Config) (*actors.ClusterConfig, error) {
	if c.Backend != backend.KindObjectStore || (len(peersOf(c)) == 0 && c.Cluster.Listen == "" && c.Cluster.Advertise == "") {
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
	return &actors.ClusterConfig{
		Name: c.Cluster.WithDefaults().Name, Members: members.Members(), Coordinator: coordinator.Instance,
		Claim: c.Claim(), Transport: transportOf(c.Cluster.WithDefaults()), Open: openTransport,
	}, nil
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
