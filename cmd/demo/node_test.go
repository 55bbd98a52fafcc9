package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
	"github.com/sheaf-go/sheaf/vnode"
)

// newChecker returns the checker of a job's files.
func newChecker(job string, rows []flights.Flight, sources int) checker {
	if job == "board" {
		return flightstest.NewBoardChecker(rows, sources)
	}
	return flightstest.NewRouteDaysChecker(rows, sources, vnode.DefaultCapacity)
}

// wantStates checks that the export of a state is a plain program's.
func wantStates(t *testing.T, job, state string, rows []flights.Flight, sources int) {
	t.Helper()
	if job == "board" {
		oracle := flightstest.NewBoardOracle(rows, sources)
		if err := oracle.Advance(oracle.Total()); err != nil {
			t.Fatal(err)
		}
		wantExport(t, oracle.Board(), "--state", state)
		return
	}
	oracle := flightstest.NewRouteDaysOracle(rows, sources, vnode.DefaultCapacity)
	if err := oracle.Advance(oracle.Total()); err != nil {
		t.Fatal(err)
	}
	wantExport(t, oracle.States(), "--state", state)
}

// Three processes come to what one comes to, and each epoch that they emit is what a plain program makes of its cut.
func TestMembersCountAsOneProcessDoes(t *testing.T) {
	membersCountAsOneProcess(t, fileURL)
}

func membersCountAsOneProcess(t *testing.T, state func(t *testing.T) string) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	const sources = 6
	input := inputOf(t, 60_000)
	rows := load(t, input)
	for _, job := range []string{"board", "routedays"} {
		t.Run(job, func(t *testing.T) {
			c := newCrew(t, state(t), 4<<20, sources, "--input", input, "--job", job, "--epoch", "50ms", "--rate", "20000", "--json")
			c.startAll()
			merged := c.end()
			files := newChecker(job, rows, sources)
			c.checkEnd(files, len(rows))
			wantStates(t, job, c.state, rows, sources)
			last, err := os.ReadFile(filepath.Join(c.out, flights.EpochFileName(files.Last().Epoch)))
			if err != nil || merged.out != string(last) {
				t.Errorf("--json printed %.200q…, want the last file, %.200q…, %v", merged.out, last, err)
			}
			alone := call("run", "--input", input, "--job", job, "--sources", "6", "--json").want(t, 0)
			if got, want := resultOf(t, merged.out), resultOf(t, alone.out); !bytes.Equal(got, want) {
				t.Errorf("result: got %.200s…, want %.200s…, that of one process", got, want)
			}
			again := newCrewOf(c) // nothing is left, and nobody else is needed to see that
			again.start(1).end().want(t, 0)
			again.start(0).end().want(t, 0, "resumed from epoch")
			for _, other := range [][]string{{"--sources", "5"}, {"--job", map[string]string{"board": "routedays", "routedays": "board"}[job]}, {"--input", inputOf(t, 100)}} {
				again.start(2, other...).end().want(t, 1, other[0]+": the state was made with")
			}
		})
	}
}

// newCrewOf returns a crew of the same configs and arguments of which nobody is started.
func newCrewOf(c *crew) *crew {
	again := *c
	again.members = [crewSize]*process{}
	return &again
}

// resultOf is a report without its epoch, which depends on when epochs were sealed, and without where its run began.
func resultOf(t *testing.T, report string) []byte {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(report), &all); err != nil {
		t.Fatalf("report %.200q: %v", report, err)
	}
	delete(all, "epoch")
	delete(all, "resumed_from")
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
