package flights

import (
	"context"
	"io"
)

// ParseRow parses a line; wrong is the name of the first wrong column, empty if there is none.
func ParseRow(row []byte) (f Flight, wrong string) {
	f, c := parseRow(row)
	if c != none {
		return f, c.String()
	}
	return f, ""
}

// NewInput opens a text that open returns.
func NewInput(name string, open func() (io.ReadCloser, error)) (*Input, error) {
	return newInput(name, open)
}

// Take calls take.
func (p *Pace) Take(ctx context.Context, want int) (int, error) { return p.take(ctx, want) }

const (
	BlockRows    = blockRows
	WindowBlocks = windowBlocks
	LongestRow   = longestRow
)
