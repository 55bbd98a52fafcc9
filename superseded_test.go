package sheaf_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

// door is an address behind which another listens, until it is shut.
type door struct {
	l       net.Listener
	to      string
	running sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn // nil once it is shut
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{l: l, to: to, conns: []net.Conn{}}
	d.running.Go(d.serve)
	t.Cleanup(d.shut)
	return d
}

func (d *door) serve() {
	for {
		from, err := d.l.Accept()
		if err != nil {
			return
		}
		if to, err := net.Dial("tcp", d.to); err != nil || !d.join(from, to) {
			_ = from.Close()
		}
	}
}

// join copies both ways; false if the door is shut.
func (d *door) join(ends ...net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns == nil {
		_ = ends[1].Close()
		return false
	}
	d.conns = append(d.conns, ends...)
	for i, end := range ends {
		other := ends[1-i]
		d.running.Go(func() {
			_, _ = io.Copy(end, other)
			_, _ = end.Close(), other.Close()
		})
	}
	return true
}

// shut ends every connection, and takes no more.
func (d *door) shut() {
	_ = d.l.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
	d.mu.Unlock()
	d.running.Wait()
}

// I1: a coordinator that its successor could not reach, and that has nothing to write, ends all the same. Whoever is told
// something by the others is the process that reigns now, at its own address; the one before learns of it by their hellos.
func TestCoordinatorThatNobodyReachesHearsOfItsSuccessor(t *testing.T) {
	s := newStore(t)
	within, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ctx := storehook.With(within, func(backend.Objects) backend.Objects { return s.faults })
	configs := members(t, "file:///unused", 2)
	way := newDoor(t, configs[0].State.Cluster.Listen)
	for i := range configs {
		c := &configs[i].State
		c.URL = "file://" + t.TempDir() // has the lock alone
		c.SeedPeers = slices.Clone(c.SeedPeers)
		c.SeedPeers[0] = "n0=" + way.l.Addr().String()
	}
	configs[0].State.Cluster.Advertise = way.l.Addr().String()
	all := openAllOn(ctx, t, configs)
	count := func(name string, want int64) {
		t.Helper()
		p, err := all[1].Producer(ctx, name)
		for range 100 {
			if err == nil {
				_, err = p.Send(ctx, event{Key: "k", Add: 1})
			}
		}
		if err == nil {
			err = p.Flush(ctx)
		}
		got, _, errGet := all[1].Get(ctx, "k")
		if err = errors.Join(err, errGet); err != nil || got != want {
			t.Fatalf("count by %s: got %d %v, want %d", name, got, err, want)
		}
	}
	count("before", 100)
	await(ctx, t, "nothing is left to write", func() bool {
		rec := newestOf(t, s.objects)
		return rec.Epoch > 0 && rec.Emitted == rec.Epoch
	})

	way.shut()
	next := configs[0]
	next.State = next.State.Clone()
	next.State.URL = "file://" + t.TempDir()
	next.State.Cluster.Listen, next.State.Cluster.Advertise = "127.0.0.1:0", ""
	next.State.SeedPeers = next.State.SeedPeers[1:]
	heir, err := sheaf.Open(ctx, next, tallies())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { abort(heir) })
	select {
	case <-all[0].Done():
	case <-ctx.Done():
		t.Fatalf("the coordinator before goes on: %+v", all[0].Status())
	}
	if err := all[0].Err(); !errors.Is(err, sheaf.ErrSuperseded) {
		t.Errorf("the coordinator before: got %v, want %v", err, sheaf.ErrSuperseded)
	}
	count("after", 200)
}
