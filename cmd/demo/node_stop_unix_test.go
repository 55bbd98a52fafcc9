//go:build unix

package main_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

func signalTo(t *testing.T, p *process, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// On a file system the lock of an id refuses a successor as long as its holder lives, awake or not.
func TestLockedIDRefusesASuccessor(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	const sources = 6
	input := inputOf(t, 20_000)
	c := newCrew(t, fileURL(t), 4<<20, sources, "--input", input, "--epoch", "50ms", "--json", "--rate", "5000")
	c.startAll()
	if !c.until(func(e entry) bool { return e.Epoch > 1 }) {
		t.Fatal("it ended")
	}
	signalTo(t, c.members[1], syscall.SIGSTOP)
	c.launch(elsewhere(t, c.configs[1])).end().want(t, 1, "n1.lock", "is held by another process")
	signalTo(t, c.members[1], syscall.SIGCONT)
	c.end()
	c.checkEnd(newChecker("board", load(t, input), sources), 20_000)
}

// elsewhere is a config that listens at another address.
func elsewhere(t *testing.T, config backend.Config) backend.Config {
	t.Helper()
	c := config.Clone()
	c.Cluster.Listen = freeAddress(t)
	c.SeedPeers = slices.DeleteFunc(c.SeedPeers, func(peer string) bool { return strings.HasPrefix(peer, c.InstanceID+"=") })
	return c
}

// SIGTERM to one member: it cannot seal without the others, or can; it says which, and the next start goes on. To all: too.
func TestStoppedMembersGoOnLater(t *testing.T) {
	if testing.Short() {
		t.Skip("stops processes for some seconds")
	}
	t.Parallel()
	const sources, rows = 6, 60_000
	input := inputOf(t, rows)
	c := newCrew(t, fileURL(t), 4<<20, sources, "--input", input, "--epoch", "50ms", "--json")
	c.startAll("--rate", "1000")
	if !c.until(func(e entry) bool { return e.Epoch > 1 }) {
		t.Fatal("it ended")
	}
	signalTo(t, c.members[2], syscall.SIGTERM) // the others are there, and seal what it leaves
	got := c.members[2].end().want(t, 143, "stopped early")
	if strings.Contains(got.notes, "not everything is sealed") {
		t.Errorf("a member that stopped among others: got %s, want all that it read sealed", got.notes)
	}
	signalTo(t, c.members[0], syscall.SIGTERM) // without n2 nothing is sealed any more
	c.members[0].end().want(t, 143, "stopped early", "not everything is sealed", "the next start reads again")
	signalTo(t, c.members[1], syscall.SIGTERM)
	c.members[1].end().want(t, 143, "stopped early")
	c.startAll()
	c.end().want(t, 0, "resumed from epoch")
	c.checkEnd(newChecker("board", load(t, input), sources), rows)
	wantStates(t, "board", c.state, load(t, input), sources)
}
