package main_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

var stopFlag = flag.Duration("stop", 3*time.Second, "time for which TestStoppedMemberSlowsTheOthers stops a member; with -input, of which there must be enough rows")

// I8 with real processes: while a member is stopped, and the sink is slow too, the others read on to their bounds, which
// they name, and no further; their memory is bounded; and nothing is lost.
func TestStoppedMemberSlowsTheOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("stops processes for some seconds")
	}
	const sources = 6
	// At this pace the bound of what is in flight to the stopped member is reached after some two seconds, and the input
	// lasts longer than it is stopped.
	input, inFlight, rate, warm := *inputFlag, backend.Size(4<<20), "60000", uint64(700_000)
	if input == "" {
		input, inFlight, rate, warm = inputOf(t, 300_000), 256<<10, "30000", 1
	} else {
		input = plain(t, input)
	}
	rows := len(load(t, input))
	for _, victim := range []int{1, 0} {
		t.Run(fmt.Sprintf("n%d", victim), func(t *testing.T) {
			c := newCrew(t, fileURL(t), inFlight, sources, "--input", input, "--epoch", "50ms", "--json", "--slow", "200ms", "--rate", rate)
			c.startAll()
			m := measure(c, int64(inFlight), sources)
			defer m.stop()
			if !c.until(func(e entry) bool { return e.Epoch >= 1 && e.Rows >= warm }) {
				t.Fatal("it ended")
			}
			m.loaded.Store(true)
			signalTo(t, c.members[victim], syscall.SIGSTOP)
			stopped := time.Now()
			others := func(e entry) bool { return strings.Contains(strings.Join(e.Held, ","), "in_flight of source") }
			if !c.until(others) {
				t.Fatal("it ended, although a member was stopped")
			}
			all, _ := c.progress()
			t.Logf("after %.1f s: %d bytes in flight, %d rows read, held: %q", time.Since(stopped).Seconds(), all.Flying, all.Rows, all.Held)
			if !c.members[victim].pause(*stopFlag - time.Since(stopped)) {
				got := c.members[victim].end()
				t.Fatalf("the stopped member ended: %v; it said last:\n%s", c.members[victim].cmd.ProcessState, got.notes)
			}
			still, _ := c.progress()
			t.Logf("after %.1f s: %d bytes in flight, %d rows read, held: %q", time.Since(stopped).Seconds(), still.Flying, still.Rows, still.Held)
			signalTo(t, c.members[victim], syscall.SIGCONT)
			woken := time.Now()
			c.end()
			t.Logf("all is counted %.1f s after it went on", time.Since(woken).Seconds())
			m.stop()
			m.want(t, *inputFlag != "")
			files := newChecker("board", load(t, input), sources)
			c.checkEnd(files, rows)
		})
	}
}

// plain is an input without compression: a reader that others have left behind decompresses for itself, which takes memory
// that has nothing to do with limits.
func plain(t *testing.T, path string) string {
	t.Helper()
	in, err := flights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := in.Text()
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	out, err := os.Create(filepath.Join(t.TempDir(), "input.csv"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, text)
	if err = errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// memory samples what the members of a crew hold.
type memory struct {
	limit   int64       // of all that is in flight: sources times in_flight
	loaded  atomic.Bool // something is held back: until then a process is idle, but for its reading
	idle    [crewSize]int64
	most    [crewSize]int64
	flying  [crewSize]int64
	samples int
	end     chan struct{}
	over    chan struct{}
}

// sampleTime is the time from one look at the memory of the processes to the next.
const sampleTime = 250 * time.Millisecond

func measure(c *crew, inFlight int64, sources int) *memory {
	m := &memory{limit: inFlight * int64(sources), end: make(chan struct{}), over: make(chan struct{})}
	members := c.members
	go func() {
		defer close(m.over)
		tick := time.NewTicker(sampleTime)
		defer tick.Stop()
		for {
			m.sample(members)
			select {
			case <-tick.C:
			case <-m.end:
				return
			}
		}
	}()
	return m
}

func (m *memory) sample(members [crewSize]*process) {
	for i, p := range members {
		now := residentBytes(p.cmd.Process.Pid)
		at, _ := p.progress()
		if !m.loaded.Load() {
			m.idle[i] = max(m.idle[i], now)
		}
		m.most[i] = max(m.most[i], now)
		m.flying[i] = max(m.flying[i], at.Flying)
	}
	m.samples++
}

func (m *memory) stop() {
	select {
	case <-m.end:
	default:
		close(m.end)
	}
	<-m.over
}

// want checks what was in flight, and the memory of the processes where the limits are large beside what a process that
// reads holds anyway.
func (m *memory) want(t *testing.T, resident bool) {
	t.Helper()
	const mib = 1 << 20
	for i := range m.most {
		allowed := m.idle[i] + m.limit*5/2
		t.Logf("n%d: in %d samples idle RSS %.1f MiB, most %.1f, allowed %.1f (limits %.1f MiB); at most %d bytes in flight", i, m.samples,
			float64(m.idle[i])/mib, float64(m.most[i])/mib, float64(allowed)/mib, float64(m.limit)/mib, m.flying[i])
		if resident && m.most[i] > allowed {
			t.Errorf("RSS of n%d: got %d, want at most %d", i, m.most[i], allowed)
		}
		if m.flying[i] > m.limit {
			t.Errorf("in flight of n%d: got %d, want at most %d", i, m.flying[i], m.limit)
		}
	}
}

// residentBytes is the memory of a process, 0 if it has ended.
func residentBytes(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if text, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
