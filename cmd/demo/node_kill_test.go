package main_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// I2, I4, I5, I6 with real processes and kill -9 of any member, the merger too: every emitted file is what a plain program
// makes of exactly the rows that its own cut names, epochs grow, cuts never go back, and in the end every row counts once.
func TestClusterSurvivesKills(t *testing.T) {
	t.Parallel()
	clusterSurvivesKills(t, fileURL)
}

// clusterSurvivesKills runs both jobs on states that are new, by URL.
func clusterSurvivesKills(t *testing.T, state func(t *testing.T) string) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	// The pace leaves rows for every kill, however long this machine takes to start a process.
	plan := clusterCampaign{kills: *killsFlag, epoch: 100 * time.Millisecond, away: 500 * time.Millisecond, rate: 2000, stretch: 2000}
	input := *inputFlag
	if input == "" {
		input = inputOf(t, min(80_000**killsFlag, 500_000))
	} else {
		plan.epoch, plan.away, plan.rate, plan.stretch = 200*time.Millisecond, 5*time.Second, 6000, 1<<40
	}
	rows := load(t, input)
	for _, job := range []string{"board", "routedays"} {
		t.Run(job, func(t *testing.T) {
			const sources = 6
			c := plan
			c.t, c.rows, c.files = t, uint64(len(rows)), newChecker(job, rows, sources)
			c.crew = newCrew(t, state(t), 4<<20, sources, "--input", input, "--job", job, "--epoch", plan.epoch.String(), "--json")
			c.run()
			c.crew.checkEnd(c.files, len(rows))
			wantStates(t, job, c.crew.state, rows, sources)
		})
	}
}

// clusterCampaign kills members of a crew again and again, and checks what stands after each kill.
type clusterCampaign struct {
	kills int
	epoch time.Duration
	away  time.Duration // a member is at most
	rate  int           // of each member
	// stretch is how many rows lie between two kills at most.
	stretch uint64

	t      *testing.T
	crew   *crew
	files  checker
	rows   uint64
	sealed flights.EpochHead           // of the newest record, after the newest kill
	from   [crewSize]flights.EpochHead // what was sealed when a member was started
	done   int                         // kills
	hard   int                         // those after a seal since the one before, with rows read and not sealed
	merger int                         // those of the merger
	again  uint64                      // rows that were read and not sealed when a process died
}

func (c *clusterCampaign) limited() []string { return []string{"--rate", fmt.Sprint(c.rate)} }

// run kills until there were enough, then everybody at once, and lets the job finish.
func (c *clusterCampaign) run() {
	c.t.Helper()
	began := time.Now()
	c.crew.startAll(c.limited()...)
	for c.done < c.kills {
		if !c.kill() {
			c.t.Fatalf("the job finished after %d kills, %d of them hard, want %d", c.done, c.hard, c.kills)
		}
	}
	need := (c.kills + 1) / 2
	c.t.Logf("%d rows, %d kills in %.0f s, %d of the merger, %d after a seal and with unsealed rows behind it; %d rows were unsealed",
		c.rows, c.done, time.Since(began).Seconds(), c.merger, c.hard, c.again)
	if c.hard < need {
		c.t.Errorf("hard kills: got %d of %d, want at least %d", c.hard, c.done, need)
	}
	for _, p := range c.crew.members {
		p.kill()
	}
	c.sealed = c.crew.check(c.files, c.sealed)
	c.crew.startAll()
	c.crew.end()
	for i := range c.crew.members {
		c.from[i] = c.sealed
		c.began(i)
	}
}

// kill kills a member at a random moment: as a rule after a seal and some rows, now and then at any time, also while
// another or the same one starts. False: the job finished before.
func (c *clusterCampaign) kill() bool {
	c.t.Helper()
	rows, within, anytime := c.target(), c.epoch, c.done%5 == 3
	if anytime {
		within = 5 * c.epoch
	} else if !c.crew.until(func(e entry) bool { return e.Epoch > c.sealed.Epoch && e.Rows >= rows }) {
		return false
	}
	victim := c.done % crewSize // everybody's turn comes
	if anytime {
		victim = rand.IntN(crewSize)
	}
	p := c.crew.members[victim]
	if !p.pause(time.Duration(rand.Float64() * float64(within))) {
		return c.crew.until(func(entry) bool { return false })
	}
	read, _ := c.crew.progress()
	p.kill()
	before := c.sealed
	c.sealed = c.crew.check(c.files, before)
	c.began(victim)
	unsealed := read.Rows - min(read.Rows, c.sealed.Records)
	hard := unsealed > 0 && c.sealed.Epoch > before.Epoch
	c.count(victim, hard, unsealed)
	away := time.Duration(rand.Float64() * float64(c.away))
	c.t.Logf("kill %d, of n%d, away for %.1f s: epoch %d to %d, %d rows sealed, %d read behind them", c.done, victim, away.Seconds(),
		before.Epoch, c.sealed.Epoch, c.sealed.Records, unsealed)
	<-time.After(away)
	c.from[victim] = c.sealed
	c.crew.start(victim, c.limited()...)
	return true
}

func (c *clusterCampaign) count(victim int, hard bool, unsealed uint64) {
	c.done++
	c.again += unsealed
	if hard {
		c.hard++
	}
	if victim == 0 {
		c.merger++
	}
}

// target is a random number of rows that leaves some for the kills to come.
func (c *clusterCampaign) target() uint64 {
	share := float64(c.rows-c.sealed.Records) / float64(max(1, c.kills-c.done)+1)
	return c.sealed.Records + uint64(rand.Float64()*min(0.8*share, float64(c.stretch)))
}

// began checks that a member read nothing that was sealed before it was started.
func (c *clusterCampaign) began(i int) {
	c.t.Helper()
	p, sealed := c.crew.members[i], c.from[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.opened {
		if at := sealed.Cut[e.Source]; e.From < at {
			c.t.Errorf("source %s was opened at %d, want %d at least, its cut at epoch %d", e.Source, e.From, at, sealed.Epoch)
		}
	}
}
