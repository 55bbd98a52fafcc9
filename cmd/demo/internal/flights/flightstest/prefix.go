package flightstest

import (
	"fmt"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// prefix walks forward over the rows of n sources: row i belongs to source i mod n.
type prefix struct {
	rows []flights.Flight
	done []uint64 // rows passed, by source
}

func newPrefix(rows []flights.Flight, sources int) *prefix {
	return &prefix{rows: rows, done: make([]uint64, sources)}
}

// count returns how many rows a source has.
func (p *prefix) count(source int) uint64 {
	n := len(p.done)
	return uint64((len(p.rows) - source + n - 1) / n)
}

// total returns the cut that holds every row.
func (p *prefix) total() map[string]uint64 {
	cut := map[string]uint64{}
	for s := range p.done {
		cut[flights.SourceName(s)] = p.count(s)
	}
	return cut
}

// advance calls apply for every row that is within the cut and was not passed yet. A source that the cut does not name stands at 0.
// The error is a [*Mismatch] without a file if the cut goes back, beyond the input, or names another source.
func (p *prefix) advance(cut map[string]uint64, apply func(flights.Flight)) error {
	named := 0
	for s, done := range p.done {
		name := flights.SourceName(s)
		to, ok := cut[name]
		if ok {
			named++
		}
		if to < done {
			return &Mismatch{What: "cut of " + name, Got: fmt.Sprint(to), Want: fmt.Sprintf("at least %d, the cut before", done)}
		}
		if rows := p.count(s); to > rows {
			return &Mismatch{What: "cut of " + name, Got: fmt.Sprint(to), Want: fmt.Sprintf("at most %d, its rows", rows)}
		}
	}
	if named != len(cut) {
		return &Mismatch{What: "cut", Got: fmt.Sprint(cut), Want: fmt.Sprintf("only the sources %s to %s", flights.SourceName(0), flights.SourceName(len(p.done)-1))}
	}
	for s := range p.done {
		for to := cut[flights.SourceName(s)]; p.done[s] < to; p.done[s]++ {
			apply(p.rows[p.done[s]*uint64(len(p.done))+uint64(s)])
		}
	}
	return nil
}
