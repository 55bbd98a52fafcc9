package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

// What a newcomer sees first.
func TestAloneItPrintsTheBoardOfTheSample(t *testing.T) {
	got := call().want(t, 0)
	for _, text := range []string{"origin", "ORD          27,692", "all 223     508,239", "508,239 rows in"} {
		if !strings.Contains(got.out, text) {
			t.Errorf("output: want %q in\n%s", text, got.out)
		}
	}
	if strings.Contains(got.out, "\r") {
		t.Errorf("a live line was written where nobody looks: %q", got.out)
	}
}

// Whatever names the place, the same state is there.
func TestEveryWayToNameAStateLeadsThere(t *testing.T) {
	input, dir := inputOf(t, 2000), filepath.Join(t.TempDir(), "a b", "state")
	config := fileOf(t, "demo.toml", fmt.Appendf(nil, "[state]\nbackend = \"local\"\npath = %q\n", dir))
	bare := fileOf(t, "bare.toml", []byte("[state]\nvnode_capacity = 256\n"))
	url := "file://" + strings.ReplaceAll(filepath.ToSlash(dir), " ", "%20")
	for i, place := range [][]string{{"--config", config}, {"--state", dir}, {"--state", url}, {"--config", bare, "--state", dir}} {
		got := call(append([]string{"run", "--json", "--input", input}, place...)...).want(t, 0)
		var report struct {
			flights.BoardFile
			ResumedFrom *flights.EpochHead `json:"resumed_from"`
		}
		if err := json.Unmarshal([]byte(got.out), &report); err != nil || report.Records != 2000 {
			t.Fatalf("%v: got %d records, %v, want 2000", place, report.Records, err)
		}
		if resumed := report.ResumedFrom; (i > 0) != (resumed != nil) || resumed != nil && resumed.Records != 2000 {
			t.Errorf("%v, run %d: got resumed_from %+v", place, i+1, resumed)
		}
	}
}

// With --verbose a run says what it did to recover, and what it asked of the store, beside the result and not in it.
func TestVerboseTellsOfTheRecovery(t *testing.T) {
	input, state := inputOf(t, 2000), filepath.Join(t.TempDir(), "state")
	args := []string{"run", "--verbose", "--json", "--input", input, "--state", state}
	call(args...).want(t, 0, "open       store "+state, "begins term 1", "goes on behind 0", "asked of the store:", "epochs sealed, 0 given up\ndemo: the last took")
	got := call(args...).want(t, 0, "probe ", "find       record ", "begins term 2", "restore    256 slices of epoch ", "ready ", "end        closed", "0 epochs sealed, 0 given up\n")
	if err := json.Unmarshal([]byte(got.out), &flights.BoardFile{}); err != nil {
		t.Errorf("output: got %q, %v, want one result as JSON", got.out, err)
	}
	for line := range strings.Lines(got.notes) {
		if !strings.HasPrefix(line, "demo: ") {
			t.Errorf("got the note %q, want lines that begin with demo:", line)
		}
	}
}

// SIGINT seals what was read, and the next run goes on there.
func TestSignalSealsWhatWasRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no process can be sent SIGINT there")
	}
	const rows = 100_000
	input, dir := inputOf(t, rows), t.TempDir()
	state, out := filepath.Join(dir, "state"), filepath.Join(dir, "out")
	args := []string{"--input", input, "--state", state, "--out", out, "--sources", "3", "--epoch", "50ms"}
	p := start(t, append(args, "--json", "--rate", "50000")...)
	if !p.until(func(e entry) bool { return e.Epoch > 1 }) {
		t.Fatalf("ended early: %+v", p.end())
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	got := p.end().want(t, 130, "stopped early")
	read, _ := p.progress()
	var file flights.BoardFile
	if err := json.Unmarshal([]byte(got.out), &file); err != nil || file.Records < read.Rows || file.Records >= rows {
		t.Fatalf("sealed by the time of the end: got %d rows, %v, want at least the %d read before, and not all", file.Records, err, read.Rows)
	}
	call(append([]string{"run"}, args...)...).want(t, 0, fmt.Sprintf("resumed from epoch %d", file.Epoch))
	checker := flightstest.NewBoardChecker(load(t, input), 3)
	if err := checker.Check(os.DirFS(out)); err != nil || !checker.Complete() {
		t.Errorf("files: got %v, complete %t", err, checker.Complete())
	}
}

func TestInputsThatCannotBeReadEndTheRun(t *testing.T) {
	sample, err := os.ReadFile(filepath.Join("internal", "flights", flights.SampleName))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(inputOf(t, 20_000))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"missing":           {filepath.Join(t.TempDir(), "none.csv"), "none.csv"},
		"of another kind":   {fileOf(t, "flights.txt", text), ".csv or .csv.zst"},
		"empty":             {fileOf(t, "f.csv", nil), flights.ErrEmpty.Error()},
		"without rows":      {fileOf(t, "f.csv", []byte(header)), flights.ErrEmpty.Error()},
		"cut off":           {fileOf(t, "f.csv", text[:len(text)-9]), flights.ErrTruncated.Error()},
		"cut off, in zstd":  {fileOf(t, "f.csv.zst", sample[:len(sample)/3]), flights.ErrTruncated.Error()},
		"with a broken row": {fileOf(t, "f.csv", append(text[:len(text):len(text)], "2001-01-31T25:00,ORD,LGA,1,2\n"...)), "line 20002: column time"},
	} {
		state, out := filepath.Join(t.TempDir(), "state"), t.TempDir()
		got := call("run", "--input", c.path, "--state", state, "--out", out).want(t, 1, c.want)
		if got.out != "" {
			t.Errorf("input %s: got a result, %q, want none", name, got.out)
		}
	}
}

func TestOutputsThatCannotBeWrittenEndTheRun(t *testing.T) {
	input := inputOf(t, 1000)
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, flights.EpochFileName(1)), []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{
		filepath.Join(input, "below", "a", "file"): "--out",
		"s3://bucket/prefix":                       "backend/s3",
		"ftp://bucket/prefix":                      "unknown scheme",
		taken:                                      flights.EpochFileName(1),
	} {
		call("run", "--input", input, "--state", t.TempDir(), "--out", out).want(t, 1, want)
	}
	call("run", "--input", input, "--out", "mem://").want(t, 0)
}

// A state belongs to one job, one number of sources and one input; what differs is named with both values.
func TestStateRefusesAnotherRun(t *testing.T) {
	input, other, state := inputOf(t, 1000), inputOf(t, 1001), filepath.Join(t.TempDir(), "state")
	call("run", "--input", input, "--state", state, "--sources", "2").want(t, 0)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--sources", "3", "--input", input}, []string{"--sources: the state was made with 2, this run says 3"}},
		{[]string{"--sources", "2", "--input", input, "--job", "routedays"}, []string{"--job: the state was made with board, this run says routedays"}},
		{[]string{"--sources", "2", "--input", other}, []string{"--input: the state was made with " + input, "this run says " + other}},
		{nil, []string{"--sources: the state was made with 2, this run says 1", flights.SampleName}},
		{[]string{"--sources", "2", "--input", input, "--config", fileOf(t, "c.toml", []byte("[state]\nvnode_capacity = 16\n"))}, []string{"vnode_capacity", "256", "16"}},
	} {
		call(append([]string{"run", "--state", state}, c.args...)...).want(t, 1, c.want...)
	}
	moved := filepath.Join(t.TempDir(), "moved.csv")
	if err := os.Rename(input, moved); err != nil {
		t.Fatal(err)
	}
	call("run", "--input", moved, "--state", state, "--sources", "2").want(t, 0)
}

func TestStateInUseOrOfAnotherAppIsRefused(t *testing.T) {
	input, state := inputOf(t, 1000), filepath.Join(t.TempDir(), "state")
	in, err := sheaf.Open(t.Context(), sheaf.Config{State: backend.Local(state)}, sheaf.App[uint64, uint64, int64, int64]{
		Name: "another", KeyOf: func(e uint64) uint64 { return e },
		Update: func(_ *sheaf.Turn, s *int64, _ uint64) error { *s++; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	call("run", "--input", input, "--state", state).want(t, 1, "is held by another process")
	if err := in.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	call("run", "--input", input, "--state", state).want(t, 1, "app = another", appOf("board"))
	call("export", "--state", state).want(t, 1, `"another"`)
	call("verify", "--state", state).want(t, 0)
	call("inspect", "--state", state).want(t, 0)
}

func appOf(job string) string { return "flights-" + job }

func TestConfigsThatAreWrongNameEveryFault(t *testing.T) {
	config := fileOf(t, "c.toml", []byte("[state]\nbackend = \"local\"\nvnode_capacity = 0\nvnodes = [1]\nfrob = 1\n"))
	call("run", "--config", config).want(t, 1, "state.path", "state.vnode_capacity", "state.vnodes", "state.frob")
	call("run", "--config", filepath.Join(t.TempDir(), "none.toml")).want(t, 1, "none.toml")
}
