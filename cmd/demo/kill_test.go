package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
	"github.com/sheaf-go/sheaf/vnode"
)

var (
	killsFlag = flag.Int("kills", 3, "times that TestSurvivesKills kills each job")
	inputFlag = flag.String("input", "", "what TestSurvivesKills counts, at 300,000 rows/s and 200 ms an epoch; default: some rows of the sample")
)

// I4, I5, I6 with real processes and kill -9: every emitted file is what a plain program makes of exactly the rows that
// its own cut names, epochs grow, cuts never go back, nothing sealed is read again, and in the end every row counts once.
func TestSurvivesKills(t *testing.T) {
	survivesKills(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "state") })
}

// survivesKills runs both jobs on states that are new: directories or URLs.
func survivesKills(t *testing.T, state func(t *testing.T) string) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	plan := campaign{kills: *killsFlag, sources: 4, epoch: 100 * time.Millisecond, rate: 50_000}
	if plan.input = *inputFlag; plan.input == "" {
		plan.input = inputOf(t, 20_000**killsFlag)
	} else {
		plan.epoch, plan.rate = 200*time.Millisecond, 300_000
	}
	rows := load(t, plan.input)
	t.Run("board", func(t *testing.T) {
		plan.job, plan.state = "board", state(t)
		c := newCampaign(t, plan, rows, flightstest.NewBoardChecker(rows, plan.sources))
		c.run()
		oracle := flightstest.NewBoardOracle(rows, plan.sources)
		if err := oracle.Advance(oracle.Total()); err != nil {
			t.Fatal(err)
		}
		wantExport(t, oracle.Board(), "--state", c.state)
	})
	t.Run("routedays", func(t *testing.T) {
		plan.job, plan.state = "routedays", state(t)
		c := newCampaign(t, plan, rows, flightstest.NewRouteDaysChecker(rows, plan.sources, vnode.DefaultCapacity))
		c.run()
		oracle := flightstest.NewRouteDaysOracle(rows, plan.sources, vnode.DefaultCapacity)
		if err := oracle.Advance(oracle.Total()); err != nil {
			t.Fatal(err)
		}
		wantExport(t, oracle.States(), "--state", c.state)
	})
}

func load(t *testing.T, path string) []flights.Flight {
	t.Helper()
	in, err := flights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := flightstest.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// checker holds the emitted files against the input.
type checker interface {
	Check(dir fs.FS) error
	Files() int
	Last() flights.EpochHead
	Complete() bool
}

// campaign runs a job, kills it again and again, and checks what stands after each kill.
type campaign struct {
	job, input, state string
	kills, sources    int
	epoch             time.Duration
	rate              int

	t       *testing.T
	rows    uint64
	checker checker
	out     string
	sealed  flights.EpochHead // of the newest record, after the newest kill
	done    int               // kills
	hard    int               // those after a seal of that run, with rows read and not sealed
	again   uint64            // rows that were read and not sealed when the process died: read again
}

func newCampaign(t *testing.T, plan campaign, rows []flights.Flight, files checker) *campaign {
	plan.t, plan.rows, plan.checker = t, uint64(len(rows)), files
	plan.out = filepath.Join(t.TempDir(), "out")
	return &plan
}

// run kills until there were enough, three quarters of them hard, and then lets the job finish.
func (c *campaign) run() {
	need := (3*c.kills + 3) / 4
	for c.done < c.kills || (c.hard < need && c.done < 2*c.kills) {
		if !c.kill() {
			c.t.Fatalf("the job finished after %d kills: got %d of them hard, want %d and %d", c.done, c.hard, c.kills, need)
		}
	}
	c.t.Logf("%s: %d rows, %d kills, %d of them after a seal and with unsealed rows behind it; %d rows were read again", c.job, c.rows, c.done, c.hard, c.again)
	if c.hard < need {
		c.t.Errorf("hard kills: got %d of %d, want at least %d", c.hard, c.done, need)
	}
	c.finish()
	c.t.Logf("%s: %d files, the last of epoch %d with %d records", c.job, c.checker.Files(), c.checker.Last().Epoch, c.checker.Last().Records)
}

func (c *campaign) start(args ...string) *process {
	return start(c.t, append([]string{
		"--input", c.input, "--state", c.state, "--out", c.out, "--job", c.job, "--sources", strconv.Itoa(c.sources),
		"--epoch", c.epoch.String(), "--rate", strconv.Itoa(c.rate),
	}, args...)...)
}

// kill starts the job and kills it at a random moment: as a rule after a seal and some rows, now and then at any time,
// also while it starts. False: it finished before.
func (c *campaign) kill() bool {
	c.t.Helper()
	p, rows, within := c.start(), c.target(), c.epoch
	if anytime := c.done%7 == 3; anytime {
		within = 5 * c.epoch
	} else if !p.until(func(e entry) bool { return e.Epoch > c.sealed.Epoch && e.Rows >= rows }) {
		return c.ended(p)
	}
	if !p.pause(time.Duration(rand.Float64() * float64(within))) {
		return c.ended(p)
	}
	p.kill()
	c.done++
	c.check(p)
	return true
}

// target is a random number of rows that leaves some for the kills to come.
func (c *campaign) target() uint64 {
	share := float64(c.rows-c.sealed.Records) / float64(max(1, c.kills-c.done)+1)
	return c.sealed.Records + uint64(1.4*rand.Float64()*share)
}

// ended is false, after a check that the job ended well.
func (c *campaign) ended(p *process) bool {
	c.t.Helper()
	p.end().want(c.t, 0)
	return false
}

// check looks at what stands after a kill.
func (c *campaign) check(p *process) {
	c.t.Helper()
	before := c.sealed
	c.began(p, before)
	c.sealed = newestEpoch(c.t, c.state, before)
	if err := c.checker.Check(os.DirFS(c.out)); err != nil && !os.IsNotExist(err) {
		c.t.Fatalf("after kill %d: %v", c.done, err)
	}
	if last := c.checker.Last(); last.Epoch > c.sealed.Epoch {
		c.t.Fatalf("after kill %d: epoch %d is emitted, but only %d is sealed", c.done, last.Epoch, c.sealed.Epoch)
	}
	if c.sealed.Epoch > 0 {
		call("verify", "--state", c.state).want(c.t, 0)
	}
	read, _ := p.progress()
	unsealed := read.Rows - min(read.Rows, c.sealed.Records)
	c.again += unsealed
	if unsealed > 0 && c.sealed.Epoch > before.Epoch {
		c.hard++
	}
	c.t.Logf("kill %d: epoch %d to %d, %d rows sealed, %d read behind them", c.done, before.Epoch, c.sealed.Epoch, c.sealed.Records, unsealed)
}

// began checks that a run read on exactly where the sealed rows end.
func (c *campaign) began(p *process, sealed flights.EpochHead) {
	c.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	first := map[string]bool{}
	for _, e := range p.opened {
		if at := sealed.Cut[e.Source]; e.From < at || (!first[e.Source] && e.From > at) {
			c.t.Errorf("after kill %d: source %s was opened at %d, want %d, its cut at epoch %d", c.done, e.Source, e.From, at, sealed.Epoch)
		}
		first[e.Source] = true
	}
}

// newestEpoch reads the newest record, which must not lie behind what was seen before.
func newestEpoch(t *testing.T, state string, before flights.EpochHead) flights.EpochHead {
	t.Helper()
	got := call("inspect", "--state", state, "--json")
	none := strings.Contains(got.notes, "the store is empty") || strings.Contains(got.notes, "no such file")
	if before.Epoch == 0 && got.code == 1 && none {
		return before // killed before the first record
	}
	got.want(t, 0)
	var head flights.EpochHead
	if err := json.Unmarshal([]byte(got.out), &head); err != nil {
		t.Fatalf("inspect: %v in\n%s", err, got.out)
	}
	if head.Epoch < before.Epoch {
		t.Fatalf("newest epoch: got %d, want at least %d", head.Epoch, before.Epoch)
	}
	for source, at := range before.Cut {
		if head.Cut[source] < at {
			t.Fatalf("cut of %s at epoch %d: got %d, want at least %d, the cut of epoch %d", source, head.Epoch, head.Cut[source], at, before.Epoch)
		}
	}
	return head
}

// finish lets the job run to its end, without a limit of rows, and checks what it says.
func (c *campaign) finish() {
	c.t.Helper()
	p := c.start("--json", "--rate", "0")
	got := p.end().want(c.t, 0, fmt.Sprintf("resumed from epoch %d", c.sealed.Epoch))
	c.began(p, c.sealed)
	if err := c.checker.Check(os.DirFS(c.out)); err != nil {
		c.t.Fatal(err)
	}
	last := c.checker.Last()
	if !c.checker.Complete() || last.Records != c.rows {
		c.t.Fatalf("last file: got %d records, cut %v, want all %d rows", last.Records, last.Cut, c.rows)
	}
	file, err := os.ReadFile(filepath.Join(c.out, flights.EpochFileName(last.Epoch)))
	if err != nil {
		c.t.Fatal(err)
	}
	wantReport(c.t, got.out, file, c.sealed)
	call("verify", "--state", c.state).want(c.t, 0)
	c.emitted()
}

// emitted checks that each epoch that a retained record seals has its file.
func (c *campaign) emitted() {
	c.t.Helper()
	ledger, newest := openLedger(c.t, c.state)
	for rec, err := range ledger.History(c.t.Context(), newest) {
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(c.out, flights.EpochFileName(uint64(rec.Epoch)))); err != nil && rec.Epoch > 0 {
			c.t.Errorf("record %d seals epoch %d, which was never emitted: %v", rec.Seq, rec.Epoch, err)
		}
	}
}

// openLedger opens a state to read its records.
func openLedger(t *testing.T, state string) (*backend.Ledger, *backend.Record) {
	t.Helper()
	config := backend.Local(state)
	if strings.Contains(state, "://") {
		config = backend.ObjectStore(state, "local")
	}
	store, err := config.OpenReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	ledger, newest, err := backend.OpenReader(t.Context(), store.Objects())
	if err != nil {
		t.Fatal(err)
	}
	return ledger, newest
}

// wantReport checks that --json printed the last file, and where the run began.
func wantReport(t *testing.T, printed string, file []byte, sealed flights.EpochHead) {
	t.Helper()
	var got, want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		t.Fatalf("--json printed %q: %v", printed, err)
	}
	if err := json.Unmarshal(file, &want); err != nil {
		t.Fatal(err)
	}
	var resumed flights.EpochHead
	if err := json.Unmarshal(got["resumed_from"], &resumed); err != nil || resumed.Epoch != sealed.Epoch || !maps.Equal(resumed.Cut, sealed.Cut) {
		t.Errorf("resumed_from: got %s, %v, want %+v", got["resumed_from"], err, sealed)
	}
	delete(got, "resumed_from")
	same := func(a, b json.RawMessage) bool { return string(a) == string(b) }
	if !maps.EqualFunc(got, want, same) {
		t.Errorf("--json printed %.200s…, want the last file, %.200s…", printed, file)
	}
}

// wantExport checks that the export holds exactly a plain program's keys and states.
func wantExport[K interface {
	comparable
	fmt.Stringer
}, S comparable](t *testing.T, want map[K]S, place ...string) {
	t.Helper()
	got := call(append([]string{"export"}, place...)...).want(t, 0)
	states := map[string]S{}
	for line := range strings.Lines(got.out) {
		var e struct {
			Key   string
			State S
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("export line %q: %v", line, err)
		}
		if _, twice := states[e.Key]; twice {
			t.Errorf("export: key %s is there twice", e.Key)
		}
		states[e.Key] = e.State
	}
	wrong := 0
	for key, s := range want {
		if got, ok := states[key.String()]; !ok || got != s {
			if wrong++; wrong < 10 {
				t.Errorf("export: key %s: got %+v, %t, want %+v", key, got, ok, s)
			}
		}
	}
	if wrong > 0 || len(states) != len(want) {
		t.Errorf("export: got %d keys, %d of them wrong, want %d", len(states), wrong, len(want))
	}
	t.Logf("export: %d keys as a plain program's", len(states))
}
