package bench_test

import (
	"context"
	"fmt"
	"sync"
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

// BenchmarkCost counts what an epoch asks of the store, of all members together, over many epochs of a thousand changes
// each, so that compaction, collection, hints and floors have their share, and what that costs on S3 in a month of epochs
// one second, or ten, apart, each of which holds changes. An idle instance costs its storage. The bytes of requests cost
// nothing within a region.
//
// Clusters are in one process, over one directory, and every member sends; one instance is alone. Opening is left out, and
// told apart. A quick run ends before the first records are collected, for each 32 of which a floor and one more record are
// created, and leaves out clusters with many vnodes. What S3 is asked beyond the requests counted here: whether an object
// is there, before it is deleted.
func BenchmarkCost(b *testing.B) {
	for _, instances := range []int{1, 3, 16} {
		for _, vnodes := range []int{256, 4096} {
			if instances > 1 && vnodes > 256 && !*full {
				continue
			}
			b.Run(fmt.Sprintf("instances=%d/vnodes=%d", instances, vnodes), func(b *testing.B) { benchCost(b, instances, vnodes) })
		}
	}
}

func benchCost(b *testing.B, instances, vnodes int) {
	all := openMembers(b, membersOf(b, instances, vnodes))
	opened := costOf(all)
	producers := make([]*sheaf.Producer[uint64, event], len(all))
	for i, in := range all {
		var err error
		if producers[i], err = in.Producer(b.Context(), fmt.Sprint("pushed-", i)); err != nil {
			b.Fatal(err)
		}
	}
	epochs := scale(64, 1024)
	if instances > 3 {
		epochs = scale(24, 384)
	}
	for b.Loop() {
		before := costOf(all)
		for e := range epochs {
			sendAndSeal(b, producers, e*1000)
		}
		reportCost(b, before, costOf(all))
	}
	b.ReportMetric(float64(opened.Total().Asked)/float64(instances), "requests/opening")
	hideTime(b)
}

// sendAndSeal sends a thousand changes, each producer its share, and seals an epoch. What the others sent may get into the
// next.
func sendAndSeal(b *testing.B, producers []*sheaf.Producer[uint64, event], first int) {
	b.Helper()
	for i := range 1000 {
		p := producers[i%len(producers)]
		if _, err := p.Send(b.Context(), event{keyOf(uint64(first+i) % 20_000), 1}); err != nil {
			b.Fatal(err)
		}
	}
	if err := producers[0].Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// membersOf are the configs of an instance that is alone, or of members of a cluster that own as many vnodes each, give or
// take one. Epochs are sealed on demand alone.
func membersOf(b *testing.B, instances, vnodes int) []sheaf.Config {
	b.Helper()
	url, seeds := "file://"+b.TempDir(), make([]string, instances)
	all := make([]sheaf.Config, instances)
	for i := range all {
		all[i] = sheaf.Config{State: backend.ObjectStore(url, fmt.Sprint("node-", i)), Epoch: time.Hour, SealTimeout: time.Minute}
		all[i].State.VnodeCapacity = vnodes
		if instances == 1 {
			return all
		}
		all[i].State.Cluster.Listen = freeAddress(b)
		seeds[i] = fmt.Sprintf("node-%d=%s", i, all[i].State.Cluster.Listen)
		all[i].State.Vnodes = backend.ListVnodes(backend.VnodeRange{First: i * vnodes / instances, Last: (i+1)*vnodes/instances - 1})
	}
	for i := range all {
		all[i].State.SeedPeers, all[i].State.MergerInstance = seeds, "node-0"
	}
	return all
}

// openMembers opens all at once: the first start of a cluster waits for all of them.
func openMembers(b *testing.B, configs []sheaf.Config) []*sumInstance {
	b.Helper()
	all, errs := make([]*sumInstance, len(configs)), make([]error, len(configs))
	var opening sync.WaitGroup
	for i := range configs {
		opening.Go(func() { all[i], errs[i] = sheaf.Open(b.Context(), configs[i], sumBetween()) })
	}
	opening.Wait()
	for i, err := range errs {
		if err != nil {
			b.Fatalf("open member %d: %v", i, err)
		}
	}
	b.Cleanup(func() { abandon(all) })
	return all
}

// abandon ends members at once, without sealing what is left.
func abandon(all []*sumInstance) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var ending sync.WaitGroup
	for _, in := range all {
		ending.Go(func() { _ = in.Close(ctx) })
	}
	ending.Wait()
}

// cost is what members have asked of the store so far, and made of it.
type cost struct {
	backend.Requests
	sealed uint64 // epochs
	late   uint64 // folds that came too late for their epoch, and are made again
	stored int64  // bytes of the newest epoch's segments
}

func costOf(all []*sumInstance) (c cost) {
	for _, in := range all {
		st := in.Status()
		for _, k := range [][2]*backend.RequestCount{
			{&c.Creates, &st.Requests.Creates},
			{&c.Puts, &st.Requests.Puts},
			{&c.Gets, &st.Requests.Gets},
			{&c.Lists, &st.Requests.Lists},
			{&c.Deletes, &st.Requests.Deletes},
		} {
			k[0].Asked += k[1].Asked
			k[0].Bytes += k[1].Bytes
		}
		c.sealed, c.stored = max(c.sealed, st.Counts.Sealed), max(c.stored, st.Bytes)
		c.late += st.Counts.FoldsLate
	}
	return c
}

func reportCost(b *testing.B, before, after cost) {
	epochs := float64(after.sealed - before.sealed)
	per := func(n int64) float64 { return float64(n) / epochs }
	b.ReportMetric(per(after.Creates.Asked+after.Puts.Asked-before.Creates.Asked-before.Puts.Asked), "put/epoch")
	b.ReportMetric(per(after.Gets.Asked-before.Gets.Asked), "get/epoch")
	b.ReportMetric(per(after.Lists.Asked-before.Lists.Asked), "list/epoch")
	b.ReportMetric(per(after.Deletes.Asked-before.Deletes.Asked), "delete/epoch")
	b.ReportMetric(per(after.Creates.Bytes+after.Puts.Bytes-before.Creates.Bytes-before.Puts.Bytes), "B-sent/epoch")
	b.ReportMetric(per(after.Gets.Bytes-before.Gets.Bytes), "B-read/epoch")
	b.ReportMetric(float64(after.late-before.late)/epochs, "late-fold/epoch")
	b.ReportMetric(float64(after.stored)/1e6, "live-MB")
	each := (s3().of(after.Requests) - s3().of(before.Requests)) / epochs
	storage := float64(after.stored) / 1e9 * s3().gigabytes
	for _, interval := range []time.Duration{time.Second, 10 * time.Second} {
		b.ReportMetric(each*float64(month/interval)+storage, fmt.Sprintf("$/month-at-%v", interval))
	}
}
