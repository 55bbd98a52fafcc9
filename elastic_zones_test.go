package sheaf_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
)

// TestStatusNamesTheZoneWhoseLossTakesMost: with balance = "zone" a zone of two members owns no more than one of one, and
// every member says which owns most, and how much: also when a zone comes, and when one is lost.
func TestStatusNamesTheZoneWhoseLossTakesMost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	url, seed := "file://"+t.TempDir(), freeAddress(t)
	zones := []string{"west", "west", "east", "north"}
	var all []*tallyInstance
	join := func() {
		t.Helper()
		cfg := elastic(url, fmt.Sprint("n", len(all)), seed)
		if len(all) == 0 {
			cfg.State.Cluster.Gossip.Listen = seed
		}
		cfg.State.Cluster.Zone, cfg.State.Cluster.Balance = zones[len(all)], backend.BalanceZone
		all = append(all, openElastic(t, cfg))
	}
	told := func(what string, want actors.ZoneStatus, members ...*tallyInstance) {
		t.Helper()
		await(ctx, t, fmt.Sprintf("%s: %+v", what, want), func() bool {
			for _, in := range members {
				if st := in.Status(); st.Zone != want || st.Owned == 0 {
					return false
				}
			}
			return true
		})
	}
	join()
	join()
	told("one zone", actors.ZoneStatus{Largest: "west", Share: 1}, all...)
	join()
	told("two, which are equal: the first by name", actors.ZoneStatus{Largest: "east", Share: .5}, all...)
	join()
	told("three", actors.ZoneStatus{Largest: "east", Share: 6. / 16}, all...)
	abort(all[2])
	told("the largest is lost", actors.ZoneStatus{Largest: "north", Share: .5}, all[0], all[1], all[3])
}
