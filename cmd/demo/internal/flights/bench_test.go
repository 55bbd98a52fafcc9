package flights_test

import (
	"io"
	"sync"
	"testing"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

const sampleRows = 508_239

func rate(b *testing.B) {
	b.ReportMetric(float64(b.N)*sampleRows/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkDecompress is the limit of the others: the sample's text, read and dropped.
func BenchmarkDecompress(b *testing.B) {
	in := openSample(b)
	for b.Loop() {
		text, err := in.Text()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, text); err != nil {
			b.Fatal(err)
		}
		if err := text.Close(); err != nil {
			b.Fatal(err)
		}
	}
	rate(b)
}

func BenchmarkRead(b *testing.B) {
	for name, n := range map[string]int{"1-source": 1, "4-sources": 4} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				readSample(b, n)
			}
			rate(b)
		})
	}
}

// readSample opens the sample and reads all its rows by n sources.
func readSample(b *testing.B, n int) {
	in, err := flights.Sample()
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	var wait sync.WaitGroup
	for _, p := range flights.Partitions(in, n, nil) {
		wait.Go(func() { drain(b, p) })
	}
	wait.Wait()
}

func drain(b *testing.B, p flights.Partition) {
	rows, err := p.Open(b.Context(), 0)
	if err != nil {
		b.Error(err)
		return
	}
	defer rows.Close()
	into := make([]flights.Flight, 1024)
	for err == nil {
		_, err = rows.Read(b.Context(), into)
	}
	if err != io.EOF {
		b.Error(err)
	}
}

// BenchmarkFoldRouteDays is what the fold of an epoch costs the job with the many keys.
func BenchmarkFoldRouteDays(b *testing.B) {
	_, days := sampleStates(b)
	fold := flights.RouteDaysFold(1) // one vnode's keys, as one partial has them
	for b.Loop() {
		var r flights.RouteDays
		for key, s := range days {
			fold(&r, key, s)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(days)), "ns/key")
}
