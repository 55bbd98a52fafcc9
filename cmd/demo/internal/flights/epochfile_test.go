package flights_test

import (
	"reflect"
	"testing"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/vnode"
)

func TestBoardFileIsPinned(t *testing.T) {
	file := flights.NewBoardFile(12, map[string]uint64{"flights-1": 3, "flights-0": 4}, flights.Board{
		{'O', 'R', 'D'}: {Flights: 5, DelaySum: -20, DelayMax: -1},
		{'L', 'G', 'A'}: {Flights: 2, DelaySum: 50, DelayMax: 40, Late: 1},
	})
	checkFile(t, file, `{"epoch":12,"cut":{"flights-0":4,"flights-1":3},"records":7,"airports":{`+
		`"LGA":{"flights":2,"delay_sum":50,"delay_max":40,"late":1},`+
		`"ORD":{"flights":5,"delay_sum":-20,"delay_max":-1,"late":0}}}`+"\n")
	checkFile(t, flights.NewBoardFile(1, nil, nil), `{"epoch":1,"cut":{},"records":0,"airports":{}}`+"\n")
}

func TestRouteDaysFileIsPinned(t *testing.T) {
	file := flights.NewRouteDaysFile(12, map[string]uint64{"flights-0": 7}, flights.RouteDays{
		Keys: 6, Flights: 7, Vnodes: map[vnode.ID]flights.Digest{3: 0xab, 200: 0xfedcba9876543210},
	})
	checkFile(t, file, `{"epoch":12,"cut":{"flights-0":7},"records":7,"keys":6,"flights":7,`+
		`"vnodes":{"200":"fedcba9876543210","3":"00000000000000ab"}}`+"\n")
	checkFile(t, flights.NewRouteDaysFile(1, nil, flights.RouteDays{}), `{"epoch":1,"cut":{},"records":0,"keys":0,"flights":0,"vnodes":{}}`+"\n")
}

func checkFile[F flights.EpochFile](t *testing.T, file F, want string) {
	t.Helper()
	got, err := flights.MarshalEpochFile(file)
	if err != nil || string(got) != want {
		t.Errorf("marshal %+v: got %s%v, want %s", file, got, err, want)
	}
	if back, err := flights.ParseEpochFile[F]([]byte(want)); err != nil || !reflect.DeepEqual(back, file) {
		t.Errorf("parse %s: got %+v, %v, want %+v", want, back, err, file)
	}
}

func TestRefusesWhatIsNoEpochFile(t *testing.T) {
	for _, text := range []string{
		``, `{`, `[]`, `{"epoch":-1}`, `{"epoch":1,"more":2}`, `{"epoch":1} {}`, `{"cut":{"flights-0":-1}}`, `{"airports":{"ord":{}}}`, `{"airports":{"KORD":{}}}`,
	} {
		if f, err := flights.ParseEpochFile[flights.BoardFile]([]byte(text)); err == nil {
			t.Errorf("parse %q: got %+v, want an error", text, f)
		}
	}
	for _, text := range []string{`{"vnodes":{"x":"00000000000000ab"}}`, `{"vnodes":{"1":"ab"}}`, `{"vnodes":{"1":"00000000000000AB"}}`, `{"vnodes":{"70000":"00000000000000ab"}}`} {
		if f, err := flights.ParseEpochFile[flights.RouteDaysFile]([]byte(text)); err == nil {
			t.Errorf("parse %q: got %+v, want an error", text, f)
		}
	}
}

func TestEpochFileNamesSortLikeEpochs(t *testing.T) {
	if got, want := flights.EpochFileName(42), "epoch-00000000000000000042.json"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a, b := flights.EpochFileName(9), flights.EpochFileName(1<<63); a >= b {
		t.Errorf("%s does not sort before %s", a, b)
	}
}
