package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// I1, I2, I4, I5, I6 with real processes that come and go: kill -9 of any member, of the coordinator, which merges, more often
// than of others; another comes in its place, with the same id or a new one. The rest goes on meanwhile. In the end the result
// is that of a single process; every file is what a plain program makes of the rows that its cut names; files and ledger
// agree on what was emitted; and what was emitted again was the same.
func TestElasticClusterSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	t.Parallel()
	plan := elasticCampaign{kills: *killsFlag, epoch: 100 * time.Millisecond, away: 500 * time.Millisecond, rate: 2000}
	input := *inputFlag
	if input == "" {
		input = inputOf(t, min(80_000**killsFlag, 500_000))
	} else {
		plan.epoch, plan.away, plan.rate = 200*time.Millisecond, 2*time.Second, 6000
	}
	rows := load(t, input)
	for job, members := range map[string]int{"board": 3, "routedays": 5} {
		t.Run(job, func(t *testing.T) {
			const sources = 8
			c := plan
			c.t, c.rows, c.files = t, uint64(len(rows)), newChecker(job, rows, sources)
			c.flock = newFlock(t, fileURL(t), members, sources, "--input", input, "--job", job, "--epoch", plan.epoch.String(), "--json")
			last := c.run()
			c.flock.crew.checkEnd(c.files, len(rows))
			wantStates(t, job, c.flock.crew.state, rows, sources)
			alone := call("run", "--input", input, "--job", job, "--sources", fmt.Sprint(sources), "--json").want(t, 0)
			if got, want := resultOf(t, last.out), resultOf(t, alone.out); !bytes.Equal(got, want) {
				t.Errorf("result: got %.200s…, want %.200s…, that of one process", got, want)
			}
			t.Logf("%d epochs were emitted again, with the same bytes", c.flock.wantOneContent())
		})
	}
}

// elasticCampaign kills members of a flock again and again, and checks what stands after each kill.
type elasticCampaign struct {
	kills int
	epoch time.Duration
	away  time.Duration // until another comes, at most
	rate  int           // of each member

	t      *testing.T
	flock  *flock
	files  checker
	rows   uint64
	sealed flights.EpochHead // of the newest record, after the newest kill
	done   int               // kills
	led    int               // those of the coordinator
	gaps   []time.Duration   // from a kill to the next epoch sealed
}

// run kills until there were enough, then everybody at once, and lets the job finish.
func (c *elasticCampaign) run() answer {
	c.t.Helper()
	f, began := c.flock, time.Now()
	for i := range f.at {
		f.start(i, "--rate", fmt.Sprint(c.rate))
	}
	for c.done < c.kills {
		c.kill()
	}
	slices.Sort(c.gaps)
	rec := f.read()
	c.t.Logf("%d rows, %d kills in %.0f s, %d of the coordinator; epoch %d, term %d, assignment %d; from a kill to the next seal: median %.2f s, at most %.2f s",
		c.rows, c.done, time.Since(began).Seconds(), c.led, rec.Epoch, rec.Term, rec.Assignment.Version,
		c.gaps[len(c.gaps)/2].Seconds(), c.gaps[len(c.gaps)-1].Seconds())
	if c.kills >= 9 && 3*c.led < c.kills {
		c.t.Errorf("kills of the coordinator: got %d of %d, want a third at least", c.led, c.kills)
	}
	for i := range f.at {
		f.kill(i)
	}
	c.sealed = f.crew.check(c.files, c.sealed)
	for i := range f.at {
		f.start(i)
	}
	return f.end()
}

// kill kills a member at a random moment: as a rule after a seal, now and then at any time, also while another comes.
// Every second time it is the coordinator.
func (c *elasticCampaign) kill() {
	c.t.Helper()
	f, within := c.flock, c.epoch
	if c.done%5 == 3 {
		within = 5 * c.epoch
	} else {
		f.must("an epoch", func(rec *backend.Record) bool { return uint64(rec.Epoch) > c.sealed.Epoch })
	}
	<-time.After(time.Duration(rand.Float64() * float64(within)))
	victim := f.anybody()
	coordinator := f.place(f.read().Coordinator)
	if c.done%2 == 0 && coordinator >= 0 {
		victim = coordinator
	}
	if victim == coordinator {
		c.led++
	}
	f.kill(victim)
	c.done++
	killed, before, was := time.Now(), c.sealed, f.ids[victim]
	c.sealed = f.crew.check(c.files, before)
	away := time.Duration(rand.Float64() * float64(c.away))
	if c.done%2 == 0 {
		f.ids[victim] = f.newID()
	}
	back := time.Now().Add(away)
	started := false
	f.must("an epoch after a kill", func(rec *backend.Record) bool {
		if !started && time.Now().After(back) {
			f.start(victim, "--rate", fmt.Sprint(c.rate))
			started = true
		}
		return uint64(rec.Epoch) > c.sealed.Epoch
	})
	gap := time.Since(killed)
	c.gaps = append(c.gaps, gap)
	c.t.Logf("kill %d, of %s, coordinator %t; %s comes after %.1f s: epoch %d to %d, %d rows sealed; the next after %.2f s", c.done, was,
		victim == coordinator, f.ids[victim], away.Seconds(), before.Epoch, c.sealed.Epoch, c.sealed.Records, gap.Seconds())
	if !started {
		<-time.After(time.Until(back))
		f.start(victim, "--rate", fmt.Sprint(c.rate))
	}
}
