package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
	"github.com/sheaf-go/sheaf/vnode"
)

// collected is what demo gc --json prints.
type collected struct {
	DryRun            bool `json:"dry_run"`
	Records, Segments int
	Bytes             int64
	Left              int
	Floor             struct{ Number, Record uint64 }
}

func gc(t *testing.T, args ...string) collected {
	t.Helper()
	var c collected
	got := call(append([]string{"gc", "--json"}, args...)...).want(t, 0)
	if err := json.Unmarshal([]byte(got.out), &c); err != nil {
		t.Fatalf("gc printed %q: %v", got.out, err)
	}
	return c
}

// files returns the sizes and times of all files of a state.
func files(t *testing.T, state string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all[path] = fmt.Sprint(info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGCDeletesWhatItsDryRunShows(t *testing.T) {
	m := makeState(t, "board")
	before := files(t, m.state)
	shown := gc(t, "--state", m.state, "--retain", "2", "--dry-run")
	if after := files(t, m.state); !maps.Equal(before, after) {
		t.Errorf("a dry run changed the state: before %v, after %v", before, after)
	}
	done := gc(t, "--state", m.state, "--retain", "2")
	after := files(t, m.state)
	gone, bytes := 0, int64(0)
	for path, was := range before {
		if _, there := after[path]; !there {
			var size int64
			_, _ = fmt.Sscan(was, &size)
			gone, bytes = gone+1, bytes+size
		}
	}
	if !shown.DryRun || done.DryRun || done.Left != 0 || gone < 5 || gone != done.Records+done.Segments || bytes != done.Bytes {
		t.Errorf("gc says %+v; %d files with %d bytes are gone", done, gone, bytes)
	}
	if shown.DryRun = false; shown != done {
		t.Errorf("the dry run showed %+v, gc did %+v", shown, done)
	}
	call("verify", "--state", m.state).want(t, 0)
	if again := gc(t, "--state", m.state, "--retain", "4"); again.Records+again.Segments != 0 {
		t.Errorf("gc again, retaining more: got %+v, want nothing deleted", again)
	}
	if text := call("gc", "--state", m.state, "--retain", "4", "--dry-run").want(t, 0).out; !strings.HasPrefix(text, "would delete 0 records and 0 segments") {
		t.Errorf("gc in words: got %q", text)
	}
}

func TestPinnedEpochOutlivesRetention(t *testing.T) {
	m := makeState(t, "routedays")
	names, err := fs.Glob(os.DirFS(m.out), "epoch-*.json")
	if err != nil || len(names) < 3 {
		t.Fatalf("files: got %v, %v", names, err)
	}
	text, err := os.ReadFile(filepath.Join(m.out, names[1]))
	if err != nil {
		t.Fatal(err)
	}
	file, err := flights.ParseEpochFile[flights.RouteDaysFile](text)
	if err != nil {
		t.Fatal(err)
	}
	oracle := flightstest.NewRouteDaysOracle(load(t, m.input), m.sources, vnode.DefaultCapacity)
	if err := oracle.Advance(file.Cut); err != nil {
		t.Fatal(err)
	}
	epoch := fmt.Sprint(file.Epoch)
	at := []string{"--state", m.state}
	with := func(command string, more ...string) []string {
		return append(append([]string{command}, at...), more...)
	}

	call(with("pin", "--name", "a b")...).want(t, 2, "a b", "1 to 64")
	call(with("pin", "--name", "early", "--epoch", "1000000")...).want(t, 1, "neither retained nor pinned")
	call(with("pin", "--name", "early", "--epoch", epoch)...).want(t, 0)
	call(with("pin", "--name", "early")...).want(t, 1, "early", "drop it first")
	call(with("pin", "--name", "newest")...).want(t, 0)
	call(with("unpin", "--name", "none")...).want(t, 1, "no such pin", "early, newest")
	if out := call(with("inspect")...).want(t, 0).out; !strings.Contains(out, "early: epoch "+epoch) {
		t.Errorf("inspect: want the pin of epoch %s in\n%s", epoch, out)
	}

	for range 3 {
		gc(t, "--state", m.state, "--retain", "2")
	}
	wantExport(t, oracle.States(), append(at, "--epoch", epoch)...)
	call(with("export", "--epoch", fmt.Sprint(file.Epoch-1))...).want(t, 1, "neither retained nor pinned", " "+epoch)
	if out := call(with("verify")...).want(t, 0).out; !strings.Contains(out, "2 older pinned ones") {
		t.Errorf("verify: want the pinned epochs in %q", out)
	}
	again := call("run", "--state", m.state, "--input", m.input, "--sources", "2", "--job", "routedays").want(t, 0)
	if !strings.Contains(again.notes, "resumed") {
		t.Errorf("a run on a state with pins: notes %q", again.notes)
	}

	call(with("unpin", "--name", "early")...).want(t, 0)
	if done := gc(t, "--state", m.state, "--retain", "2"); done.Records == 0 {
		t.Errorf("gc behind a dropped pin: got %+v, want its record gone", done)
	}
	call(with("export", "--epoch", epoch)...).want(t, 1, "neither retained nor pinned")
	call(with("verify")...).want(t, 0)
}

// child is any command in a process of its own.
func child(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asDemo+"=1")
	return cmd
}

// I9 with real processes: collectors, some of them killed, pins and readers work beside a writer, which notices nothing.
func TestGCBesideAWriterAndReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	input := inputOf(t, 60_000)
	state := filepath.Join(t.TempDir(), "state")
	writer := start(t, "--input", input, "--state", state, "--job", "routedays", "--epoch", "20ms", "--rate", "20000")
	if !writer.until(func(e entry) bool { return e.Epoch > 2 }) {
		t.Fatal("the writer ended")
	}
	var all sync.WaitGroup
	var mu sync.Mutex // guards killed and passes
	killed, passes := 0, 0
	for range 2 {
		all.Go(func() {
			for i := 0; writer.pause(time.Duration(rand.N(20)) * time.Millisecond); i++ {
				most := time.Duration(10+rand.N(200)) * time.Millisecond
				if i%4 == 3 {
					most = time.Minute
				}
				kill, cancel := context.WithTimeout(t.Context(), most)
				out, err := child(kill, "gc", "--state", state, "--retain", "2").CombinedOutput()
				mu.Lock()
				passes++
				if kill.Err() != nil {
					killed++
				} else if err != nil {
					t.Errorf("gc: %v: %s", err, out)
				}
				mu.Unlock()
				cancel()
			}
		})
	}
	all.Go(func() {
		for i := 0; writer.pause(0); i++ {
			name := fmt.Sprint("pin-", i)
			call("pin", "--state", state, "--name", name).want(t, 0)
			call("verify", "--state", state).want(t, 0)
			call("unpin", "--state", state, "--name", name).want(t, 0)
		}
	})
	got := writer.end()
	all.Wait()
	got.want(t, 0)
	t.Logf("%d collections, %d of them killed", passes, killed)
	if killed == 0 || killed == passes {
		t.Errorf("%d of %d collections were killed: the test proves little", killed, passes)
	}
	done := gc(t, "--state", state, "--retain", "2")
	call("verify", "--state", state).want(t, 0)
	if left := len(files(t, filepath.Join(state, "ledger"))); done.Left != 0 || left > 10+int(done.Floor.Number) {
		t.Errorf("%d files of the ledger are left behind %+v", left, done)
	}
	oracle := flightstest.NewRouteDaysOracle(load(t, input), 1, vnode.DefaultCapacity)
	if err := oracle.Advance(oracle.Total()); err != nil {
		t.Fatal(err)
	}
	wantExport(t, oracle.States(), "--state", state)
}
