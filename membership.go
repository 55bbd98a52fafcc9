package sheaf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
)

// ErrCluster is returned for a configuration of more than one member: this release runs one instance on a store.
var ErrCluster = errors.New("clusters of several members are not in this release")

// alone checks that the members that a config names are this instance, which owns every vnode and coordinates.
func alone(c backend.Config) error {
	if c.Backend != backend.KindObjectStore {
		return nil
	}
	if c.Discovery == backend.DiscoveryDynamic {
		return fmt.Errorf("discovery = %q: %w: use static discovery without seed_peers", c.Discovery, ErrCluster)
	}
	members, err := remote.NewStatic(remote.Member{Instance: c.Instance(), Address: c.Cluster.Listen}, peersOf(c)...)
	if err != nil {
		return fmt.Errorf("seed_peers: %w", err)
	}
	if others := len(members.Members()) - 1; others > 0 {
		return fmt.Errorf("seed_peers names %d other members: %w", others, ErrCluster)
	}
	if _, err := backend.ResolveClaims(c.Capacity(), []backend.Claim{c.Claim()}); err != nil {
		return fmt.Errorf("the only member must own all vnodes: %w", err)
	}
	return nil
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
