package flightstest_test

import (
	"bufio"
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

const (
	sources  = 4
	capacity = 16
)

// firstRows returns the first rows of the sample.
func firstRows(t testing.TB, count int) []flights.Flight {
	t.Helper()
	in, err := flights.Sample()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := in.Text()
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var head strings.Builder
	for lines := bufio.NewScanner(text); count >= 0 && lines.Scan(); count-- {
		head.WriteString(lines.Text() + "\n")
	}
	rows, err := flightstest.Parse(strings.NewReader(head.String()))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// within returns the rows that a cut names, found anew from the start.
func within(rows []flights.Flight, cut map[string]uint64) (in []flights.Flight) {
	for i, f := range rows {
		if uint64(i/sources) < cut[flights.SourceName(i%sources)] {
			in = append(in, f)
		}
	}
	return in
}

// grow moves each source of a cut on by up to most rows.
func grow(cut map[string]uint64, random *rand.Rand, rows, most int) map[string]uint64 {
	next := map[string]uint64{}
	for s := range sources {
		name := flights.SourceName(s)
		next[name] = min(cut[name]+uint64(random.IntN(most+1)), uint64((rows-s+sources-1)/sources))
	}
	return next
}

// The oracles walk forward; at every cut they say what the demo's own functions say of the rows within, taken from the start.
func TestOraclesAgreeWithTheJobsAtEveryCut(t *testing.T) {
	rows := firstRows(t, 40_000)
	random := rand.New(rand.NewPCG(3, 4))
	board := flightstest.NewBoardOracle(rows, sources)
	days := flightstest.NewRouteDaysOracle(rows, sources, capacity)
	var cut map[string]uint64
	for !maps.Equal(cut, board.Total()) {
		cut = grow(cut, random, len(rows), 3000)
		if err := errors.Join(board.Advance(cut), days.Advance(cut)); err != nil {
			t.Fatal(err)
		}
		wantBoard, wantDays := aggregate(within(rows, cut))
		if !reflect.DeepEqual(board.Board(), wantBoard) {
			t.Fatalf("board at %v: got %v, want %v", cut, board.Board(), wantBoard)
		}
		if got := days.RouteDays(); !reflect.DeepEqual(got, wantDays) || len(days.States()) != int(got.Keys) {
			t.Fatalf("route days at %v: got %v of %d states, want %v", cut, got, len(days.States()), wantDays)
		}
	}
}

// aggregate is what the demo's jobs make of some rows.
func aggregate(rows []flights.Flight) (board flights.Board, days flights.RouteDays) {
	boards, states := map[flights.Airport]flights.BoardState{}, map[flights.RouteDay]flights.RouteDayState{}
	for _, f := range rows {
		b, d := boards[flights.BoardKey(f)], states[flights.RouteDayKey(f)]
		b.Add(f)
		d.Add(f)
		boards[flights.BoardKey(f)], states[flights.RouteDayKey(f)] = b, d
	}
	for key, s := range boards {
		flights.FoldBoard(&board, key, &s)
	}
	fold := flights.RouteDaysFold(capacity)
	for key, s := range states {
		fold(&days, key, &s)
	}
	return board, days
}

func TestPlainParserRefusesMalformedText(t *testing.T) {
	for _, text := range []string{
		"", "time\n", flights.Header + "\nx,ORD,LGA,1,1\n", flights.Header + "\n2001-01-31T23:59,ORD,LGA,1\n", flights.Header + "\n2001-01-31T23:59,ORD,LGA,1,x\n",
	} {
		if rows, err := flightstest.Parse(strings.NewReader(text)); err == nil {
			t.Errorf("parse %q: got %v, want an error", text, rows)
		}
	}
	if rows, err := flightstest.Parse(strings.NewReader(flights.Header + "\n")); err != nil || len(rows) != 0 {
		t.Errorf("parse the header: got %v, %v, want no rows", rows, err)
	}
}
