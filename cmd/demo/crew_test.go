package main_test

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	demo "github.com/sheaf-go/sheaf/cmd/demo"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// crewSize is the number of members.
const crewSize = 3

// crew is a cluster whose members are processes: n0, which merges, n1 and n2.
type crew struct {
	t       *testing.T
	state   string // URL
	out     string
	sources int
	args    []string
	configs [crewSize]backend.Config
	members [crewSize]*process // nil: not started
}

// newCrew returns a crew of which nobody is started. Args are those of every member.
func newCrew(t *testing.T, state string, inFlight backend.Size, sources int, args ...string) *crew {
	t.Helper()
	c := &crew{t: t, state: state, out: filepath.Join(t.TempDir(), "out"), sources: sources}
	configs, err := demo.ClusterConfigs(t.Context(), state, crewSize)
	if err != nil {
		t.Fatal(err)
	}
	for i := range configs {
		configs[i].Cluster.Limits.InFlight = inFlight
		c.configs[i] = configs[i]
	}
	c.args = append([]string{"--out", c.out, "--sources", strconv.Itoa(sources)}, args...)
	return c
}

// fileURL is the URL of a directory of the test's own.
func fileURL(t *testing.T) string {
	t.Helper()
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(t.TempDir(), "state"))}).String()
}

// start starts a member that does not run.
func (c *crew) start(i int, more ...string) *process {
	c.t.Helper()
	c.members[i] = c.launch(c.configs[i], more...)
	return c.members[i]
}

func (c *crew) startAll(more ...string) {
	c.t.Helper()
	for i := range c.members {
		c.start(i, more...)
	}
}

// launch starts a process by a config.
func (c *crew) launch(config backend.Config, more ...string) *process {
	c.t.Helper()
	path, err := demo.WriteConfig(c.t.TempDir(), config)
	if err != nil {
		c.t.Fatal(err)
	}
	args := append([]string{"node", "--config", path, "--report", "20ms", "--log", "info"}, c.args...)
	return launch(c.t, append(args, more...)...)
}

// progress joins where the members stand, and returns what says that there is news of each.
func (c *crew) progress() (all entry, news [crewSize]<-chan struct{}) {
	all.Read = map[string]uint64{}
	for i, p := range c.members {
		last, ch := p.progress()
		news[i] = ch
		all.Epoch = max(all.Epoch, last.Epoch)
		all.Flying += last.Flying
		for source, rows := range last.Read {
			all.Read[source] = max(all.Read[source], rows)
		}
		all.Held = append(all.Held, last.Held...)
	}
	all.Rows = flights.NewEpochHead(all.Epoch, all.Read).Records
	return all, news
}

// until waits until the members have come so far. False: all of them have ended well.
func (c *crew) until(such func(entry) bool) bool {
	c.t.Helper()
	patience := time.After(time.Minute)
	for {
		all, news := c.progress()
		if such(all) {
			return true
		}
		var ended [crewSize]<-chan struct{}
		running := false
		for i, p := range c.members {
			select {
			case <-p.done:
				p.end().want(c.t, 0)
			default:
				running, ended[i] = true, p.done
			}
		}
		if !running {
			return false
		}
		select {
		case <-news[0]:
		case <-news[1]:
		case <-news[2]:
		case <-ended[0]:
		case <-ended[1]:
		case <-ended[2]:
		case <-patience:
			c.dump()
			c.t.Fatalf("no such news for a minute: epoch %d, %d rows read, held: %q", all.Epoch, all.Rows, all.Held)
		}
	}
}

// dump makes the members that run say where all their goroutines are, and logs the end of what they said.
func (c *crew) dump() {
	for i, p := range c.members {
		quit(p)
		<-p.done
		notes := p.end().notes
		path := filepath.Join(os.TempDir(), fmt.Sprintf("demo-%d-n%d.log", os.Getpid(), i))
		_ = os.WriteFile(path, []byte(notes), 0o600)
		last, _ := p.progress()
		c.t.Logf("n%d: it stood at %+v; what it said is in %s", i, last, path)
	}
}

// end waits until all members have ended well. It returns what the merger said.
func (c *crew) end() answer {
	c.t.Helper()
	if c.until(func(entry) bool { return false }) {
		c.t.Fatal("impossible")
	}
	for _, p := range c.members[1:] {
		if got := p.end(); got.out != "" {
			c.t.Errorf("demo %q printed %q, want nothing: it does not merge", got.args, got.out)
		}
	}
	return c.members[0].end()
}

// check holds the files that stand against the input, and returns what is sealed behind them.
func (c *crew) check(files checker, before flights.EpochHead) flights.EpochHead {
	c.t.Helper()
	if err := files.Check(os.DirFS(c.out)); err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	sealed := newestEpoch(c.t, c.state, before)
	if last := files.Last(); last.Epoch > sealed.Epoch {
		c.t.Fatalf("epoch %d is emitted, but only %d is sealed", last.Epoch, sealed.Epoch)
	}
	return sealed
}

// checkEnd checks what a crew leaves that has counted everything: the files, the state, and that the epochs which the
// ledger calls emitted have a file, and no others.
func (c *crew) checkEnd(files checker, rows int) {
	c.t.Helper()
	c.check(files, flights.EpochHead{})
	if last := files.Last(); !files.Complete() || last.Records != uint64(rows) {
		c.t.Fatalf("last file: got %d records, cut %v, want all %d rows", last.Records, last.Cut, rows)
	}
	call("verify", "--state", c.state).want(c.t, 0)
	ledger, newest := openLedger(c.t, c.state)
	emitted, oldest := map[string]bool{}, newest.Epoch
	for rec, err := range ledger.History(c.t.Context(), newest) {
		if err != nil {
			c.t.Fatal(err)
		}
		if rec.Epoch > 0 && rec.Epoch <= newest.Emitted {
			emitted[flights.EpochFileName(uint64(rec.Epoch))] = true
		}
		oldest = min(oldest, rec.Epoch)
	}
	paths, err := filepath.Glob(filepath.Join(c.out, "epoch-*.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	there := map[string]bool{}
	for _, path := range paths {
		if name := filepath.Base(path); name >= flights.EpochFileName(uint64(max(oldest, 1))) {
			there[name] = true
		}
	}
	if newest.Emitted != newest.Epoch || !maps.Equal(emitted, there) {
		c.t.Errorf("epochs of the ledger from %d to %d, emitted to %d, and files: got\n%v and\n%v, want the same", oldest, newest.Epoch, newest.Emitted, emitted, there)
	}
	c.t.Logf("%d files, %d of them of retained epochs; the last of epoch %d with %d records", files.Files(), len(there), files.Last().Epoch, files.Last().Records)
}

// freeAddress is one that nobody has.
func freeAddress(t *testing.T) string {
	t.Helper()
	addresses, err := demo.FreeAddresses(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return addresses[0]
}
