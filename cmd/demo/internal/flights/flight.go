package flights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sheaf-go/sheaf/vnode"
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

// FlightCodec writes the fields of a flight one after another, in 14 bytes: minute (4), delay (2) and distance (2), the
// highest byte first, and the three letters of origin and destination.
type FlightCodec struct{}

var _ vnode.Codec[Flight] = FlightCodec{}

const flightBytes = 4 + 2 + 2 + 3 + 3

// ID names the encoding.
func (FlightCodec) ID() string { return "flights/flight/1" }

// Append appends f to dst.
func (FlightCodec) Append(dst []byte, f *Flight) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.Minute))
	dst = binary.BigEndian.AppendUint16(dst, uint16(f.Delay))
	dst = binary.BigEndian.AppendUint16(dst, f.Distance)
	dst = append(dst, f.Origin[:3]...)
	return append(dst, f.Destination[:3]...), nil
}

// Decode reads into f the flight that src is.
func (FlightCodec) Decode(src []byte, f *Flight) error {
	if len(src) != flightBytes {
		return fmt.Errorf("decode flight: it has %d bytes, want %d: %w", len(src), flightBytes, ErrEncoding)
	}
	origin, known := parseAirport(src[8:11])
	destination, both := parseAirport(src[11:])
	if !known || !both {
		return fmt.Errorf("decode flight: %q to %q are no airports: %w", src[8:11], src[11:], ErrEncoding)
	}
	*f = Flight{
		Minute: int32(binary.BigEndian.Uint32(src)), Delay: int16(binary.BigEndian.Uint16(src[4:])),
		Distance: binary.BigEndian.Uint16(src[6:]), Origin: origin, Destination: destination,
	}
	return nil
}
