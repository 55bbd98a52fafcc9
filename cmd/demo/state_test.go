package main_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
	"github.com/sheaf-go/sheaf/vnode"
)

// made is a state with some epochs in it.
type made struct {
	input, state, out string
	sources           int
	last              flights.EpochHead
}

func makeState(t *testing.T, job string) made {
	t.Helper()
	m := made{input: inputOf(t, 20_000), sources: 2}
	m.state, m.out = filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "out")
	got := call("run", "--input", m.input, "--state", m.state, "--out", m.out, "--sources", "2", "--job", job,
		"--epoch", "20ms", "--rate", "40000", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.out), &m.last); err != nil {
		t.Fatal(err)
	}
	if m.last.Epoch < 2 {
		t.Fatalf("epochs: got %d, want some", m.last.Epoch)
	}
	return m
}

func TestInspectShowsTheNewestRecord(t *testing.T) {
	m := makeState(t, "board")
	got := call("inspect", "--state", m.state, "--json").want(t, 0)
	var seen struct {
		flights.EpochHead
		Emitted uint64
		App     string
		Writer  struct{ Instance, Incarnation string }
		Made    struct {
			Job, Input string
			Sources    int
		} `json:"made_with"`
		Ended    []string
		Vnodes   []struct{ Vnodes string }
		Segments []struct{ Object string }
	}
	if err := json.Unmarshal([]byte(got.out), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Epoch != m.last.Epoch || seen.Emitted != m.last.Epoch || seen.Records != 20_000 || seen.Cut["flights-1"] != 10_000 || len(seen.Ended) != 2 {
		t.Errorf("epoch: got %+v, want %+v, emitted, and both sources ended", seen, m.last)
	}
	if seen.App != appOf("board") || seen.Writer.Instance != "local" || seen.Writer.Incarnation == "" || len(seen.Vnodes) != 1 || seen.Vnodes[0].Vnodes != "0-255" {
		t.Errorf("who: got %+v", seen)
	}
	if seen.Made.Job != "board" || seen.Made.Sources != 2 || seen.Made.Input != m.input {
		t.Errorf("made with: got %+v", seen.Made)
	}
	text := call("inspect", "--state", m.state).want(t, 0).out
	for _, want := range append([]string{"by local (" + seen.Writer.Incarnation, "20,000 rows", "flights-1 10,000, ended", "0-255"}, seen.Segments[0].Object) {
		if !strings.Contains(text, want) {
			t.Errorf("inspect: want %q in\n%s", want, text)
		}
	}
}

func TestCommandsOnNoStateSaySo(t *testing.T) {
	empty := t.TempDir()
	for _, command := range []string{"inspect", "verify", "export"} {
		call(command, "--state", filepath.Join(empty, "none")).want(t, 1, "none", "no such file")
		call(command, "--state", empty).want(t, 1, "the store is empty")
		call(command, "--state", "mem://").want(t, 1, "memory")
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("reading left %v, %v in the directory, want nothing", left, err)
	}
}

// The export of any retained epoch is what a plain program makes of the rows that its file names.
func TestExportIsTheStateOfAnEpoch(t *testing.T) {
	m := makeState(t, "routedays")
	oracle := flightstest.NewRouteDaysOracle(load(t, m.input), m.sources, vnode.DefaultCapacity)
	names, err := fs.Glob(os.DirFS(m.out), "epoch-*.json")
	if err != nil || len(names) < 2 {
		t.Fatalf("files: got %v, %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(m.out, name))
		if err != nil {
			t.Fatal(err)
		}
		file, err := flights.ParseEpochFile[flights.RouteDaysFile](text)
		if err != nil {
			t.Fatal(err)
		}
		if err := oracle.Advance(file.Cut); err != nil {
			t.Fatal(err)
		}
		wantExport(t, oracle.States(), "--state", m.state, "--epoch", fmt.Sprint(file.Epoch))
	}
	wantExport(t, oracle.States(), "--state", m.state)
	call("export", "--state", m.state, "--epoch", "1000000").want(t, 1, "epoch 1000000 is neither retained nor pinned", fmt.Sprint(m.last.Epoch))
}

// I10: whatever is damaged is named, and a run on it does not begin anew.
func TestDamageIsNamed(t *testing.T) {
	m := makeState(t, "board")
	call("verify", "--state", m.state).want(t, 0)
	_, newest := openLedger(t, m.state)
	record := func(seq uint64) string { return fmt.Sprintf("ledger/%020d", seq) }
	for _, c := range []struct {
		object string
		runs   bool // as it is an older record or a segment that only older records name
	}{
		{newest.Segments[0].Key(), false}, {record(newest.Seq), false}, {record(newest.Seq - 2), true}, {record(0), true},
	} {
		for name, damage := range damages() {
			deletedNewest := name == "deleted" && c.object == record(newest.Seq) // only the hint speaks of it: verify looks there
			state := filepath.Join(t.TempDir(), "state")
			if err := os.CopyFS(state, os.DirFS(m.state)); err != nil {
				t.Fatal(err)
			}
			if err := damage(filepath.Join(state, filepath.FromSlash(c.object))); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s %s", c.object, name)
			call("verify", "--state", state).want(t, 1, c.object)
			if !c.runs && !deletedNewest {
				got := call("run", "--state", state, "--input", m.input, "--sources", "2").want(t, 1, c.object)
				if got.out != "" {
					t.Errorf("run on %s %s: got a result, %q", c.object, name, got.out)
				}
			}
		}
	}
}

// damages returns what may befall a file.
func damages() map[string]func(path string) error {
	return map[string]func(string) error{
		"deleted": os.Remove,
		"truncated": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, info.Size()-1)
		},
		"bit-flipped": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/4] ^= 1
			return os.WriteFile(path, data, 0o666)
		},
	}
}

// The demo's own object is guarded too.
func TestLostOrBrokenSettingsAreNamed(t *testing.T) {
	m := makeState(t, "board")
	path := filepath.Join(m.state, "user", "demo.json")
	for _, damage := range []func(string) error{func(path string) error { return os.Truncate(path, 5) }, os.Remove} {
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		call("run", "--state", m.state, "--input", m.input, "--sources", "2").want(t, 1, "user/demo.json")
	}
}
