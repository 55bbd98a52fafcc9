package flights_test

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

func openSample(t testing.TB) *flights.Input {
	t.Helper()
	in, err := flights.Sample()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

func load(t testing.TB, in *flights.Input) []flights.Flight {
	t.Helper()
	rows, err := flightstest.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// readAll reads a partition from an offset to its end.
func readAll(t testing.TB, p flights.Partition, offset uint64, batch int) (all []flights.Flight) {
	t.Helper()
	all, err := tryReadAll(t.Context(), p, offset, batch)
	if err != nil {
		t.Errorf("read %s from offset %d: %v", p.Name(), offset, err)
	}
	return all
}

func tryReadAll(ctx context.Context, p flights.Partition, offset uint64, batch int) (all []flights.Flight, err error) {
	rows, err := p.Open(ctx, offset)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	into := make([]flights.Flight, batch)
	for {
		n, err := rows.Read(ctx, into)
		all = append(all, into[:n]...)
		if err == io.EOF && n == 0 {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// ofSource returns the rows of source i of n.
func ofSource(rows []flights.Flight, i, n int) (own []flights.Flight) {
	for ; i < len(rows); i += n {
		own = append(own, rows[i])
	}
	return own
}

// The partitions of the sample, read at once, hold every row exactly once, as a plain program reads them.
func TestPartitionsHoldEveryRowOnce(t *testing.T) {
	in := openSample(t)
	rows := load(t, in)
	if len(rows) != 508_239 {
		t.Fatalf("rows in the sample: got %d, want 508239", len(rows))
	}
	for _, n := range []int{1, 4, 7} {
		var wait sync.WaitGroup
		for _, p := range flights.Partitions(in, n, nil) {
			wait.Go(func() {
				if !slices.Equal(readAll(t, p, 0, 1000+p.I), ofSource(rows, p.I, n)) {
					t.Errorf("%s of %d: other rows than the plain program's", p.Name(), n)
				}
			})
		}
		wait.Wait()
	}
}

func TestMoreSourcesThanRows(t *testing.T) {
	in := open(t, write(t, "two.csv", flights.Header+"\n"+goodRow+goodRow))
	for _, p := range flights.Partitions(in, 5, nil) {
		want := 0
		if p.I < 2 {
			want = 1
		}
		if got := readAll(t, p, 0, 8); len(got) != want {
			t.Errorf("%s: got %d rows, want %d", p.Name(), len(got), want)
		}
	}
}

// I4, I5: whatever offset a source is opened at, it continues with the very next row, also far behind the other readers.
func TestResumesAtAnyOffset(t *testing.T) {
	in := openSample(t)
	rows := load(t, in)
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		n := 1 + random.IntN(9)
		p := flights.Partition{Input: in, I: random.IntN(n), N: n}
		own := ofSource(rows, p.I, n)
		offset := random.IntN(len(own) + 1)
		first, err := p.Open(t.Context(), uint64(offset))
		if err != nil {
			t.Fatal(err)
		}
		into := make([]flights.Flight, 1+random.IntN(3000))
		for range 3 {
			count, err := first.Read(t.Context(), into)
			if err != nil && (err != io.EOF || offset < len(own)) {
				t.Fatalf("source %d of %d at offset %d of %d: %v", p.I, n, offset, len(own), err)
			}
			if !slices.Equal(into[:count], own[offset:min(offset+count, len(own))]) {
				t.Fatalf("source %d of %d at offset %d: other rows than the plain program's", p.I, n, offset)
			}
			offset += count
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	}
}

// distinct returns an input of that many rows, which differ from their neighbours.
func distinct(t *testing.T, rows int) *flights.Input {
	var b strings.Builder
	b.WriteString(flights.Header + "\n")
	for i := range rows {
		f := []byte("2001-01-31T23:59,AAA,LGA,10000,1")
		for at, left := 19, i; at >= 17; at, left = at-1, left/26 {
			f[at] = byte('A' + left%26)
		}
		b.Write(append(f, '\n'))
	}
	text := b.String()
	in, err := flights.NewInput("distinct.csv", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// A reader that is left behind by the window, and one that rewinds behind it, read the same rows as all others.
func TestReadersBehindTheWindowReadTheSame(t *testing.T) {
	count := (flights.WindowBlocks+5)*flights.BlockRows + 17
	in := distinct(t, count)
	rows := load(t, in)
	slow, err := flights.Partition{Input: in, I: 1, N: 3}.Open(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if got := readAll(t, flights.Partition{Input: in, I: 0, N: 3}, 0, 4096); !slices.Equal(got, ofSource(rows, 0, 3)) {
		t.Error("the first reader got other rows than the plain program")
	}
	var got []flights.Flight
	into := make([]flights.Flight, 4096)
	for err == nil {
		var n int
		n, err = slow.Read(t.Context(), into)
		got = append(got, into[:n]...)
	}
	if err != io.EOF || !slices.Equal(got, ofSource(rows, 1, 3)[1000:]) {
		t.Errorf("the reader left behind got %d rows that are not the plain program's, error %v", len(got), err)
	}
	for _, offset := range []uint64{0, 1, uint64(count/3) - 1} {
		if got := readAll(t, flights.Partition{Input: in, I: 2, N: 3}, offset, 4096); !slices.Equal(got, ofSource(rows, 2, 3)[offset:]) {
			t.Errorf("rewound to %d: other rows than the plain program's", offset)
		}
	}
}

// I10: a cut from another, longer input is refused.
func TestRefusesAnOffsetBeyondTheEnd(t *testing.T) {
	in := open(t, write(t, "three.csv", flights.Header+"\n"+strings.Repeat(goodRow, 3)))
	p := flights.Partition{Input: in, I: 0, N: 2}
	if got := readAll(t, p, 2, 8); len(got) != 0 {
		t.Errorf("at the end: got %d rows, want none", len(got))
	}
	for _, offset := range []uint64{3, 1 << 20, 1 << 63, math.MaxUint64} {
		if _, err := p.Open(t.Context(), offset); !errors.Is(err, flights.ErrBeyond) || !strings.Contains(err.Error(), "flights-0") {
			t.Errorf("open at offset %d of 2 rows: got error %v, want %v", offset, err, flights.ErrBeyond)
		}
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	in := openSample(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (flights.Partition{Input: in, N: 1}).Open(ctx, 500_000); !errors.Is(err, context.Canceled) {
		t.Errorf("seek: got error %v, want %v", err, context.Canceled)
	}
	pace := flights.NewPace(1)
	if _, err := tryReadAll(ctx, flights.Partition{Input: in, N: 1, Pace: pace}, 0, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("paced read: got error %v, want %v", err, context.Canceled)
	}
}

func TestPaceHoldsOverAllSources(t *testing.T) {
	for _, rate := range []int{7, 1000, 300_000} {
		in := open(t, write(t, "rows.csv", flights.Header+"\n"+strings.Repeat(goodRow, 2*rate)))
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var wait sync.WaitGroup
			for _, p := range flights.Partitions(in, 4, flights.NewPace(rate)) {
				wait.Go(func() { readAll(t, p, 0, 1024) })
			}
			wait.Wait()
			if took := time.Since(start); took < 1700*time.Millisecond || took > 2100*time.Millisecond {
				t.Errorf("%d rows at %d rows/s by 4 sources: took %v, want about 2s", 2*rate, rate, took)
			}
		})
	}
}

// What has come is read at once, by whoever reads it and however often; what has not, as it comes.
func TestArrivalsAreReadAtOnce(t *testing.T) {
	const rate, sources = 1000, 4
	in := open(t, write(t, "rows.csv", flights.Header+"\n"+strings.Repeat(goodRow, 3*rate)))
	synctest.Test(t, func(t *testing.T) {
		pace := flights.NewArrivals(time.Now().Add(-time.Second), rate)
		for _, want := range []time.Duration{2 * time.Second, 0} { // a third has come; then all have
			start := time.Now()
			var wait sync.WaitGroup
			for i, p := range flights.Partitions(in, sources, pace) {
				wait.Go(func() {
					if got := len(readAll(t, p, 0, 100)); got != 3*rate/sources {
						t.Errorf("source %d: got %d rows, want %d", i, got, 3*rate/sources)
					}
				})
			}
			wait.Wait()
			if took := time.Since(start); took < want-10*time.Millisecond || took > want {
				t.Errorf("3 s of rows, begun at the second or the fourth: took %v, want %v", took, want)
			}
		}
	})
}

func TestPaceDoesNotMakeUpForIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := flights.NewPace(1000)
		if _, err := pace.Take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		start := time.Now()
		for taken := 0; taken < 1000; {
			n, err := pace.Take(t.Context(), 100)
			if err != nil {
				t.Fatal(err)
			}
			taken += n
		}
		if took := time.Since(start); took < 980*time.Millisecond {
			t.Errorf("1000 rows at 1000 rows/s after an idle hour: took %v, want about 1s", took)
		}
	})
}
