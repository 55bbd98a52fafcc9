package sheaf_test

import (
	"context"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// An idle system writes nothing: after the last epoch and one trailing record it asks nothing of the store, whatever is
// attached.
func TestIdleInstanceAsksNothingOfTheStore(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies(), &inbox{})
		attach(t, in, "s", &script{events: repeated(1000), live: true})
		p, r := producer(t, in, "p"), resumable(t, in, "r")
		send(t, p, event{Key: "a", Add: 1})
		push(t, r, 1, 10)
		flush(t, in)
		quiet(10 * small().Epoch) // the trailing record, the collection
		if st := in.Status(); st.Emitted != st.Epoch || st.Waiting != 0 {
			t.Errorf("after the last epoch: got %+v, want that it is emitted", st)
		}
		requests := len(s.faults.Journal())
		quiet(patience)
		if idle := s.faults.Journal()[requests:]; len(idle) > 0 {
			t.Errorf("got %d requests in %v of silence, want none: %+v", len(idle), patience, idle)
		}
	})
}

func TestFreshInstanceSealsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		in := s.open(small(), tallies(), &inbox{})
		flush(t, in)
		quiet(patience)
		closeAll(t, in)
		for _, e := range s.faults.Journal() {
			if e.Op == backendtest.Create && e.Key[:7] == "segment" {
				t.Errorf("got the segment %s, want none: nothing was sent", e.Key)
			}
		}
	})
}

// No epoch is opened when nothing has changed since the last.
func TestEveryEpochHoldsAChange(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		sink := &inbox{}
		slow := sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error {
			quiet(time.Millisecond)
			return nil
		})
		in := s.open(small(), tallies(), slow, sink)
		p := producer(t, in, "p")
		for i := range 200 {
			send(t, p, event{Key: "a", Add: 1})
			quiet(time.Duration(i%40) * 100 * time.Microsecond)
			flush(t, p)
		}
		closeAll(t, in)
		var last int64
		for _, r := range sink.results() {
			if r.Value.Sum == last {
				t.Errorf("epoch %d holds no change: %+v", r.Epoch, r)
			}
			last = r.Value.Sum
		}
	})
}
