package wire

import (
	"encoding/binary"
	"slices"
)

// Range is a run of numbers, both ends included.
type Range struct{ First, Last uint64 }

const (
	rangeSize = 2 * 8
	// MaxRanges are the most that one frame carries.
	MaxRanges = maxControl / rangeSize
)

// Ranges sorts numbers and returns them as ranges, behind into.
func Ranges(into []Range, numbers []uint64) []Range {
	slices.Sort(numbers)
	for _, n := range numbers {
		if i := len(into) - 1; i >= 0 && n <= into[i].Last+1 {
			into[i].Last = n
			continue
		}
		into = append(into, Range{n, n})
	}
	return into
}

// AppendDone appends frames that say which tracked frames their receiver is done with.
func AppendDone(b []byte, ranges []Range) []byte {
	for part := range slices.Chunk(ranges, MaxRanges) {
		start := len(b)
		b = Start(b, KindDone, 0)
		for _, r := range part {
			b = binary.LittleEndian.AppendUint64(b, r.First)
			b = binary.LittleEndian.AppendUint64(b, r.Last)
		}
		Finish(b, start)
	}
	return b
}

// ParseDone reads the body of a done frame, behind into.
func ParseDone(into []Range, body []byte) ([]Range, error) {
	if len(body) == 0 || len(body)%rangeSize != 0 {
		return into, malformed("%d bytes of ranges", len(body))
	}
	var last uint64
	for ; len(body) > 0; body = body[rangeSize:] {
		r := Range{binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:])}
		if r.First <= last || r.Last < r.First {
			return into, malformed("range %d to %d behind %d", r.First, r.Last, last)
		}
		into, last = append(into, r), r.Last
	}
	return into, nil
}
