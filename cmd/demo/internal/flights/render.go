package flights

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
)

// WriteBoard prints the airports with the most flights, at most top of them, and the total of all.
func WriteBoard(w io.Writer, b Board, top int) error {
	busiest := slices.SortedFunc(maps.Keys(b), func(x, y Airport) int {
		return cmp.Or(cmp.Compare(b[y].Flights, b[x].Flights), x.Compare(y))
	})
	out := printer{w: w}
	out.line("%-8s %10s %7s %11s %10s", "origin", "flights", "late", "mean delay", "max delay")
	for _, airport := range busiest[:min(top, len(busiest))] {
		out.row(airport.String(), b[airport])
	}
	if hidden := len(busiest) - top; hidden > 0 {
		out.line("… and %s more", Count(int64(hidden)))
	}
	out.row("all "+Count(int64(len(b))), b.Total())
	return out.err
}

// WriteRouteDays prints the result of the routedays job.
func WriteRouteDays(w io.Writer, r RouteDays) error {
	var all Digest
	for _, d := range r.Vnodes {
		all += d
	}
	out := printer{w: w}
	out.line("%-14s %12s", "route days", Count(r.Keys))
	out.line("%-14s %12s", "flights", Count(r.Flights))
	out.line("%-14s %12s", "vnodes in use", Count(int64(len(r.Vnodes))))
	out.line("%-14s %s", "digest", all)
	return out.err
}

// printer keeps the first error of its writer.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) row(name string, s BoardState) {
	late, mean := 0.0, 0.0
	if s.Flights > 0 {
		late = 100 * float64(s.Late) / float64(s.Flights)
		mean = float64(s.DelaySum) / float64(s.Flights)
	}
	p.line("%-8s %10s %6.1f%% %7.1f min %6s min", name, Count(s.Flights), late, mean, Count(s.DelayMax))
}

// Count prints a number with its thousands set apart: 3,000,000.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Rate prints rows per second with the unit that suits it: 950/s, 12.3 k/s, 4.56 M/s.
func Rate(rows uint64, took time.Duration) string {
	rate := float64(rows) / max(took.Seconds(), 1e-9)
	switch {
	case rate >= 1e6:
		return fmt.Sprintf("%.2f M/s", rate/1e6)
	case rate >= 1e3:
		return fmt.Sprintf("%.1f k/s", rate/1e3)
	default:
		return fmt.Sprintf("%.0f/s", rate)
	}
}
