package bench_test

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// BenchmarkBarrier measures what an epoch costs those who send, from inside the app's own functions, while a source
// reads every key in turn as fast as it can:
//
//	pause     of a vnode: from the first state that a capture encodes to the end of the encoding of its partial
//	barrier   the longest time in which no vnode applied an event, of those that touch a barrier: its first capture to its
//	          last, and on until events are applied again
//	anywhere  the same of the whole epoch, from one first capture to the next: beside the barrier also packing, the put,
//	          the seal and compaction, which share the processors with the vnodes
//	vnode     between two events of one vnode, where a capture lies between them; limit: usual, where none does, since
//	          a vnode is given its events a batch at a time
//	hiccup    the limit of them all: the longest time, per epoch's length, in which a loop beforehand that only reads
//	          the clock did not get to run
func BenchmarkBarrier(b *testing.B) {
	const epoch = 500 * time.Millisecond
	for b.Loop() {
		reportSpread(b, hiccups(epoch, scale(4, 20)), "hiccup")
		w := newWatch()
		in, err := sheaf.Open(b.Context(), sheaf.Config{State: backend.Local(b.TempDir()), Epoch: epoch}, w.app())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := in.Attach(b.Context(), "stream", allKeys{}); err != nil {
			b.Fatal(err)
		}
		first := awaitSeals(b, in.Status, 2)
		last := awaitSeals(b, in.Status, scale[sheaf.Epoch](8, 100))
		if err := in.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		w.report(b, last-first)
	}
	hideTime(b)
}

// hiccups is the longest break of a loop in each of n stretches of time.
func hiccups(stretch time.Duration, n int) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		begin := time.Now()
		for last := begin; last.Sub(begin) < stretch; {
			now := time.Now()
			out[i] = max(out[i], now.Sub(last))
			last = now
		}
	}
	return out
}

func awaitSeals(b *testing.B, status func() sheaf.Status, n sheaf.Epoch) sheaf.Epoch {
	b.Helper()
	until := status().Epoch + n
	for range 600_000 {
		if e := status().Epoch; e >= until {
			return e
		}
		pause(b, time.Millisecond)
	}
	b.Fatalf("epoch %d is not sealed: %+v", until, status())
	return 0
}

// allKeys is an endless source of every key in turn.
type allKeys struct{}

func (allKeys) Open(_ context.Context, offset uint64) (sheaf.Reader[event], error) {
	return &allKeysReader{offset}, nil
}

type allKeysReader struct{ at uint64 }

func (r *allKeysReader) Read(ctx context.Context, into []event) (int, error) {
	for i := range into {
		into[i] = event{keyOf(r.at % keyCount), 1}
		r.at++
	}
	return len(into), ctx.Err()
}

func (r *allKeysReader) Close() error { return nil }

// watch notes when vnodes apply and capture. A vnode's part is touched in its turns alone.
type watch struct {
	begin  time.Time
	vnodes [capacity]watched
}

// watched is what is known of one vnode, in nanoseconds since the watch began.
type watched struct {
	applied  []span // runs of events without a break of note
	captures []span
	inside   bool // a capture
	_        [64]byte
}

type span struct{ from, to int64 }

// breakOf ends a run of events.
const breakOf = int64(20 * time.Microsecond)

func newWatch() *watch { return &watch{begin: time.Now()} }

func (w *watch) now() int64 { return time.Since(w.begin).Nanoseconds() }

// total is a state that knows its vnode once it was updated in this process, and a result that knows the vnode whose
// states it was folded from.
type total struct {
	sum  int64
	from *watched // nil: not known
}

func (w *watch) app() sheaf.App[uint64, event, total, total] {
	return sheaf.App[uint64, event, total, total]{
		Name:  "watched",
		KeyOf: func(e event) uint64 { return e.key },
		Update: func(t *sheaf.Turn, s *total, e event) error {
			s.sum, s.from = s.sum+e.value, &w.vnodes[t.Vnode()]
			s.from.apply(w.now())
			return nil
		},
		Fold:        func(r *total, _ uint64, s *total) { r.sum, r.from = r.sum+s.sum, s.from },
		Merge:       func(into *total, from total) { into.sum += from.sum },
		StateCodec:  watchedState{sheaf.CBOR[int64](), w},
		ResultCodec: watchedResult{sheaf.CBOR[int64](), w},
	}
}

func (v *watched) apply(now int64) {
	if n := len(v.applied); n > 0 && now-v.applied[n-1].to < breakOf {
		v.applied[n-1].to = now
		return
	}
	v.applied = append(v.applied, span{now, now})
}

// watchedState notes the first state of a capture.
type watchedState struct {
	sheaf.Codec[int64]
	watch *watch
}

func (c watchedState) Append(dst []byte, s *total) ([]byte, error) {
	if v := s.from; v != nil && !v.inside {
		v.inside = true
		v.captures = append(v.captures, span{from: c.watch.now()})
	}
	return c.Codec.Append(dst, &s.sum)
}

func (c watchedState) Decode(src []byte, s *total) error { return c.Codec.Decode(src, &s.sum) }

// watchedResult notes the end of a capture.
type watchedResult struct {
	sheaf.Codec[int64]
	watch *watch
}

func (c watchedResult) Append(dst []byte, r *total) ([]byte, error) {
	dst, err := c.Codec.Append(dst, &r.sum)
	if v := r.from; v != nil && v.inside {
		v.inside = false
		v.captures[len(v.captures)-1].to = c.watch.now()
	}
	return dst, err
}

func (c watchedResult) Decode(src []byte, r *total) error { return c.Codec.Decode(src, &r.sum) }

// report reads what the watch saw. The instance is closed. The first captures, of keys that had just entered, and the
// last, made by closing, are left out.
func (w *watch) report(b *testing.B, epochs sheaf.Epoch) {
	var pauses, gaps, usual []time.Duration
	for i := range w.vnodes {
		v := &w.vnodes[i]
		for _, c := range v.captures[2 : len(v.captures)-1] {
			pauses = append(pauses, time.Duration(c.to-c.from))
			gaps = append(gaps, v.gapAround(c.to))
			usual = append(usual, v.gapAround(c.to+250*time.Millisecond.Nanoseconds()))
		}
	}
	b.ReportMetric(float64(epochs), "epochs")
	reportSpread(b, pauses, "pause")
	reportSpread(b, gaps, "vnode")
	reportSpread(b, usual, "usual")
	barrier, anywhere := w.silences()
	reportSpread(b, barrier, "barrier")
	reportSpread(b, anywhere, "anywhere")
}

// gapAround is the time without an event of this vnode around a moment.
func (v *watched) gapAround(at int64) time.Duration {
	after := sort.Search(len(v.applied), func(i int) bool { return v.applied[i].from > at })
	if after == 0 || after == len(v.applied) {
		return 0
	}
	return time.Duration(max(0, v.applied[after].from-v.applied[after-1].to))
}

// silences is, epoch by epoch, the longest time in which no vnode applied an event: around the barrier, and anywhere.
func (w *watch) silences() (barrier, anywhere []time.Duration) {
	var runs []span
	barriers := slices.Repeat([]span{{math.MaxInt64, 0}}, len(w.vnodes[0].captures))
	for i := range w.vnodes {
		runs = append(runs, w.vnodes[i].applied...)
		for e, c := range w.vnodes[i].captures[:min(len(barriers), len(w.vnodes[i].captures))] {
			barriers[e] = span{min(barriers[e].from, c.from), max(barriers[e].to, c.to)}
		}
	}
	slices.SortFunc(runs, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	at, end := 0, int64(0)
	for e := 2; e+1 < len(barriers)-1; e++ {
		near, longest := int64(0), int64(0)
		for ; at < len(runs) && runs[at].from < barriers[e+1].from; at++ {
			if gap := runs[at].from - end; runs[at].from > barriers[e].from {
				longest = max(longest, gap)
				if end <= barriers[e].to {
					near = max(near, gap)
				}
			}
			end = max(end, runs[at].to)
		}
		barrier, anywhere = append(barrier, time.Duration(near)), append(anywhere, time.Duration(longest))
	}
	return barrier, anywhere
}
