package bench_test

import (
	"flag"
	"slices"
	"testing"
	"time"
)

var full = flag.Bool("full", false, "measure for longer")

// scale is a quantity in a quick run and in a full one.
func scale[T any](quick, long T) T {
	if *full {
		return long
	}
	return quick
}

// rounds is how often what is compared is measured in turns.
func rounds() int { return scale(3, 5) }

// quantile returns the q-quantile of values: 0.5 is the median, 1 the largest.
func quantile[T ~int64 | ~float64](values []T, q float64) T {
	if len(values) == 0 {
		var none T
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// rates collects nanoseconds per record of one thing, round by round.
type rates []float64

func (r *rates) add(took time.Duration, records uint64) {
	*r = append(*r, float64(took.Nanoseconds())/float64(records))
}

func (r rates) median() float64 { return quantile(r, 0.5) }

// over returns the median of the ratios of r to a limit, round by round.
func (r rates) over(limit rates) float64 {
	ratios := make([]float64, len(r))
	for i := range r {
		ratios[i] = r[i] / limit[i]
	}
	return quantile(ratios, 0.5)
}

// reportSpread reports the median, the 99th percentile and the maximum of times, in milliseconds.
func reportSpread(b *testing.B, times []time.Duration, of string) {
	for _, q := range []struct {
		q    float64
		name string
	}{{0.5, "p50"}, {0.99, "p99"}, {1, "max"}} {
		b.ReportMetric(float64(quantile(times, q.q).Nanoseconds())/1e6, of+"-"+q.name+"-ms")
	}
}

// hideTime leaves out the time per iteration, which says nothing where an iteration is a whole comparison.
func hideTime(b *testing.B) { b.ReportMetric(0, "ns/op") }
