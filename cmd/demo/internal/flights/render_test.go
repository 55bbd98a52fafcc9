package flights_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

func TestShowsTheBusiestAirports(t *testing.T) {
	board := flights.Board{
		{'A', 'A', 'A'}: {Flights: 1, DelaySum: -4, DelayMax: -4},
		{'O', 'R', 'D'}: {Flights: 25_000, DelaySum: 250_000, DelayMax: 1_200, Late: 5_000},
		{'L', 'G', 'A'}: {Flights: 25_000, DelaySum: -50_000, DelayMax: 40, Late: 1},
	}
	for top, want := range map[int]string{
		2: `
origin      flights    late  mean delay  max delay
LGA          25,000    0.0%    -2.0 min     40 min
ORD          25,000   20.0%    10.0 min  1,200 min
… and 1 more
all 3        50,001   10.0%     4.0 min  1,200 min
`,
		5: `
origin      flights    late  mean delay  max delay
LGA          25,000    0.0%    -2.0 min     40 min
ORD          25,000   20.0%    10.0 min  1,200 min
AAA               1    0.0%    -4.0 min     -4 min
all 3        50,001   10.0%     4.0 min  1,200 min
`,
	} {
		var got strings.Builder
		if err := flights.WriteBoard(&got, board, top); err != nil || got.String() != want[1:] {
			t.Errorf("top %d: got\n%s%v, want%s", top, got.String(), err, want)
		}
	}
	if err := flights.WriteBoard(broken{}, board, 5); !errors.Is(err, errBroken) {
		t.Errorf("to a broken writer: got error %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestShowsEmptyResults(t *testing.T) {
	var got strings.Builder
	if err := errors.Join(flights.WriteBoard(&got, nil, 5), flights.WriteRouteDays(&got, flights.RouteDays{})); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got.String(), "NaN") || !strings.Contains(got.String(), "0000000000000000") {
		t.Errorf("got\n%s", got.String())
	}
}

func TestFormatsNumbers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", -999: "-999", -1000: "-1,000", 3_000_000: "3,000,000", 12_345: "12,345",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := flights.Count(n); got != want {
			t.Errorf("count %d: got %s, want %s", n, got, want)
		}
	}
	for rows, want := range map[uint64]string{0: "0/s", 950: "475/s", 24_600: "12.3 k/s", 9_120_000: "4.56 M/s"} {
		if got := flights.Rate(rows, 2*time.Second); got != want {
			t.Errorf("rate of %d rows in 2s: got %s, want %s", rows, got, want)
		}
	}
}
