package flights_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

func TestParsesRows(t *testing.T) {
	ord, lga := flights.Airport{'O', 'R', 'D'}, flights.Airport{'L', 'G', 'A'}
	for row, want := range map[string]flights.Flight{
		"1970-01-01T00:00,ORD,LGA,0,0":         {Origin: ord, Destination: lga},
		"1970-01-02T01:01,ORD,LGA,-5,733":      {Minute: 24*60 + 61, Delay: -5, Distance: 733, Origin: ord, Destination: lga},
		"1970-01-01T00:00,LGA,ORD,32767,65535": {Delay: 32767, Distance: 65535, Origin: lga, Destination: ord},
		"1970-01-01T23:59,LGA,ORD,-32768,1\r":  {Minute: 1439, Delay: -32768, Distance: 1, Origin: lga, Destination: ord},
	} {
		if got, wrong := flights.ParseRow([]byte(row)); wrong != "" || got != want {
			t.Errorf("parse %q: got %+v, wrong column %q, want %+v", row, got, wrong, want)
		}
	}
}

func TestNamesTheFirstWrongColumn(t *testing.T) {
	for row, want := range map[string]string{
		"":                                     "time",
		"2001-01-01 00:01,ORD,LGA,1,1":         "time",
		"2001-13-01T00:01,ORD,LGA,1,1":         "time",
		"2001-00-01T00:01,ORD,LGA,1,1":         "time",
		"2001-02-29T00:01,ORD,LGA,1,1":         "time",
		"2100-02-29T00:01,ORD,LGA,1,1":         "time",
		"2001-01-00T00:01,ORD,LGA,1,1":         "time",
		"2001-01-01T24:00,ORD,LGA,1,1":         "time",
		"2001-01-01T00:60,ORD,LGA,1,1":         "time",
		"1969-12-31T23:59,ORD,LGA,1,1":         "time",
		"3000-01-01T00:00,ORD,LGA,1,1":         "time",
		"2001-01-01T00:0x,ORD,LGA,1,1":         "time",
		"2001-01-01T00:01":                     "origin",
		"2001-01-01T00:01;ORD,LGA,1,1":         "origin",
		"2001-01-01T00:01,OrD,LGA,1,1":         "origin",
		"2001-01-01T00:01,OR,LGA,1,1":          "origin",
		"2001-01-01T00:01,ORD":                 "destination",
		"2001-01-01T00:01,KORD,LGA,1,1":        "destination",
		"2001-01-01T00:01,ORD,,1,1":            "destination",
		"2001-01-01T00:01,ORD,LGA":             "delay",
		"2001-01-01T00:01,ORD,LGA,":            "delay",
		"2001-01-01T00:01,ORD,LGA,-,1":         "delay",
		"2001-01-01T00:01,ORD,LGA,+1,1":        "delay",
		"2001-01-01T00:01,ORD,LGA,,1":          "delay",
		"2001-01-01T00:01,ORD,LGA,32768,1":     "delay",
		"2001-01-01T00:01,ORD,LGA,-32769,1":    "delay",
		"2001-01-01T00:01,ORD,LGA,1":           "distance",
		"2001-01-01T00:01,ORD,LGA,1.5,1":       "distance",
		"2001-01-01T00:01,ORD,LGA,1,":          "distance",
		"2001-01-01T00:01,ORD,LGA,1,65536":     "distance",
		"2001-01-01T00:01,ORD,LGA,1,-1":        "distance",
		"2001-01-01T00:01,ORD,LGA,1,1,":        "distance",
		"2001-01-01T00:01,ORD,LGA,1,1 ":        "distance",
		"2001-01-01T00:01,ORD,LGA,1,1\r\r":     "distance",
		"2001-01-01T00:01,ORD,LGA,1,429496729": "distance",
	} {
		if _, got := flights.ParseRow([]byte(row)); got != want {
			t.Errorf("parse %q: got wrong column %q, want %q", row, got, want)
		}
	}
}

func TestKnowsEveryDay(t *testing.T) {
	for day := time.Date(1970, 1, 1, 7, 30, 0, 0, time.UTC); day.Year() < 3000; day = day.AddDate(0, 0, 1) {
		row := day.Format("2006-01-02T15:04") + ",ORD,LGA,1,1"
		f, wrong := flights.ParseRow([]byte(row))
		if wrong != "" || int64(f.Minute)*60 != day.Unix() {
			t.Fatalf("parse %q: got minute %d, wrong column %q, want %d", row, f.Minute, wrong, day.Unix()/60)
		}
		if got, want := f.Date().String(), day.Format(time.DateOnly); got != want {
			t.Fatalf("date of %q: got %s, want %s", row, got, want)
		}
	}
}

// What the parser takes, the plain program takes too, and both read the same; what it refuses is not a row in its exact form.
func FuzzParseRow(f *testing.F) {
	for _, row := range []string{
		"2001-01-31T23:59,ORD,LGA,-5,733", "2000-02-29T00:00,AAA,ZZZ,32767,65535", "2001-01-01T00:01,LAS,PHL,33,2176\r", "", ",,,,",
	} {
		f.Add([]byte(row))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		got, wrong := flights.ParseRow(row)
		if wrong != "" {
			return
		}
		want, err := flightstest.Parse(strings.NewReader(flights.Header + "\n" + string(row) + "\n"))
		if err != nil || len(want) != 1 || got != want[0] {
			t.Fatalf("parse %q: got %+v, the plain program got %+v, error %v", row, got, want, err)
		}
	})
}
