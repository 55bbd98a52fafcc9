package flightstest

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// Load reads all rows of an input, the slow and plain way.
func Load(in *flights.Input) ([]flights.Flight, error) {
	text, err := in.Text()
	if err != nil {
		return nil, err
	}
	rows, err := Parse(bufio.NewReader(text))
	return rows, errors.Join(err, text.Close())
}

// Parse reads all rows of a CSV text.
func Parse(text io.Reader) ([]flights.Flight, error) {
	r := csv.NewReader(text)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if got := strings.Join(header, ","); got != flights.Header {
		return nil, fmt.Errorf("read header: got %q, want %q", got, flights.Header)
	}
	var rows []flights.Flight
	for {
		record, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		f, err := parseRecord(record)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", len(rows), err)
		}
		rows = append(rows, f)
	}
}

func parseRecord(record []string) (f flights.Flight, err error) {
	minute, err1 := time.Parse("2006-01-02T15:04", record[0])
	err2 := f.Origin.UnmarshalText([]byte(record[1]))
	err3 := f.Destination.UnmarshalText([]byte(record[2]))
	delay, err4 := strconv.ParseInt(record[3], 10, 16)
	distance, err5 := strconv.ParseUint(record[4], 10, 16)
	f.Minute = int32(minute.Unix() / 60)
	f.Delay = int16(delay)
	f.Distance = uint16(distance)
	return f, errors.Join(err1, err2, err3, err4, err5)
}
