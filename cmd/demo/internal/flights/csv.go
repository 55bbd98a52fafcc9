package flights

import "fmt"

// Header is the first line of every input.
const Header = "time,origin,destination,delay,distance"

// RowError is a line of an input that is not a row.
type RowError struct {
	Input  string // the input's name
	Line   uint64 // counted from 1; the header is line 1
	Column string // the first column that is wrong
	Want   string // what that column must be
	Text   string // the line, cut short if it is long
}

// Error names the place, the column, what it must be and the line.
func (e *RowError) Error() string {
	return fmt.Sprintf("read %s: line %d: column %s: want %s; the line is %q", e.Input, e.Line, e.Column, e.Want, e.Text)
}

func newRowError(input string, line uint64, wrong column, text []byte) *RowError {
	return &RowError{Input: input, Line: line, Column: wrong.String(), Want: wrong.want(), Text: clip(text)}
}

// clip keeps what an error message can show of a line.
func clip(line []byte) string { return string(line[:min(len(line), 80)]) }

// column names the first wrong column of a row.
type column int

const (
	none column = iota // the row is right
	timeColumn
	originColumn
	destinationColumn
	delayColumn
	distanceColumn
)

// String returns the column's name in the header.
func (c column) String() string {
	return [...]string{"none", "time", "origin", "destination", "delay", "distance"}[c]
}

func (c column) want() string {
	switch c {
	case timeColumn:
		return "a minute from 1970 to 2999 as in 2001-01-31T23:59"
	case originColumn, destinationColumn:
		return "three capital letters"
	case delayColumn:
		return "whole minutes from -32768 to 32767"
	case distanceColumn:
		return "whole miles from 0 to 65535 and the end of the line"
	default:
		return "a row"
	}
}

// The first three columns have a fixed width: 2001-01-31T23:59,ORD,LGA,-5,733.
const (
	timeEnd        = len("2001-01-31T23:59")
	originEnd      = timeEnd + len(",ORD")
	destinationEnd = originEnd + len(",LGA")
)

// parseRow reads a line without its newline; a carriage return before that is allowed.
// It returns the first column that is wrong, or none.
func parseRow(row []byte) (f Flight, wrong column) {
	if n := len(row); n > 0 && row[n-1] == '\r' {
		row = row[:n-1]
	}
	var ok bool
	if len(row) < timeEnd {
		return f, timeColumn
	}
	if f.Minute, ok = parseMinute((*[timeEnd]byte)(row)); !ok {
		return f, timeColumn
	}
	if len(row) < originEnd || row[timeEnd] != ',' {
		return f, originColumn
	}
	if f.Origin, ok = parseAirport(row[timeEnd+1 : originEnd]); !ok {
		return f, originColumn
	}
	if len(row) < destinationEnd || row[originEnd] != ',' {
		return f, destinationColumn
	}
	if f.Destination, ok = parseAirport(row[originEnd+1 : destinationEnd]); !ok {
		return f, destinationColumn
	}
	return parseNumbers(f, row[destinationEnd:])
}

// parseNumbers reads ",delay,distance" into f.
func parseNumbers(f Flight, rest []byte) (Flight, column) {
	if len(rest) == 0 || rest[0] != ',' {
		return f, delayColumn
	}
	rest = rest[1:]
	limit, sign := uint32(1<<15-1), int32(1)
	if len(rest) > 0 && rest[0] == '-' {
		rest, limit, sign = rest[1:], 1<<15, -1
	}
	delay, n := parseUint(rest, limit)
	if n == 0 {
		return f, delayColumn
	}
	f.Delay = int16(sign * int32(delay))
	rest = rest[n:]
	if len(rest) == 0 || rest[0] != ',' {
		return f, distanceColumn
	}
	rest = rest[1:]
	distance, n := parseUint(rest, 1<<16-1)
	if n == 0 || n != len(rest) {
		return f, distanceColumn
	}
	f.Distance = uint16(distance)
	return f, none
}

// parseUint reads the digits that b starts with. It returns how many there are, 0 if there are none or the number is above limit.
func parseUint(b []byte, limit uint32) (value uint32, digits int) {
	for digits < len(b) {
		d := b[digits] - '0'
		if d > 9 {
			break
		}
		value = value*10 + uint32(d)
		if value > limit {
			return 0, 0
		}
		digits++
	}
	return value, digits
}

func parseAirport(text []byte) (a Airport, ok bool) {
	if len(text) != 3 {
		return a, false
	}
	a = Airport{text[0], text[1], text[2]}
	return a, a[0]-'A' < 26 && a[1]-'A' < 26 && a[2]-'A' < 26
}

// parseMinute reads 2001-01-31T23:59 as minutes since 1970-01-01T00:00.
func parseMinute(t *[timeEnd]byte) (minute int32, ok bool) {
	if t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' {
		return 0, false
	}
	century, ok1 := twoDigits(t[0], t[1])
	year, ok2 := twoDigits(t[2], t[3])
	month, ok3 := twoDigits(t[5], t[6])
	day, ok4 := twoDigits(t[8], t[9])
	hour, ok5 := twoDigits(t[11], t[12])
	past, ok6 := twoDigits(t[14], t[15])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) {
		return 0, false
	}
	year += century * 100
	if year < 1970 || year > 2999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || past > 59 {
		return 0, false
	}
	return daysSince1970(year, month, day)*minutesPerDay + hour*60 + past, true
}

func twoDigits(tens, ones byte) (int32, bool) {
	tens, ones = tens-'0', ones-'0'
	return int32(tens)*10 + int32(ones), tens <= 9 && ones <= 9
}

func daysIn(year, month int32) int32 {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return int32([...]uint8{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1])
}

// daysSince1970 counts in years that start in March, so that a leap day is the last day of its year
// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
func daysSince1970(year, month, day int32) int32 {
	if month <= 2 {
		year--
	}
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	return year*365 + year/4 - year/100 + year/400 + dayOfYear - 719_468
}
