package bench_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// eventCodec writes an event in 16 bytes.
type eventCodec struct{}

func (eventCodec) ID() string { return "bench event" }

func (eventCodec) Append(dst []byte, e *event) ([]byte, error) {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, e.key), uint64(e.value)), nil
}

func (eventCodec) Decode(src []byte, e *event) error {
	if len(src) != 16 {
		return errors.New("an event has 16 bytes")
	}
	e.key, e.value = binary.LittleEndian.Uint64(src), int64(binary.LittleEndian.Uint64(src[8:]))
	return nil
}

// sumBetween is the app, with a codec for events.
func sumBetween() sheaf.App[uint64, event, int64, int64] {
	app := sum()
	app.EventCodec = eventCodec{}
	return app
}

// pairConfig is one of two members over a directory: the first reads and coordinates, the second owns every vnode.
func pairConfig(dir, first, second, id string) sheaf.Config {
	c := backend.ObjectStore("file://"+dir, id)
	c.SeedPeers, c.MergerInstance = []string{"first=" + first, "second=" + second}, "first"
	c.Cluster.Listen = map[string]string{"first": first, "second": second}[id]
	if id == "first" {
		c.Vnodes = backend.ListVnodes()
	}
	return sheaf.Config{State: c, Epoch: time.Second}
}

// memberEnv makes this program the second member of a pair, on "dir first second", until its standard input ends.
const memberEnv = "SHEAF_BENCH_MEMBER"

func member(arguments string) error {
	a := strings.Fields(arguments)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	in, err := sheaf.Open(ctx, pairConfig(a[0], a[1], a[2], "second"), sumBetween())
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-in.Done():
	}
	return in.Close(ctx)
}

// BenchmarkBetweenProcesses reads a source in one process and applies its events in another, over loopback, next to
// the same in one process. Both have epochs of 1 s to a local directory.
func BenchmarkBetweenProcesses(b *testing.B) {
	w := workloads()[0]
	pool := w.pool()
	alone := openSum(b, true)
	apart := openPair(b)
	feeds := map[*sumInstance]feed{alone: newFeed(b, alone, "source", pool), apart: newFeed(b, apart, "source", pool)}
	window := scale(time.Second, 5*time.Second)
	var one, two rates
	for b.Loop() {
		for range rounds() {
			for in, r := range map[*sumInstance]*rates{alone: &one, apart: &two} {
				settle(b, in)
				m := measure(b, in, feeds[in], true, window)
				r.add(m.took, m.records)
			}
		}
	}
	hideTime(b)
	b.ReportMetric(two.median(), "ns/record")
	b.ReportMetric(one.median(), "one-process-ns/record")
	b.ReportMetric(one.over(two), "x-one-process-rate")
}

func openPair(b *testing.B) *sumInstance {
	b.Helper()
	dir, first, second := b.TempDir(), freeAddress(b), freeAddress(b)
	cmd := exec.CommandContext(context.Background(), os.Args[0]) // it outlives the benchmark until the first is closed
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", memberEnv, dir, first, second))
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = hold.Close()
		_ = cmd.Wait() // it could not seal its last events without the other
	})
	in, err := sheaf.Open(b.Context(), pairConfig(dir, first, second, "first"), sumBetween())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeInstance(b, in.Close) })
	return in
}

func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
