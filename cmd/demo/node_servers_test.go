//go:build cloud && unix

package main_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf/internal/servertest"
)

// As TestMembersCountAsOneProcessDoes, with the state on each real server.
func TestMembersCountAsOneProcessDoesOnServers(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		membersCountAsOneProcess(t, func(t *testing.T) string { return server.URL(t) })
	})
}

// As TestClusterSurvivesKills, with the state on each real server.
func TestClusterSurvivesKillsOnServers(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		clusterSurvivesKills(t, func(t *testing.T) string { return server.URL(t) })
	})
}

// I2 with real processes: a member is stopped, a successor of the same id comes into force elsewhere, and the cluster goes
// on with it. Woken, the first changes nothing, and ends with an error.
func TestWokenMemberChangesNothingOnServers(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		for name, victim := range map[string]int{"merger": 0, "follower": 1} {
			t.Run(name, func(t *testing.T) {
				const sources, rows = 6, 120_000 // twice what the others read until the successor is there
				input := inputOf(t, rows)
				c := newCrew(t, server.URL(t), 4<<20, sources, "--input", input, "--epoch", "100ms", "--json", "--rate", "2000")
				c.startAll()
				if !c.until(func(e entry) bool { return e.Epoch > 1 && e.Rows > 5000 }) {
					t.Fatal("it ended")
				}
				first := c.members[victim]
				signalTo(t, first, syscall.SIGSTOP)
				stood, _ := first.progress()
				c.members[victim] = c.launch(elsewhere(t, c.configs[victim]))
				if !c.until(func(e entry) bool { return e.Epoch > stood.Epoch+2 }) {
					t.Fatal("it ended")
				}
				signalTo(t, first, syscall.SIGCONT)
				woken := first.end().want(t, 1)
				t.Logf("woken: %s", strings.TrimSpace(woken.notes[strings.LastIndex(woken.notes, "demo: "):]))
				c.end()
				c.checkEnd(newChecker("board", load(t, input), sources), rows)
				wantStates(t, "board", c.state, load(t, input), sources)
			})
		}
	})
}

// A second process of an id is refused while the first lives, by its address and incarnation; the first goes on.
func TestSecondProcessOfAnIDIsRefusedOnServers(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		const sources, rows = 6, 30_000
		input := inputOf(t, rows)
		c := newCrew(t, server.URL(t), 4<<20, sources, "--input", input, "--epoch", "100ms", "--json", "--rate", "1000")
		c.startAll()
		if !c.until(func(e entry) bool { return e.Epoch > 1 }) {
			t.Fatal("it ended")
		}
		for i := range c.configs {
			other := c.launch(elsewhere(t, c.configs[i])).end()
			other.want(t, 1, "instance "+c.configs[i].InstanceID+" is in use: its incarnation ", " answers at "+c.configs[i].Cluster.Listen)
			c.launch(c.configs[i]).end().want(t, 1, "address already in use")
		}
		c.end()
		c.checkEnd(newChecker("board", load(t, input), sources), rows)
	})
}
