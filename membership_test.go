package sheaf_test

import (
	"errors"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
)

func TestMembersOfAConfigAreChecked(t *testing.T) {
	one := backend.ObjectStore("file:///tmp/x", "a")
	some, peers, dynamic, merger := one, one, one, one
	some.Vnodes = backend.ListVnodes(backend.VnodeRange{First: 0, Last: 7})
	peers.SeedPeers = []string{"b=127.0.0.1:7070"}
	peers.Cluster.Listen = "127.0.0.1:7071"
	dynamic.Discovery = backend.DiscoveryDynamic
	dynamic.SeedPeers = []string{"127.0.0.1:7946"}
	merger.MergerInstance = "a"
	seedless := dynamic
	seedless.SeedPeers = nil
	for _, x := range []struct {
		name    string
		config  backend.Config
		refused bool
		managed bool
		want    error
	}{
		{"alone", one, false, false, nil},
		{"alone and merger", merger, false, false, nil},
		{"some vnodes", some, true, false, nil},
		{"peers", peers, false, false, nil},
		{"dynamic", dynamic, false, false, nil},
		{"dynamic without seeds", seedless, true, false, sheaf.ErrNoSeeds},
		{"a constellation", seedless, false, true, nil},
		{"seeds and a membership", dynamic, true, true, sheaf.ErrMembership},
		{"static with a membership", peers, true, true, sheaf.ErrMembership},
	} {
		cfg := sheaf.Config{State: x.config}
		if x.managed {
			cfg.Membership = nobody{}
		}
		if err := cfg.Validate(); (err != nil) != x.refused || (x.want != nil && !errors.Is(err, x.want)) {
			t.Errorf("%s: got %v, want refused %v with %v", x.name, err, x.refused, x.want)
		}
	}
}

// nobody is a membership that is not used.
type nobody struct{ remote.Membership }
