package flights

import (
	"bytes"
	"fmt"
	"time"
)

// Airport is an airport's three-letter IATA code; its last byte is 0. The zero Airport is none.
type Airport [4]byte

// String returns the three letters.
func (a Airport) String() string { return string(a[:3]) }

// Compare orders airports by their letters.
func (a Airport) Compare(b Airport) int { return bytes.Compare(a[:], b[:]) }

// MarshalText returns the three letters.
func (a Airport) MarshalText() ([]byte, error) { return a[:3], nil }

// UnmarshalText accepts exactly three capital letters.
func (a *Airport) UnmarshalText(text []byte) error {
	code, ok := parseAirport(text)
	if !ok {
		return fmt.Errorf("airport %q: want three capital letters", text)
	}
	*a = code
	return nil
}

// Date is a day, counted from 1970-01-01.
type Date int32

// String returns the day as 2006-01-02.
func (d Date) String() string { return time.Unix(int64(d)*86_400, 0).UTC().Format(time.DateOnly) }

// Flight is one row: a flight that took place.
type Flight struct {
	Minute      int32  // departure, local time, in minutes since 1970-01-01T00:00
	Delay       int16  // in minutes; negative is early
	Distance    uint16 // in miles
	Origin      Airport
	Destination Airport
}

// Date returns the day of departure.
func (f Flight) Date() Date { return Date(f.Minute / minutesPerDay) }

const minutesPerDay = 24 * 60
