package sheaf_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/vnode"
)

// probeWrites is what opening a store creates to see that it honours create-if-absent, below what the tests count.
const probeWrites = 2

// TestEpochsCostFewRequests proves what an epoch costs: for one instance two creates, a segment and a record, and beside
// them at most a tenth for everything else, the hint, floors, folds and the probe; three gets, and no list.
func TestEpochsCostFewRequests(t *testing.T) {
	const epochs = 1000
	r := rand.New(rand.NewPCG(1, 2))
	for name, key := range map[string]func(i int) int{
		"one key":     func(int) int { return 0 },
		"many keys":   func(int) int { return r.IntN(2000) },
		"growing":     func(i int) int { return i },
		"a few a lot": func(i int) int { return int(r.ExpFloat64() * 20) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				in := s.open(small(), tallies())
				p := producer(t, in, "p")
				for i := 0; in.Status().Epoch < epochs; i++ {
					send(t, p, event{Key: fmt.Sprint("key ", key(i)), Add: 1})
					quiet(20 * time.Millisecond)
				}
				closeAll(t, in)
				n, j := float64(in.Status().Epoch), s.faults.Journal()
				puts, gets, lists := float64(j.Puts()+probeWrites)/n, float64(j.Count(backendtest.Get))/n, j.Count(backendtest.List)
				t.Logf("%.0f epochs: %.3f puts and %.3f gets each, %d lists; created %d records, %d segments, %d floors; %d hints; read %d records, %d floors, %d of segments", n,
					puts, gets, lists, j.Count(backendtest.Create, backendtest.Record), j.Count(backendtest.Create, backendtest.Segment),
					j.Count(backendtest.Create, backendtest.Floor), j.Count(backendtest.Put, backendtest.Head),
					j.Count(backendtest.Get, backendtest.Record), j.Count(backendtest.Get, backendtest.Floor), j.Count(backendtest.Get, backendtest.Segment))
				if puts > 1.1*2 || gets > 3 || lists > 20 {
					t.Errorf("per epoch: %.3f puts and %.3f gets, want at most 2.2 and 3; %d lists in all, want a few", puts, gets, lists)
				}
			})
		})
	}
}

// TestOpeningCostsTheSameWhateverIsRetained counts the requests of an opening, its first collection and compaction
// included, by the number of retained epochs. They differ as vnodes restore together or apart, and by a fold: each reads
// every segment of chains of up to longestChain.
func TestOpeningCostsTheSameWhateverIsRetained(t *testing.T) {
	const most = 20 + 3*longestChain
	for _, retained := range []int{100, 10_000} {
		bubble(t, func(t *testing.T, s *store) {
			cfg := small()
			cfg.Retain = retained
			in := s.open(cfg, tallies())
			p := producer(t, in, "p")
			for i := range 30 {
				send(t, p, event{Key: fmt.Sprint("key ", i%5), Add: 1})
				flush(t, p)
			}
			closeAll(t, in)
			sealEpochs(t, s.objects, retained)
			if _, err := collectWith(t, s.objects, retained, 1000); err != nil {
				t.Fatal(err)
			}
			s.faults = backendtest.NewFaults(s.objects, 1)
			in = s.open(cfg, tallies())
			quiet(time.Minute)
			j := s.faults.Journal()
			cost := fmt.Sprintf("%d creates, %d puts, %d gets, %d pages of lists, %d deletes", j.Count(backendtest.Create),
				j.Count(backendtest.Put), j.Count(backendtest.Get), j.Count(backendtest.List), j.Count(backendtest.Delete))
			t.Logf("with %d retained epochs: %s", retained, cost)
			if n := len(j); n > most {
				t.Errorf("opening costs, with %d retained epochs, %d requests: %s; want at most %d", retained, n, cost, most)
			}
			wantTallies(t, "opened again", live(t, in), map[string]int64{"key 0": 6, "key 1": 6, "key 2": 6, "key 3": 6, "key 4": 6})
			closeAll(t, in)
		})
	}
}

// sealEpochs seals epochs in which nothing changed, as an instance would.
func sealEpochs(t *testing.T, objects backend.Objects, n int) {
	t.Helper()
	ledger, rec, err := backend.OpenReader(t.Context(), objects)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		rec = sealNothing(t, objects, ledger, rec)
	}
	if err := ledger.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func sealNothing(t *testing.T, objects backend.Objects, ledger *backend.Ledger, rec *backend.Record) *backend.Record {
	t.Helper()
	attempt := vnode.Attempt{Term: rec.Term, Number: rec.High + 1, Version: rec.Assignment.Version}
	captures := make([]backend.Capture, len(rec.Tips))
	sealed := make([]backend.SealedCapture, len(rec.Tips))
	for v, tip := range rec.Tips {
		slice := vnode.SliceID{Life: tip.Life, Attempt: attempt}
		captures[v] = backend.Capture{Vnode: vnode.ID(v), Slice: slice, Base: tip}
		sealed[v].Slice = slice
	}
	segment, err := backend.EncodeSegment(backend.CaptureMeta(rec.Identity, attempt, rec.Coordinator, uuid.New()), captures)
	if err != nil {
		t.Fatal(err)
	}
	if err := objects.Create(t.Context(), segment.Ref.Key(), segment.Data); err != nil {
		t.Fatal(err)
	}
	for v := range sealed {
		sealed[v].Segment = &segment.Ref
	}
	n := rec.Next(rec.Coordinator, time.Now())
	if err := backend.SealInto(n, attempt, sealed); err != nil {
		t.Fatal(err)
	}
	n.Emitted = n.Epoch
	if outcome, _, err := ledger.Append(t.Context(), n); outcome != backend.Won {
		t.Fatalf("append record %d: %v, %v", n.Seq, outcome, err)
	}
	return n
}

func newestOf(t *testing.T, objects backend.Objects) *backend.Record {
	t.Helper()
	_, newest, err := backend.OpenReader(t.Context(), objects)
	if err != nil {
		t.Fatal(err)
	}
	return newest
}
