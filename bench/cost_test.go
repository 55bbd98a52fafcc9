package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// prices are in US dollars.
type prices struct {
	put, get  float64 // of a request; a create is a put, and a list costs as much; a delete costs nothing
	gigabytes float64 // of 10^9 bytes stored for a month
}

// s3 is Amazon S3 Standard, us-east-1, list prices for the first 50 TB, without free tier and traffic:
// https://aws.amazon.com/s3/pricing/, in 2025.
func s3() prices { return prices{put: .005 / 1000, get: .0004 / 1000, gigabytes: .023} }

func (p prices) of(q backend.Requests) float64 {
	return p.put*float64(q.Creates.Asked+q.Puts.Asked+q.Lists.Asked) + p.get*float64(q.Gets.Asked)
}

// month is 30 days.
const month = 30 * 24 * time.Hour

// BenchmarkCost counts what an epoch asks of the store, over many epochs of few changes each, so that compaction,
// collection, hints and floors have their share, and what that costs on S3 in a month of epochs one second, or ten, apart,
// each of which holds a change. An idle instance costs its storage. The bytes of requests cost nothing within a region.
//
// It measures one instance. An epoch of n instances takes n segments and one record; that is measured where there are
// clusters. What S3 is asked beyond the requests counted here: whether an object is there, before it is deleted.
func BenchmarkCost(b *testing.B) {
	for _, vnodes := range []int{256, 4096} {
		b.Run(fmt.Sprintf("instances=1/vnodes=%d", vnodes), func(b *testing.B) { benchCost(b, vnodes) })
	}
}

func benchCost(b *testing.B, vnodes int) {
	state := backend.InProcess()
	state.VnodeCapacity = vnodes
	in, err := sheaf.Open(b.Context(), sheaf.Config{State: state, Epoch: time.Hour}, sum())
	if err != nil {
		b.Fatal(err)
	}
	defer closeInstance(b, in.Close)
	p, err := in.Producer(b.Context(), "pushed")
	if err != nil {
		b.Fatal(err)
	}
	epochs := scale(128, 2048)
	for b.Loop() {
		before, first := in.Status().Requests, in.Status().Epoch
		for e := range epochs {
			for i := range 1000 {
				if _, err := p.Send(b.Context(), event{keyOf(uint64(e*1000+i) % 20_000), 1}); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		st := in.Status()
		reportCost(b, before, st.Requests, int(st.Epoch-first), st.Bytes)
	}
	hideTime(b)
}

func reportCost(b *testing.B, before, after backend.Requests, epochs int, stored int64) {
	per := func(n int64) float64 { return float64(n) / float64(epochs) }
	b.ReportMetric(per(after.Creates.Asked+after.Puts.Asked-before.Creates.Asked-before.Puts.Asked), "put/epoch")
	b.ReportMetric(per(after.Gets.Asked-before.Gets.Asked), "get/epoch")
	b.ReportMetric(per(after.Lists.Asked-before.Lists.Asked), "list/epoch")
	b.ReportMetric(per(after.Deletes.Asked-before.Deletes.Asked), "delete/epoch")
	b.ReportMetric(per(after.Creates.Bytes+after.Puts.Bytes-before.Creates.Bytes-before.Puts.Bytes), "B-sent/epoch")
	b.ReportMetric(per(after.Gets.Bytes-before.Gets.Bytes), "B-read/epoch")
	b.ReportMetric(float64(stored)/1e6, "live-MB")
	each := (s3().of(after) - s3().of(before)) / float64(epochs)
	storage := float64(stored) / 1e9 * s3().gigabytes
	for _, interval := range []time.Duration{time.Second, 10 * time.Second} {
		b.ReportMetric(each*float64(month/interval)+storage, fmt.Sprintf("$/month-at-%v", interval))
	}
}
