package sheaf_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

var costEpochs = flag.Int("cost", 66, "epochs over which the requests of a cluster are counted")

// TestClusterEpochsCostFewRequests proves what an epoch costs three members that all send: a segment of each and a record,
// and a tenth of that for everything else, of all members; three gets in all, and no list. What it took to open them
// counts as in 1,000 epochs; the first floor comes after a hundred. A fold that a slow machine brought too late for its
// epoch is made again: those are told, and not counted.
func TestClusterEpochsCostFewRequests(t *testing.T) {
	const instances, interval = 3, 20 * time.Millisecond
	configs := members(t, "file://"+t.TempDir(), instances)
	for i := range configs {
		configs[i].Epoch, configs[i].SealTimeout = interval, time.Minute
	}
	all := openAll(t, configs)
	opened, first := requestsOf(all), sealedBy(all)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var senders sync.WaitGroup
	sending, stop := context.WithCancel(ctx)
	for i, in := range all {
		p := producer(t, in, fmt.Sprint("p", i))
		senders.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for k := 0; ; k++ {
				if _, err := p.Send(sending, event{Key: fmt.Sprint("key ", k%2000), Add: 1}); err != nil {
					return
				}
				<-tick.C
			}
		})
	}
	await(ctx, t, "the epochs", func() bool { return sealedBy(all) >= first+uint64(*costEpochs) })
	stop()
	senders.Wait()
	var late uint64
	for _, in := range all {
		late += in.Status().Counts.FoldsLate
	}
	epochs := float64(sealedBy(all) - first) // before the requests are counted: one more may be under way
	total := requestsOf(all)
	per := func(of func(backend.Requests) int64) float64 {
		return float64(of(total)-of(opened))/epochs + float64(of(opened))/1000
	}
	puts := per(func(q backend.Requests) int64 { return q.Creates.Asked + q.Puts.Asked })
	gets := per(func(q backend.Requests) int64 { return q.Gets.Asked })
	lists := per(func(q backend.Requests) int64 { return q.Lists.Asked })
	t.Logf("%d instances, %.0f epochs: %.3f puts, %.3f gets and %.3f lists each; opening them took %d, %d and %d; %d folds came too late",
		instances, epochs, puts, gets, lists, opened.Creates.Asked+opened.Puts.Asked, opened.Gets.Asked, opened.Lists.Asked, late)
	if most := 1.1*(instances+1) + float64(late)/epochs; puts > most || gets > 3 || lists > .2 {
		t.Errorf("per epoch: %.3f puts, %.3f gets and %.3f lists, want at most %.2f, 3 and .2", puts, gets, lists, most)
	}
}

// requestsOf adds up what all members asked of the store.
func requestsOf(all []*tallyInstance) backend.Requests {
	var sum backend.Requests
	for _, in := range all {
		q := in.Status().Requests
		sum.Creates.Asked += q.Creates.Asked
		sum.Puts.Asked += q.Puts.Asked
		sum.Gets.Asked += q.Gets.Asked
		sum.Lists.Asked += q.Lists.Asked
	}
	return sum
}

// sealedBy counts the epochs that were sealed, whose numbers may have gaps.
func sealedBy(all []*tallyInstance) (most uint64) {
	for _, in := range all {
		most = max(most, in.Status().Counts.Sealed)
	}
	return most
}
