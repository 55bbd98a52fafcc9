package main_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

var partitionFlag = flag.Duration("partition", 0,
	"time for which TestPartitionedClusterSealsOn cuts a cluster, in every way, and then it must not be skipped; default: 8 s, in two ways")

// cutLink is a direction in which nothing arrives any more, from one rank to another: 0 coordinates when it is cut, the
// others are the plain members by their places.
type cutLink struct{ from, to int }

func bothWays(a, b int) []cutLink { return []cutLink{{a, b}, {b, a}} }

// I1, I4, I5, I6, I7 with real processes and a network that is cut while all reach the store: those that still reach each
// other seal on, no two sides depose each other for ever, and once it is whole again it is one cluster again by itself.
func TestPartitionedClusterSealsOn(t *testing.T) {
	if testing.Short() {
		t.Skip("cuts a network for some seconds")
	}
	const rate = 900
	lasts, asked := 8*time.Second, *partitionFlag != 0
	if asked {
		lasts = *partitionFlag
	}
	rows := rate * int((lasts + 90*time.Second).Seconds())
	input := inputOf(t, rows)
	for name, links := range map[string][]cutLink{
		"coordinator and member":     bothWays(0, 2),
		"coordinator to member":      {{0, 1}},
		"member to coordinator":      {{1, 0}},
		"two members":                bothWays(1, 2),
		"member to member":           {{1, 2}},
		"member to member, reversed": {{2, 1}},
		"coordinator and both":       slices.Concat(bothWays(0, 1), bothWays(0, 2)),
		"member and both":            slices.Concat(bothWays(1, 0), bothWays(1, 2)),
	} {
		if quick := name == "coordinator and member" || name == "member to member"; !quick && !asked {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net, err := newLan(t, crewSize)
			switch {
			case err != nil && asked:
				t.Fatal(err)
			case err != nil:
				t.Skip(err)
			}
			f := newFlock(t, fileURL(t), crewSize, 8, "--input", input, "--epoch", "200ms", "--json")
			f.over(net)
			for i := range f.at {
				f.start(i, "--rate", fmt.Sprint(rate), "--since", time.Now().Format(time.RFC3339))
			}
			f.partition(net, links, lasts)
			finish(f, input, rows)
		})
	}
}

// over makes the members of a flock meet over a network of the test's own.
func (f *flock) over(net *lan) {
	for i := range f.gossip {
		f.gossip[i] = net.address(i) + ":7946"
	}
	f.launch = func(place int, config backend.Config, more ...string) (p *process) {
		config.Cluster.Insecure = true
		config.Cluster.Listen = net.address(place) + ":7070"
		err := net.within(place, func() error { p = f.crew.launch(config, more...); return nil })
		if err != nil {
			f.t.Fatal(err)
		}
		return p
	}
}

const (
	sealWithin  = 5 * time.Second // whatever happens, from one seal to the next
	termChanges = 2               // from a cut until all is well again
)

// partition cuts links for some time, and checks what happens meanwhile and then.
func (f *flock) partition(net *lan, links []cutLink, lasts time.Duration) {
	f.t.Helper()
	before := f.must("three members", func(rec *backend.Record) bool { return even(crewSize)(rec) && rec.Epoch > 2 })
	ranks := []int{f.place(before.Coordinator)}
	for i := range f.at {
		if i != ranks[0] {
			ranks = append(ranks, i)
		}
	}
	for _, l := range links {
		net.cut(ranks[l.from], ranks[l.to])
	}
	began := time.Now()
	first, longest, cut := f.sealing(began, lasts)
	if len(cut.Assignment.Members) != crewSize-1 {
		f.t.Errorf("members after %v: got %v, want that one is left out", lasts, cut.Assignment.Members)
	}
	for _, l := range links {
		net.heal(ranks[l.from], ranks[l.to])
	}
	healed := time.Now()
	whole := f.must("three members again", func(rec *backend.Record) bool { return even(crewSize)(rec) && rec.Epoch > cut.Epoch })
	again := time.Since(healed)
	_, later, after := f.sealing(time.Now(), 3*time.Second)
	if !even(crewSize)(after) {
		f.t.Errorf("members %v after they were three: got %v", 3*time.Second, after.Assignment.Members)
	}
	changes := after.Term - before.Term
	f.t.Logf("%d epochs sealed in %.0f s, the first after %.2f s, at most %.2f s (then %.2f s) from one to the next; coordinator %s, then %s, then %s; %d changes of term; members again %.1f s after it was healed, version %d to %d to %d",
		cut.Epoch-before.Epoch, lasts.Seconds(), first.Seconds(), longest.Seconds(), later.Seconds(), before.Coordinator.Instance, cut.Coordinator.Instance,
		after.Coordinator.Instance, changes, again.Seconds(), before.Assignment.Version, cut.Assignment.Version, whole.Assignment.Version)
	if changes > termChanges {
		f.t.Errorf("changes of term: got %d, want at most %d", changes, termChanges)
	}
}

// sealing watches epochs being sealed for some time. It returns how long the first and how long the longest took, and the
// newest record.
func (f *flock) sealing(began time.Time, lasts time.Duration) (first, longest time.Duration, rec *backend.Record) {
	f.t.Helper()
	rec = f.read()
	for last := began; time.Since(began) < lasts; last = time.Now() {
		sealed := rec.Epoch
		rec = f.must("the next epoch", func(rec *backend.Record) bool { return rec.Epoch > sealed })
		took := time.Since(last)
		if first == 0 {
			first = took
		}
		if longest = max(longest, took); took > sealWithin {
			f.t.Errorf("epoch %d of term %d: sealed %v after the one before, %v after the cut", rec.Epoch, rec.Term, took, time.Since(began))
		}
	}
	return first, longest, rec
}
