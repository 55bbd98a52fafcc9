package sheaf_test

import (
	"errors"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
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
	for _, x := range []struct {
		name    string
		config  backend.Config
		refused bool
		dynamic bool
	}{
		{"alone", one, false, false},
		{"alone and merger", merger, false, false},
		{"some vnodes", some, true, false},
		{"peers", peers, false, false},
		{"dynamic", dynamic, true, true},
	} {
		err := sheaf.Config{State: x.config}.Validate()
		if (err != nil) != x.refused || errors.Is(err, sheaf.ErrDynamic) != x.dynamic {
			t.Errorf("%s: got %v, want refused %v, as dynamic %v", x.name, err, x.refused, x.dynamic)
		}
	}
}
