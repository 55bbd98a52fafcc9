package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// idleEnv tells a child process of this test binary how many vnodes it idles with; 0 for no instance at all.
const idleEnv = "SHEAF_BENCH_IDLE"

// idle is what a child says of itself, in the units of the metrics.
type idle struct {
	OpenMS     float64
	RSSMB      float64
	Goroutines int
	CPUPercent float64 // of one core
}

func TestMain(m *testing.M) {
	vnodes, isIdle := os.LookupEnv(idleEnv)
	pair, isMember := os.LookupEnv(memberEnv)
	elastic, isElastic := os.LookupEnv(elasticEnv)
	var err error
	switch {
	case isIdle:
		err = idleChild(vnodes, os.Args[1], os.Args[2])
	case isMember:
		err = member(pair)
	case isElastic:
		err = runElastic(elastic)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// BenchmarkIdle measures an instance in a process of its own that was sent an event per vnode, has sealed them, and is
// sent nothing more. The limit is the same process without an instance.
func BenchmarkIdle(b *testing.B) {
	for _, vnodes := range []int{256, 4096} {
		b.Run(fmt.Sprintf("vnodes=%d", vnodes), func(b *testing.B) {
			for b.Loop() {
				bare, with := runIdle(b, 0), runIdle(b, vnodes)
				b.ReportMetric(with.OpenMS, "open-ms")
				b.ReportMetric(with.RSSMB, "RSS-MB")
				b.ReportMetric(bare.RSSMB, "bare-RSS-MB")
				b.ReportMetric(float64(with.Goroutines), "goroutines")
				b.ReportMetric(float64(bare.Goroutines), "bare-goroutines")
				b.ReportMetric(with.CPUPercent, "CPU-%")
				b.ReportMetric(bare.CPUPercent, "bare-CPU-%")
			}
			hideTime(b)
		})
	}
}

func runIdle(b *testing.B, vnodes int) (out idle) {
	b.Helper()
	child := exec.CommandContext(b.Context(), os.Args[0], b.TempDir(), scale(time.Second, time.Minute).String())
	child.Env = append(os.Environ(), idleEnv+"="+strconv.Itoa(vnodes))
	child.Stderr = os.Stderr
	answer, err := child.Output()
	if err != nil {
		b.Fatalf("child with %d vnodes: %v", vnodes, err)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		b.Fatalf("child with %d vnodes said %q: %v", vnodes, answer, err)
	}
	return out
}

func idleChild(vnodes, dir, window string) error {
	n, err := strconv.Atoi(vnodes)
	if err != nil {
		return err
	}
	last, err := time.ParseDuration(window)
	if err != nil {
		return err
	}
	var out idle
	if n > 0 {
		state := backend.Local(dir)
		state.VnodeCapacity = n
		end, took, err := openIdle(state)
		if err != nil {
			return err
		}
		defer end()
		out.OpenMS = float64(took.Microseconds()) / 1e3
	}
	debug.FreeOSMemory()
	out.measure(last)
	return json.NewEncoder(os.Stdout).Encode(out)
}

// openIdle opens an instance, seals an event per vnode, and lets the trailing record of that pass.
func openIdle(state backend.Config) (end func(), took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	in, err := sheaf.Open(ctx, sheaf.Config{State: state, Epoch: 200 * time.Millisecond}, sum())
	if err != nil {
		return nil, 0, err
	}
	took = time.Since(began)
	p, err := in.Producer(ctx, "pushed")
	if err != nil {
		return nil, 0, err
	}
	for i := range uint64(4 * state.Capacity()) {
		if _, err := p.Send(ctx, event{keyOf(i), 1}); err != nil {
			return nil, 0, err
		}
	}
	if err := p.Flush(ctx); err != nil {
		return nil, 0, err
	}
	<-time.After(time.Second)
	return func() { _ = in.Close(context.Background()) }, took, nil
}

func (o *idle) measure(window time.Duration) {
	o.Goroutines = runtime.NumGoroutine()
	used := cpuUsed()
	<-time.After(window)
	o.CPUPercent = 100 * (cpuUsed() - used).Seconds() / window.Seconds()
	o.RSSMB = residentMB()
}
