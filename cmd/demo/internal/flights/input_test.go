package flights_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

const goodRow = "2001-01-31T23:59,ORD,LGA,-5,733\n"

// write puts a text into a file of that name in a new directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func compress(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// open returns an input that is closed when the test ends.
func open(t testing.TB, path string) *flights.Input {
	t.Helper()
	in, err := flights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Errorf("close %s: %v", path, err)
		}
	})
	return in
}

func TestRefusesWhatIsNoInput(t *testing.T) {
	header := flights.Header + "\n"
	for _, test := range []struct {
		name, text string
		want       error
		says       string
	}{
		{"empty.csv", "", flights.ErrEmpty, "empty.csv"},
		{"empty.csv.zst", "", flights.ErrEmpty, "empty.csv.zst"},
		{"header.csv", header, flights.ErrEmpty, "header.csv"},
		{"header.csv.zst", compress(t, header), flights.ErrEmpty, "header.csv.zst"},
		{"headless.csv", goodRow, nil, "line 1: want the header"},
		{"other.csv", "a,b,c\n1,2,3\n", nil, `got "a,b,c"`},
		{"cut.csv", header + goodRow + "2001-01-31T23:59,OR", flights.ErrTruncated, "line 3"},
		{"cut-header.csv", "time,orig", flights.ErrTruncated, "line 1"},
		{"cut.csv.zst", compress(t, header+strings.Repeat(goodRow, 9))[:40], flights.ErrTruncated, "cut.csv.zst"},
		{"plain.csv.zst", header + goodRow, zstd.ErrMagicMismatch, "plain.csv.zst"},
		{"long.csv", header + goodRow + strings.Repeat("x", 3*flights.LongestRow), nil, "line 3: the line is longer than 4096"},
		{"rows.txt", header + goodRow, nil, ".csv or .csv.zst"},
	} {
		path := write(t, test.name, test.text)
		in, err := flights.Open(path)
		if err == nil {
			in.Close()
		}
		if err == nil || (test.want != nil && !errors.Is(err, test.want)) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("open %s: got error %v, want %v that says %q", test.name, err, test.want, test.says)
		}
	}
	if _, err := flights.Open(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open a missing file: got error %v, want %v", err, os.ErrNotExist)
	}
}

func TestReadsWindowsLineEnds(t *testing.T) {
	in := open(t, write(t, "windows.csv", strings.ReplaceAll(flights.Header+"\n"+goodRow, "\n", "\r\n")))
	if got := readAll(t, flights.Partition{Input: in, N: 1}, 0, 10); len(got) != 1 || got[0].Distance != 733 {
		t.Errorf("got rows %+v, want the one of distance 733", got)
	}
}

func TestNamesTheLineOfAMalformedRow(t *testing.T) {
	in := open(t, write(t, "bad.csv", flights.Header+"\n"+strings.Repeat(goodRow, 10)+"2001-01-31T23:59,ORD,LGA,x,1\n"+goodRow))
	rows, err := flights.Partition{Input: in, I: 0, N: 2}.Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	into := make([]flights.Flight, 100)
	if n, err := rows.Read(t.Context(), into); n != 5 || err != nil {
		t.Fatalf("read up to the malformed row: got %d, %v, want 5 rows", n, err)
	}
	for range 2 {
		n, err := rows.Read(t.Context(), into)
		var bad *flights.RowError
		if n != 0 || !errors.As(err, &bad) || bad.Line != 12 || bad.Column != "delay" || !strings.HasSuffix(bad.Input, "bad.csv") {
			t.Fatalf("read the malformed row: got %d, %v, want line 12, column delay", n, err)
		}
	}
	if got := readAll(t, flights.Partition{Input: in, I: 1, N: 2}, 0, 100); len(got) != 6 {
		t.Errorf("rows of the other source: got %d, want 6", len(got))
	}
}

// Every reader sees that an input is cut off, not only the first that gets there: the others must not take it for the end.
func TestEveryReaderSeesATruncation(t *testing.T) {
	in := open(t, write(t, "cut.csv", flights.Header+"\n"+strings.Repeat(goodRow, flights.BlockRows+100)+"2001"))
	for i := range 3 {
		rows, err := flights.Partition{Input: in, I: i, N: 3}.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		into := make([]flights.Flight, flights.BlockRows)
		for err == nil {
			_, err = rows.Read(t.Context(), into)
		}
		rows.Close()
		want := fmt.Sprintf("line %d", flights.BlockRows+102)
		if !errors.Is(err, flights.ErrTruncated) || !strings.Contains(err.Error(), want) {
			t.Errorf("reader %d: got error %v, want %v at %s", i, err, flights.ErrTruncated, want)
		}
	}
}

func TestFingerprintTellsInputsApart(t *testing.T) {
	one := write(t, "one.csv", flights.Header+"\n"+goodRow)
	fingerprint := func(path string) uint64 {
		f, err := open(t, path).Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if fingerprint(one) != fingerprint(write(t, "same.csv", flights.Header+"\n"+goodRow)) {
		t.Error("equal files have different fingerprints")
	}
	if fingerprint(one) == fingerprint(write(t, "two.csv", flights.Header+"\n"+goodRow+goodRow)) {
		t.Error("different files have the same fingerprint")
	}
}
