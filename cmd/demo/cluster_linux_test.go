package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// clusterProcess starts demo cluster on a new state.
func clusterProcess(t *testing.T, rate int, args ...string) (p *process, state, out string) {
	t.Helper()
	dir := t.TempDir()
	state, out = filepath.Join(dir, "state"), filepath.Join(dir, "out")
	p = launch(t, append([]string{
		"cluster", "--state", state, "--out", out, "--sources", "6", "--epoch", "50ms", "--rate", strconv.Itoa(rate),
	}, args...)...)
	return p, state, out
}

// awaitEpochs waits until a number of epochs are emitted.
func awaitEpochs(t *testing.T, p *process, out string, n int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		if names, err := filepath.Glob(filepath.Join(out, "epoch-*.json")); err == nil && len(names) >= n {
			return
		}
		if !p.pause(20*time.Millisecond) || time.Now().After(deadline) {
			t.Fatalf("no %d epochs were emitted: %+v", n, p.end())
		}
	}
}

// children lists the processes that a process has started.
func children(t *testing.T, p *process) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			t.Skipf("the kernel does not list children: %v", err)
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// wantGone waits until processes have ended, for whoever has them now to bury them.
func wantGone(t *testing.T, pids []int) {
	t.Helper()
	if len(pids) != 3 {
		t.Errorf("members: got processes %v, want 3", pids)
	}
	for _, pid := range pids {
		deadline := time.Now().Add(10 * time.Second)
		for alive(pid) {
			if time.Now().After(deadline) {
				t.Errorf("process %d of a member still runs", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
			<-time.After(20 * time.Millisecond)
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestClusterCountsAndPrintsAsRunDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	input := inputOf(t, 20_000)
	p, state, out := clusterProcess(t, 30_000, "--input", input, "--json", "--job", "routedays")
	got := p.end().want(t, 0)
	files := newChecker("routedays", load(t, input), 6)
	if err := files.Check(os.DirFS(out)); err != nil || !files.Complete() {
		t.Fatalf("files: got %v, complete %t", err, files.Complete())
	}
	last, err := os.ReadFile(filepath.Join(out, flights.EpochFileName(files.Last().Epoch)))
	if err != nil || got.out != string(last) || got.notes != "" {
		t.Errorf("--json printed %.200q and %q, want the last file alone, %.200q, %v", got.out, got.notes, last, err)
	}
	again := launch(t, "cluster", "--instances", "2", "--state", state, "--sources", "6", "--job", "routedays", "--input", input)
	if got := again.end().want(t, 0, "resumed from epoch"); !strings.Contains(got.out, "nothing was left to read; epoch") {
		t.Errorf("a second run printed %q", got.out)
	}
	launch(t, "cluster", "--state", state, "--sources", "5", "--job", "routedays", "--input", input).end().want(t, 1, "--sources: the state was made with 6")
	launch(t, "cluster", "--state", "mem://").end().want(t, 1, "memory of one process")
}

// A member that dies ends the command, which says what it said last; the next run goes on, with another number too.
func TestClusterEndsWithAMemberThatDies(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	input := inputOf(t, 30_000)
	p, state, out := clusterProcess(t, 10_000, "--input", input)
	awaitEpochs(t, p, out, 2)
	members := children(t, p)
	if err := syscall.Kill(members[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.end().want(t, 1, "ended: signal: killed", "member n")
	wantGone(t, members)
	again := launch(t, "cluster", "--instances", "2", "--state", state, "--out", out, "--sources", "6", "--input", input, "--json")
	var report struct{ Records uint64 }
	if got := again.end().want(t, 0, "resumed from epoch"); json.Unmarshal([]byte(got.out), &report) != nil || report.Records != 30_000 {
		t.Errorf("the next run printed %.200q, want 30000 records", got.out)
	}
	files := newChecker("board", load(t, input), 6)
	if err := files.Check(os.DirFS(out)); err != nil || !files.Complete() {
		t.Errorf("files: got %v, complete %t", err, files.Complete())
	}
}

// With members killed and stopped all the time the command comes to what one process comes to, and says so; a file that holds
// something else it finds.
func TestElasticClusterVerifiesItself(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	t.Parallel()
	input := inputOf(t, 30_000)
	args := []string{"--dynamic", "--chaos", "kill 3s, stop 1s", "--input", input, "--job", "routedays"}
	p, state, out := clusterProcess(t, 12_000, args...)
	got := p.end().want(t, 0, "is killed", "is stopped for 3s", "coordinates: term", "takeovers")
	if !strings.Contains(got.out, "verified: epoch ") || !strings.Contains(got.out, "of 30,000 rows is what a single process comes to, and each of ") {
		t.Errorf("the end of what it printed: got %q, want that it is verified", got.out[max(0, len(got.out)-300):])
	}
	t.Log(strings.TrimSpace(got.notes[strings.LastIndex(got.notes, "demo: "):]))
	other := filepath.Join(out, flights.EpochFileName(1<<40))
	if err := os.WriteFile(other, []byte(`{"epoch":1099511627776,"cut":{},"records":0,"keys":0,"flights":0,"vnodes":{}}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	again := launch(t, append([]string{"cluster", "--state", state, "--out", out, "--sources", "6", "--json"}, args...)...)
	again.end().want(t, 1, "resumed from epoch", "verify: --out: "+filepath.Base(other))
}

// newcomersLine is what the README shows.
const newcomersLine = "go run ./cmd/demo cluster --dynamic --instances 3 --chaos 'kill 5s'"

// What a newcomer types works as it stands, here with kills that come sooner: some are seen, the result is verified, and
// nothing is left.
func TestChaosWorksAsTheReadmeShowsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	t.Parallel()
	words := strings.Split(strings.TrimPrefix(newcomersLine, "go run ./cmd/demo "), " '")
	args := append(strings.Fields(words[0]), strings.Replace(strings.TrimSuffix(words[1], "'"), "5s", "2s", 1))
	got := launch(t, args...).end().want(t, 0, "rows are to last 12s for --chaos \"kill 2s\"", "is killed", "members: n")
	if !strings.Contains(got.out, "verified: epoch ") || !strings.Contains(got.out, "of 508,239 rows is what a single process comes to") {
		t.Errorf("the end of what it printed: got %q, want that it is verified", got.out[max(0, len(got.out)-300):])
	}
	if _, err := os.Stat(passingState(t, got)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its state after the end: got %v, want that it has gone", err)
	}
	t.Log(strings.TrimSpace(got.notes[strings.LastIndex(got.notes, "demo: "):]))
}

// passingState is where a command without --state says that it is. It goes at the end of the test.
func passingState(t *testing.T, a answer) string {
	t.Helper()
	found := regexp.MustCompile(`without --state it is in (\S+),`).FindStringSubmatch(a.notes)
	if found == nil {
		t.Fatalf("demo %q: got notes %q, want one that says where the state is", a.args, a.notes)
	}
	t.Cleanup(func() { _ = os.RemoveAll(found[1]) })
	return found[1]
}

// Chaos that comes to nobody is a failure, after which the state stays; so is one on a state that is counted. It has a source
// for each instance, and goes on with as many, unless it is told otherwise.
func TestChaosThatComesToNobodyIsAFailure(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	input := inputOf(t, 2000)
	args := []string{"cluster", "--dynamic", "--chaos", "kill 1m", "--input", input, "--epoch", "50ms"}
	got := launch(t, append(args, "--rate", "0")...).end().want(t, 1, `--chaos "kill 1m0s": it came to nobody: all was counted after `, "stays: with --state")
	if strings.Contains(got.notes, "are to last") || !strings.Contains(got.out, "verified: epoch ") {
		t.Errorf("with --rate 0: got notes %q, output %q, want no other pace, and that it is verified", got.notes, got.out)
	}
	state := passingState(t, got)
	call("verify", "--state", state).want(t, 0)
	args = append(args, "--state", state)
	launch(t, append(args, "--instances", "2")...).end().want(t, 1, "resumed from epoch", "it came to nobody")
	launch(t, append(args, "--sources", "2")...).end().want(t, 1, "--sources: the state was made with 3, this run says 2")
}

// No process is left, however the command ends.
func TestClusterLeavesNobodyBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	for name, end := range map[string]func(t *testing.T, p *process){
		"SIGTERM": func(t *testing.T, p *process) {
			signalTo(t, p, syscall.SIGTERM)
			p.end().want(t, 143, "stopped early: terminated")
		},
		"SIGKILL": func(_ *testing.T, p *process) { p.kill() },
		"two SIGINT": func(t *testing.T, p *process) {
			signalTo(t, p, syscall.SIGINT)
			for p.pause(50 * time.Millisecond) {
				if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, out := clusterProcess(t, 5_000, "--input", inputOf(t, 100_000))
			awaitEpochs(t, p, out, 1)
			members := children(t, p)
			end(t, p)
			wantGone(t, members)
		})
	}
}
