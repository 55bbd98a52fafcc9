package bench_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// BenchmarkIngest measures the steady state: every key stands, and is sealed where the state is durable, before the
// first round. In a round the loops run first, alone; then events flow, and a window is cut out of the middle. With
// epochs of 1 s it is whole seconds long, so each holds as many barriers as seconds. A quick run has uniform keys only where
// that is quickest.
func BenchmarkIngest(b *testing.B) {
	for _, w := range workloads() {
		pool := w.pool()
		for _, durable := range []bool{false, true} {
			for _, kind := range []string{"source", "producer"} {
				if quick := kind == "source" && !durable; w.name == "uniform" && !quick && !*full {
					continue
				}
				name := w.name + "/" + kind + "/memory"
				if durable {
					name = w.name + "/" + kind + "/local-1s"
				}
				b.Run(name, func(b *testing.B) { benchIngest(b, pool, kind, durable) })
			}
		}
	}
}

func benchIngest(b *testing.B, pool []event, kind string, durable bool) {
	loops := newLimits(pool)
	in := openSum(b, durable)
	feed := newFeed(b, in, kind, pool)
	window := scale(500*time.Millisecond, 3*time.Second)
	turns := rounds()
	if durable {
		window, turns = scale(time.Second, 5*time.Second), scale(1, turns)
	}
	var ours, one, two, cpu, oneCPU rates
	allocs := 0.0
	for b.Loop() {
		for range turns {
			settle(b, in)
			used := cpuUsed()
			one.add(loops.one(), poolLen)
			oneCPU.add(cpuUsed()-used, poolLen)
			two.add(loops.two(), poolLen)
			m := measure(b, in, feed, durable, window)
			ours.add(m.took, m.records)
			cpu.add(m.cpu, m.records)
			allocs = max(allocs, float64(m.allocs)/float64(m.records))
		}
	}
	hideTime(b)
	b.ReportMetric(ours.median(), "ns/record")
	b.ReportMetric(one.median(), "loop-ns/record")
	b.ReportMetric(two.median(), "two-loops-ns/record")
	b.ReportMetric(ours.over(one), "x-loop")
	b.ReportMetric(ours.over(two), "x-two-loops")
	b.ReportMetric(cpu.median(), "cpu-ns/record")
	b.ReportMetric(cpu.over(oneCPU), "cpu-x-loop")
	b.ReportMetric(allocs, "allocs/record")
}

// measured is what a window held.
type measured struct {
	records uint64
	took    time.Duration
	cpu     time.Duration // of the whole process; two cores can use twice what it took
	allocs  uint64
}

// measure counts the records that are applied in a window while events flow.
func measure(b *testing.B, in *sumInstance, f feed, durable bool, window time.Duration) (m measured) {
	f.flow()
	defer f.hold()
	if durable { // two barriers behind the start: what changes from one to the next is what flows
		awaitEpoch(b, in, in.Status().Epoch+2)
	} else {
		pause(b, 200*time.Millisecond)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, first, used := time.Now(), f.applied(), cpuUsed()
	pause(b, window)
	m.took, m.records, m.cpu = time.Since(begin), f.applied()-first, cpuUsed()-used
	runtime.ReadMemStats(&after)
	m.allocs = after.Mallocs - before.Mallocs
	return m
}

type sumInstance = sheaf.Instance[uint64, event, int64, int64]

func openSum(b *testing.B, durable bool) *sumInstance {
	b.Helper()
	cfg := sheaf.Config{Epoch: time.Hour}
	if durable {
		cfg = sheaf.Config{State: backend.Local(b.TempDir()), Epoch: time.Second}
	}
	in, err := sheaf.Open(b.Context(), cfg, sum())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeInstance(b, in.Close) })
	return in
}

func closeInstance(b *testing.B, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := end(ctx); err != nil {
		b.Error("close:", err)
	}
}

// feed is a way for events to get in.
type feed interface {
	flow()
	// hold returns when nothing flows any more.
	hold()
	applied() uint64
}

func newFeed(b *testing.B, in *sumInstance, kind string, pool []event) feed {
	if kind == "producer" {
		return newPushed(b, in, pool)
	}
	s := newStream(pool)
	if _, err := in.Attach(b.Context(), "stream", s); err != nil {
		b.Fatal(err)
	}
	s.flowTo(keyCount)
	f := &pulled{stream: s, in: in}
	for f.applied() < keyCount {
		pause(b, 10*time.Millisecond)
	}
	return f
}

// pulled is a stream that a source reads.
type pulled struct {
	*stream
	in *sumInstance
}

func (p *pulled) flow() { p.flowTo(math.MaxUint64) }

func (p *pulled) hold() { p.flowTo(0) }

// applied leaves out what was sent and not applied. What lies in the source's buffers is counted, at the beginning of
// a window as at its end.
func (p *pulled) applied() uint64 {
	s := p.in.Status().Sources[0]
	return s.Read - uint64(s.InFlight)/24
}

// pushed is a goroutine that sends the pool round and round.
type pushed struct {
	pool     []event
	in       *sumInstance
	producer *sheaf.Producer[uint64, event]
	at       int
	fail     func(...any)
	cancel   context.CancelFunc
	done     chan struct{}
}

func newPushed(b *testing.B, in *sumInstance, pool []event) *pushed {
	producer, err := in.Producer(b.Context(), "pushed")
	if err != nil {
		b.Fatal(err)
	}
	for i := range uint64(keyCount) {
		if _, err := producer.Send(b.Context(), event{keyOf(i), 1}); err != nil {
			b.Fatal(err)
		}
	}
	return &pushed{pool: pool, in: in, producer: producer, fail: b.Error}
}

func (p *pushed) flow() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan struct{})
	go func() {
		defer close(p.done)
		for {
			if _, err := p.producer.Send(ctx, p.pool[p.at]); err != nil {
				if ctx.Err() == nil {
					p.fail("send:", err)
				}
				return
			}
			p.at = (p.at + 1) % len(p.pool)
		}
	}()
}

func (p *pushed) hold() {
	p.cancel()
	<-p.done
}

// applied counts what was sent: what is under way is bounded, and little while vnodes keep up with one goroutine.
func (p *pushed) applied() uint64 { return p.in.Status().Producers[0].Sent }
