package flightstest_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

// run is what an honest run would emit: one file per epoch, some epochs skipped, the last with every row.
type run struct {
	boards []flights.BoardFile
	days   []flights.RouteDaysFile
}

func honestRun(rows []flights.Flight) run {
	random := rand.New(rand.NewPCG(5, 6))
	total := flightstest.NewBoardOracle(rows, sources).Total()
	var r run
	var cut map[string]uint64
	for epoch := uint64(1); !maps.Equal(cut, total); epoch += 1 + uint64(random.IntN(3)) {
		cut = grow(cut, random, len(rows), 800)
		board, days := aggregate(within(rows, cut))
		r.boards = append(r.boards, flights.NewBoardFile(epoch, cut, board))
		r.days = append(r.days, flights.NewRouteDaysFile(epoch, maps.Clone(cut), days))
	}
	return r
}

// fileNames returns the names of the epochs' files.
func fileNames(files []flights.BoardFile) (names []string) {
	for _, f := range files {
		names = append(names, flights.EpochFileName(f.Epoch))
	}
	return names
}

// dir returns a directory that holds the files under these names.
func dir[F flights.EpochFile](t *testing.T, names []string, files []F) fstest.MapFS {
	t.Helper()
	d := fstest.MapFS{"notes.txt": {Data: []byte("not an epoch")}}
	for i, f := range files {
		text, err := flights.MarshalEpochFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d[names[i]] = &fstest.MapFile{Data: text}
	}
	return d
}

// I5, I6: what the crash tests rely on.
func TestCheckerAcceptsAnHonestRun(t *testing.T) {
	rows := firstRows(t, 10_000)
	r := honestRun(rows)
	names := fileNames(r.boards)
	boards, days := flightstest.NewBoardChecker(rows, sources), flightstest.NewRouteDaysChecker(rows, sources, capacity)
	for n := range len(r.boards) + 1 {
		err := errors.Join(boards.Check(dir(t, names, r.boards[:n])), days.Check(dir(t, names, r.days[:n])))
		if err != nil {
			t.Fatalf("after %d files: %v", n, err)
		}
		if boards.Files() != n || days.Files() != n {
			t.Errorf("checked files: got %d and %d, want %d", boards.Files(), days.Files(), n)
		}
		if complete := n == len(r.boards); boards.Complete() != complete || days.Complete() != complete {
			t.Errorf("complete after %d of %d files: got %v and %v", n, len(r.boards), boards.Complete(), days.Complete())
		}
	}
	if got, want := boards.Last().Records, uint64(len(rows)); got != want {
		t.Errorf("records of the last file: got %d, want %d", got, want)
	}
}

func TestCheckerCatchesEveryLieOfABoard(t *testing.T) {
	rows := firstRows(t, 10_000)
	const file = 3
	ord := flights.Airport{'O', 'R', 'D'}
	change := func(f *flights.BoardFile, do func(*flights.BoardState)) {
		s := f.Airports[ord]
		do(&s)
		f.Airports[ord] = s
	}
	for name, lie := range map[string]struct {
		tell func(r run)
		what string
	}{
		"a flight too many":  {func(r run) { change(&r.boards[file], func(s *flights.BoardState) { s.Flights++ }) }, "airport ORD"},
		"a wrong delay":      {func(r run) { change(&r.boards[file], func(s *flights.BoardState) { s.DelaySum-- }) }, "airport ORD"},
		"a wrong maximum":    {func(r run) { change(&r.boards[file], func(s *flights.BoardState) { s.DelayMax++ }) }, "airport ORD"},
		"a wrong late count": {func(r run) { change(&r.boards[file], func(s *flights.BoardState) { s.Late++ }) }, "airport ORD"},
		"an airport missing": {func(r run) { delete(r.boards[file].Airports, ord) }, "airport ORD"},
		"an airport made up": {func(r run) { r.boards[file].Airports[flights.Airport{'X', 'X', 'X'}] = flights.BoardState{} }, "airport XXX"},
		"wrong records":      {func(r run) { r.boards[file].Records++ }, "records"},
		"a row too many in the cut": {func(r run) {
			r.boards[file].Cut["flights-1"]++
			r.boards[file].Records++
		}, "airport"},
		"a row moved between sources": {func(r run) {
			r.boards[file].Cut["flights-1"]++
			r.boards[file].Cut["flights-2"]--
		}, "airport"},
		"a cut that goes back": {func(r run) {
			r.boards[file].EpochHead = flights.NewEpochHead(r.boards[file].Epoch, map[string]uint64{"flights-0": 1})
		}, "cut of flights-0"},
		"a cut beyond the input": {func(r run) {
			r.boards[file].Cut["flights-1"] += 1 << 20
			r.boards[file].Records += 1 << 20
		}, "cut of flights-1"},
		"a source made up": {func(r run) { r.boards[file].Cut["flights-9"] = 0 }, "cut"},
		"the result of the epoch before": {func(r run) {
			r.boards[file].Airports = r.boards[file-1].Airports
		}, "airport"},
		"an epoch repeated": {func(r run) {
			r.boards[file] = r.boards[file-1]
		}, "epoch"},
		"an epoch that goes back": {func(r run) { r.boards[file].Epoch = 1 }, "epoch"},
		"an epoch of another name": {func(r run) {
			r.boards[file].Epoch += 1 << 20
		}, "name"},
	} {
		r := honestRun(rows)
		names := fileNames(r.boards)
		lie.tell(r)
		err := flightstest.NewBoardChecker(rows, sources).Check(dir(t, names, r.boards))
		expectMismatch(t, name, err, names[file], lie.what)
	}
}

func TestCheckerCatchesEveryLieOfRouteDays(t *testing.T) {
	rows := firstRows(t, 10_000)
	const file = 3
	for name, lie := range map[string]struct {
		tell func(f *flights.RouteDaysFile)
		what string
	}{
		"a key too many":   {func(f *flights.RouteDaysFile) { f.Keys++ }, "keys"},
		"a flight too few": {func(f *flights.RouteDaysFile) { f.Flights-- }, "flights"},
		"a wrong digest":   {func(f *flights.RouteDaysFile) { f.Vnodes[3]++ }, "vnode 3"},
		"a vnode missing":  {func(f *flights.RouteDaysFile) { delete(f.Vnodes, 0) }, "vnode 0"},
		"a vnode made up":  {func(f *flights.RouteDaysFile) { f.Vnodes[capacity] = 0 }, "vnode 16"},
		"swapped digests":  {func(f *flights.RouteDaysFile) { f.Vnodes[4], f.Vnodes[5] = f.Vnodes[5], f.Vnodes[4] }, "vnode 4"},
		"wrong records":    {func(f *flights.RouteDaysFile) { f.Records-- }, "records"},
		"a source made up": {func(f *flights.RouteDaysFile) { f.Cut["flights-9"] = 0 }, "cut"},
		"a repeated epoch": {func(f *flights.RouteDaysFile) { f.Epoch = 1 }, "epoch"},
		"a row too many": {func(f *flights.RouteDaysFile) {
			f.Cut["flights-1"]++
			f.Records++
		}, "flights"},
	} {
		r := honestRun(rows)
		names := fileNames(r.boards)
		lie.tell(&r.days[file])
		err := flightstest.NewRouteDaysChecker(rows, sources, capacity).Check(dir(t, names, r.days))
		expectMismatch(t, name, err, names[file], lie.what)
	}
}

// A run that was started again must not add an epoch below those that are there.
func TestCheckerCatchesAnEpochAddedLate(t *testing.T) {
	rows := firstRows(t, 10_000)
	r := honestRun(rows)
	names := fileNames(r.boards)
	checker := flightstest.NewBoardChecker(rows, sources)
	files := dir(t, names, r.boards)
	late := files[names[2]]
	delete(files, names[2])
	if err := checker.Check(files); err != nil {
		t.Fatal(err)
	}
	files[names[2]] = late
	expectMismatch(t, "a late file", checker.Check(files), names[2], "epoch")
}

func TestCheckerNamesAMalformedFile(t *testing.T) {
	name := flights.EpochFileName(7)
	for _, text := range []string{"", `{"epoch":7`, `{"epoch":7,"more":1}`} {
		err := flightstest.NewBoardChecker(nil, 1).Check(fstest.MapFS{name: {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("check a file with %q: got error %v, want one that names %s", text, err, name)
		}
	}
}

func expectMismatch(t *testing.T, lie string, err error, file, what string) {
	t.Helper()
	var m *flightstest.Mismatch
	if !errors.As(err, &m) || m.File != file || !strings.HasPrefix(m.What, what) || m.Got == m.Want {
		t.Errorf("%s: got error %v, want a mismatch of %s in %s", lie, err, what, file)
	}
}
