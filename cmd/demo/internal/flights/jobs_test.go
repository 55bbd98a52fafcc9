package flights_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/vnode"
)

func TestBoardStateCountsFlights(t *testing.T) {
	for _, test := range []struct {
		delays []int16
		want   flights.BoardState
	}{
		{nil, flights.BoardState{}},
		{[]int16{-7}, flights.BoardState{Flights: 1, DelaySum: -7, DelayMax: -7}},
		{[]int16{-7, -3, -9}, flights.BoardState{Flights: 3, DelaySum: -19, DelayMax: -3}},
		{[]int16{15, 16, 0}, flights.BoardState{Flights: 3, DelaySum: 31, DelayMax: 16, Late: 1}},
	} {
		var got flights.BoardState
		for _, delay := range test.delays {
			got.Add(flights.Flight{Delay: delay})
		}
		if got != test.want {
			t.Errorf("delays %v: got %+v, want %+v", test.delays, got, test.want)
		}
	}
}

// sampleStates runs both jobs' updates over the sample.
func sampleStates(t testing.TB) (map[flights.Airport]*flights.BoardState, map[flights.RouteDay]*flights.RouteDayState) {
	t.Helper()
	boards, days := map[flights.Airport]*flights.BoardState{}, map[flights.RouteDay]*flights.RouteDayState{}
	for _, f := range readAll(t, flights.Partition{Input: openSample(t), N: 1}, 0, 4096) {
		at(boards, flights.BoardKey(f)).Add(f)
		at(days, flights.RouteDayKey(f)).Add(f)
	}
	return boards, days
}

func at[K comparable, S any](m map[K]*S, key K) *S {
	if m[key] == nil {
		m[key] = new(S)
	}
	return m[key]
}

// However keys are spread over partials, and in whatever order these are merged, the result and its bytes are the same.
func TestResultsDoNotDependOnOrder(t *testing.T) {
	const capacity = 64
	boards, days := sampleStates(t)
	var wantBoard, wantDays []byte
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 0))
		boardParts, dayParts := make([]flights.Board, 7), make([]flights.RouteDays, 7)
		for key, s := range boards {
			flights.FoldBoard(&boardParts[random.IntN(7)], key, s)
		}
		fold := flights.RouteDaysFold(capacity)
		for key, s := range days {
			fold(&dayParts[random.IntN(7)], key, s)
		}
		var board flights.Board
		var routes flights.RouteDays
		for _, i := range random.Perm(7) {
			flights.MergeBoard(&board, boardParts[i])
			flights.MergeRouteDays(&routes, dayParts[i])
		}
		if len(board) != 223 || board.Total().Flights != 508_239 || routes.Keys != 98_665 || routes.Flights != 508_239 || len(routes.Vnodes) != capacity {
			t.Fatalf("got %d airports, %+v, %d route days, %d flights, %d vnodes", len(board), board.Total(), routes.Keys, routes.Flights, len(routes.Vnodes))
		}
		gotBoard, _ := flights.BoardCodec{}.Append(nil, &board)
		gotDays, _ := flights.RouteDaysCodec{}.Append(nil, &routes)
		if seed == 0 {
			wantBoard, wantDays = gotBoard, gotDays
		}
		if !bytes.Equal(gotBoard, wantBoard) || !bytes.Equal(gotDays, wantDays) {
			t.Errorf("seed %d: other bytes than seed 0", seed)
		}
	}
}

func TestDigestTellsResultsApart(t *testing.T) {
	key := flights.RouteDayKey(flights.Flight{Origin: flights.Airport{'O', 'R', 'D'}, Destination: flights.Airport{'L', 'G', 'A'}, Minute: 24*60 + 5})
	if got, want := key.String(), "ORD-LGA-1970-01-02"; got != want {
		t.Errorf("key: got %s, want %s", got, want)
	}
	other := key
	other[11]++
	digests := map[flights.Digest]bool{
		flights.DigestOf(key, flights.RouteDayState{Flights: 1, DelaySum: 2}):   true,
		flights.DigestOf(key, flights.RouteDayState{Flights: 2, DelaySum: 1}):   true,
		flights.DigestOf(key, flights.RouteDayState{Flights: 1, DelaySum: -2}):  true,
		flights.DigestOf(other, flights.RouteDayState{Flights: 1, DelaySum: 2}): true,
	}
	if len(digests) != 4 {
		t.Errorf("different states share a digest: %v", digests)
	}
}

// roundTrip checks that a value survives its codec, and that no shorter or longer encoding is taken for one.
func roundTrip[T any](t *testing.T, codec vnode.Codec[T], v T, prefixes bool) {
	t.Helper()
	text, err := codec.Append([]byte("before"), &v)
	if err != nil || !bytes.HasPrefix(text, []byte("before")) {
		t.Fatalf("%s: append %+v: got %q, %v", codec.ID(), v, text, err)
	}
	text = text[len("before"):]
	var got T
	if err := codec.Decode(text, &got); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%s: got %+v, %v, want %+v", codec.ID(), got, err, v)
	}
	for n := 0; prefixes && n < len(text); n++ {
		if err := codec.Decode(text[:n], new(T)); !errors.Is(err, flights.ErrEncoding) {
			t.Errorf("%s: decode %d of %d bytes: got error %v, want %v", codec.ID(), n, len(text), err, flights.ErrEncoding)
		}
	}
	if err := codec.Decode(append(text, 0), new(T)); !errors.Is(err, flights.ErrEncoding) {
		t.Errorf("%s: decode with a byte more: got error %v, want %v", codec.ID(), err, flights.ErrEncoding)
	}
}

func TestCodecsRoundTrip(t *testing.T) {
	extreme := flights.BoardState{Flights: math.MaxInt64, DelaySum: math.MinInt64, DelayMax: -1, Late: 300}
	roundTrip(t, flights.BoardStateCodec{}, extreme, true)
	roundTrip(t, flights.BoardStateCodec{}, flights.BoardState{}, true)
	roundTrip(t, flights.RouteDayStateCodec{}, flights.RouteDayState{Flights: math.MaxInt64, DelaySum: math.MinInt64}, true)
	ord, lga := flights.Airport{'O', 'R', 'D'}, flights.Airport{'L', 'G', 'A'}
	roundTrip(t, flights.BoardCodec{}, nil, false)
	roundTrip(t, flights.BoardCodec{}, flights.Board{ord: extreme, lga: {Flights: 1, DelaySum: -3, DelayMax: -3}}, false)
	roundTrip(t, flights.RouteDaysCodec{}, flights.RouteDays{}, false)
	roundTrip(t, flights.RouteDaysCodec{}, flights.RouteDays{Keys: 2, Flights: 3, Vnodes: map[vnode.ID]flights.Digest{0: 7, 65_534: math.MaxUint64}}, false)
}

func TestFlightsTravelInFourteenBytes(t *testing.T) {
	ord, lga := flights.Airport{'O', 'R', 'D'}, flights.Airport{'L', 'G', 'A'}
	for _, f := range []flights.Flight{
		{Minute: 16_341_119, Delay: -7, Distance: 733, Origin: ord, Destination: lga},
		{Minute: math.MinInt32, Delay: math.MinInt16, Origin: lga, Destination: ord},
		{Minute: math.MaxInt32, Delay: math.MaxInt16, Distance: math.MaxUint16, Origin: ord, Destination: ord},
	} {
		roundTrip(t, flights.FlightCodec{}, f, true)
	}
	rows := firstFlights(t, 10_000)
	for _, f := range rows {
		text, err := flights.FlightCodec{}.Append(nil, &f)
		var got flights.Flight
		if err = errors.Join(err, flights.FlightCodec{}.Decode(text, &got)); err != nil || got != f || len(text) != 14 {
			t.Fatalf("%+v in %d bytes: got %+v, %v, want the same in 14", f, len(text), got, err)
		}
	}
	if err := (flights.FlightCodec{}).Decode([]byte("12345678ORDlga"), new(flights.Flight)); !errors.Is(err, flights.ErrEncoding) {
		t.Errorf("decode small letters: got %v, want %v", err, flights.ErrEncoding)
	}
}

// firstFlights reads the first rows of the sample.
func firstFlights(t *testing.T, n int) []flights.Flight {
	t.Helper()
	in, err := flights.Sample()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := flights.Partitions(in, 1, nil)[0].Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make([]flights.Flight, n)
	if n, err = rows.Read(t.Context(), all); err != nil || n == 0 {
		t.Fatalf("read: got %d rows, %v", n, err)
	}
	return all[:n]
}

// What is taken for a flight is the encoding of exactly that flight.
func FuzzFlightCodec(f *testing.F) {
	f.Add([]byte("\x00\xf9\x58\x3f\xff\xf9\x02\xddORDLGA"))
	f.Add([]byte("12345678ORDlga"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got flights.Flight
		if err := (flights.FlightCodec{}).Decode(text, &got); err != nil {
			if !errors.Is(err, flights.ErrEncoding) {
				t.Errorf("decode %q: got error %v, want %v", text, err, flights.ErrEncoding)
			}
			return
		}
		if again, err := (flights.FlightCodec{}).Append(nil, &got); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%+v, decoded from %q, is encoded as %q, %v", got, text, again, err)
		}
	})
}

func TestResultCodecsRefuseDisorder(t *testing.T) {
	state := "\x02\x02\x02\x00"
	for _, text := range []string{"ORD" + state + "LGA" + state, "ORD" + state + "ORD" + state, "ord" + state, "OR", "ORD\x02"} {
		if err := (flights.BoardCodec{}).Decode([]byte(text), new(flights.Board)); !errors.Is(err, flights.ErrEncoding) {
			t.Errorf("decode board %q: got error %v, want %v", text, err, flights.ErrEncoding)
		}
	}
	for _, text := range []string{"", "\x02", "\x02\x02\x05", "\x02\x02\x05aaaaaaaa\x05aaaaaaaa", "\x02\x02\x05aaaaaaaa\x04aaaaaaaa", "\x02\x02\xff\xff\x03aaaaaaaa"} {
		if err := (flights.RouteDaysCodec{}).Decode([]byte(text), new(flights.RouteDays)); !errors.Is(err, flights.ErrEncoding) {
			t.Errorf("decode route days %q: got error %v, want %v", text, err, flights.ErrEncoding)
		}
	}
}

func FuzzResultCodecs(f *testing.F) {
	f.Add([]byte("ORD\x02\x02\x02\x00"))
	f.Add([]byte("\x02\x02\x05aaaaaaaa"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var board, board2 flights.Board
		if (flights.BoardCodec{}).Decode(text, &board) == nil {
			again, _ := flights.BoardCodec{}.Append(nil, &board)
			if err := (flights.BoardCodec{}).Decode(again, &board2); err != nil || !maps.Equal(board, board2) {
				t.Errorf("board of %q: got %v, %v, want %v", text, board2, err, board)
			}
		}
		var days, days2 flights.RouteDays
		if (flights.RouteDaysCodec{}).Decode(text, &days) == nil {
			again, _ := flights.RouteDaysCodec{}.Append(nil, &days)
			if err := (flights.RouteDaysCodec{}).Decode(again, &days2); err != nil || !reflect.DeepEqual(days, days2) {
				t.Errorf("route days of %q: got %v, %v, want %v", text, days2, err, days)
			}
		}
	})
}
