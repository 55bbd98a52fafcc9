package transport_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/remote"
)

// TestReconnectRepeatsTrackedFrames (I4): connections break all the time, and a receiver is done with frames in any
// order. Each tracked frame arrives, none before an earlier one has, and each is done with once.
func TestReconnectRepeatsTrackedFrames(t *testing.T) {
	const frames, cuts = 4000, 30
	secured(t, []string{"a", "b"}, func(t *testing.T, dir string) {
		var (
			highest  = -1 // only b's receiver touches it
			received atomic.Int64
			held     []func()
		)
		random := rand.New(rand.NewPCG(1, 2))
		b := open(t, dir, "b", func(_ *remote.TransportConfig, h *handler) {
			h.receive = func(_ remote.Hello, data []byte, done func()) error {
				n := numberOf(data)
				if done == nil {
					return nil // it may be lost
				}
				if n > highest+1 {
					t.Errorf("frame %d arrived behind %d", n, highest)
				}
				if n == highest+1 {
					highest = n
					received.Add(1)
				}
				if held = append(held, done); len(held) == 16 || n == frames-1 {
					random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
					for _, f := range held {
						f()
					}
					held = held[:0]
				}
				return nil
			}
		})
		network := newProxy(t, b.Address())
		a := open(t, dir, "a")
		a.Dial([]remote.Member{network.member("b")})
		a.await(t, "up", func() bool { return len(a.ups) == 1 })
		done := make([]*atomic.Int64, frames)
		for i := range done {
			done[i] = new(atomic.Int64)
		}
		var running sync.WaitGroup
		running.Go(func() {
			broken := 0
			for i := range frames {
				if !a.Send("b", tracked{number(i), done[i]}) {
					t.Errorf("frame %d was dropped", i)
				}
				a.Send("b", number(i))
				if i%(frames/cuts) == 0 {
					broken++
					a.await(t, "up again", func() bool { return len(a.ups) == broken })
					if broken%2 == 0 { // else before much has passed
						eventually(t, "half of them are there", func() bool { return received.Load() >= int64(i)/2 })
					}
					network.cut()
				}
			}
		})
		running.Wait()
		eventually(t, "all arrived", func() bool { return received.Load() == frames })
		network.cut() // what is held belongs to the connection before
		eventually(t, "all are done with", func() bool {
			return !slices.ContainsFunc(done, func(n *atomic.Int64) bool { return n.Load() == 0 })
		})
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Fatalf("frame %d was done with %d times", i, n)
			}
		}
		if _, downs, _ := a.counts(); downs < cuts {
			t.Errorf("the connection broke %d times only", downs)
		}
	})
}

func TestNewIncarnationGetsNoOldTrackedFrames(t *testing.T) {
	dir := authority(t, "a", "b")
	first := open(t, dir, "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(remote.Hello, []byte, func()) error { return nil } // never done
	})
	network := newProxy(t, first.Address())
	a := open(t, dir, "a")
	a.Dial([]remote.Member{network.member("b")})
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	var done atomic.Int64
	for i := range 10 {
		a.Send("b", tracked{number(i), &done})
	}
	first.Close()
	a.await(t, "down", func() bool { return len(a.downs) == 1 })
	for i := range 10 {
		if !a.Send("b", tracked{number(i), &done}) {
			t.Fatal("a tracked frame for a peer that is down was dropped")
		}
	}
	if done.Load() != 0 {
		t.Fatalf("%d frames are done with, though the same incarnation may come back", done.Load())
	}
	second := open(t, dir, "b")
	network.set(second.Address(), false)
	a.await(t, "up again", func() bool { return len(a.ups) == 2 })
	if done.Load() != 20 {
		t.Errorf("%d of 20 frames are done with when another incarnation is up", done.Load())
	}
	a.Send("b", number(99))
	second.await(t, "a frame", func() bool { return len(second.got) > 0 })
	if got := numberOf(second.got[0]); got != 99 {
		t.Errorf("the new incarnation received frame %d of the old one", got)
	}
}

// TestGivenUpFramesGoBack: those for a peer that is down go back to whoever sent them. One that is up may still get them.
func TestGivenUpFramesGoBack(t *testing.T) {
	dir := authority(t, "a", "b")
	var came, done atomic.Int64
	b := open(t, dir, "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(remote.Hello, []byte, func()) error { came.Add(1); return nil } // never done
	})
	a := open(t, dir, "a")
	a.Dial([]remote.Member{newProxy(t, b.Address()).member("b")})
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	a.Send("b", tracked{number(1), &done})
	eventually(t, "a frame", func() bool { return came.Load() == 1 })
	if a.GiveUp("b"); done.Load() != 0 {
		t.Error("a frame went back though the peer is up")
	}
	b.Close()
	a.await(t, "down", func() bool { return len(a.downs) == 1 })
	a.Send("b", tracked{number(2), &done})
	a.GiveUp("b")
	a.GiveUp("nobody")
	if done.Load() != 2 {
		t.Errorf("%d of 2 frames went back from a peer that is down", done.Load())
	}
	if s := a.Status()[0]; s.Queued != 0 {
		t.Errorf("%d bytes are queued still", s.Queued)
	}
}

// TestQueueIsBounded: what a peer does not read is taken up to a bound, but for what is tracked.
func TestQueueIsBounded(t *testing.T) {
	const size, bound = 64 << 10, 1 << 20
	reads := make(chan struct{})
	a := open(t, "", "a", func(cfg *remote.TransportConfig, _ *handler) { cfg.MaxQueue = bound })
	b := open(t, "", "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(_ remote.Hello, _ []byte, done func()) error {
			<-reads
			if done != nil {
				done()
			}
			return nil
		}
	})
	var done atomic.Int64
	if a.Send("b", tracked{number(0), &done}) {
		t.Error("a frame for nobody was taken")
	}
	a.Dial([]remote.Member{{Instance: "gone", Address: "127.0.0.1:1"}, b.member()})
	if a.Send("gone", number(0)) || !a.Send("gone", tracked{number(0), &done}) {
		t.Error("a peer that is down takes tracked frames, and no others")
	}
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	full := func() bool { return !a.Send("b", make(plain, size)) }
	eventually(t, "the queue is full", func() bool {
		for range 1000 {
			if full() {
				again := full()
				return again // no writer makes room
			}
		}
		return false
	})
	if s := a.Status()[0]; s.Instance != "b" || s.Dropped == 0 || s.Queued > bound {
		t.Errorf("status %+v", s)
	}
	for range 20 {
		if !a.Send("b", tracked{make(plain, size), &done}) {
			t.Fatal("a tracked frame was dropped")
		}
	}
	close(reads)
	eventually(t, "all tracked frames are done with", func() bool { return done.Load() == 20 })
	if full() {
		t.Error("there is no room though the peer reads")
	}
	a.Close()
	if done.Load() != 21 {
		t.Errorf("%d frames are done with after Close, want 21", done.Load())
	}
	if a.Send("b", number(0)) {
		t.Error("a frame was taken after Close")
	}
}

// TestManySmallFrames: from many goroutines, each of which sees its own in order.
func TestManySmallFrames(t *testing.T) {
	const senders, each = 8, 12500
	var arrived atomic.Int64
	last := make([]int, senders)
	a := open(t, "", "a")
	b := open(t, "", "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(_ remote.Hello, data []byte, done func()) error {
			n := numberOf(data)
			if sender := n / each; last[sender] != n%each {
				t.Errorf("frame %d of %d arrived in place of %d", n%each, sender, last[sender])
			} else {
				last[sender]++
			}
			arrived.Add(1)
			if done != nil {
				done()
			}
			return nil
		}
	})
	a.Dial([]remote.Member{b.member()})
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	var done atomic.Int64
	var running sync.WaitGroup
	for s := range senders {
		running.Go(func() {
			for i := range each {
				var f remote.Frame = number(s*each + i)
				if i%2 == 1 {
					f = tracked{number(s*each + i), &done}
				}
				if !a.Send("b", f) {
					t.Errorf("frame %d of %d was dropped", i, s)
				}
			}
		})
	}
	running.Wait()
	eventually(t, "all arrived", func() bool { return arrived.Load() == senders*each })
	eventually(t, "all are done with", func() bool { return done.Load() == senders*each/2 })
}

// failing is a frame that cannot be encoded.
type failing struct {
	tracked
	panics bool
}

func (f failing) Append([]byte) ([]byte, error) {
	if f.panics {
		panic("no bytes")
	}
	return nil, errNo
}

func TestFrameThatCannotBeEncodedIsDroppedAlone(t *testing.T) {
	a := open(t, "", "a", func(cfg *remote.TransportConfig, _ *handler) { cfg.MaxFrame = 1000 })
	b := open(t, "", "b")
	a.Dial([]remote.Member{b.member()})
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	var done atomic.Int64
	a.Send("b", failing{tracked{number(0), &done}, false})
	a.Send("b", failing{tracked{number(0), &done}, true})
	a.Send("b", tracked{make(plain, 1001), &done})
	a.Send("b", tracked{number(1), &done})
	b.await(t, "the frame behind", func() bool { return len(b.got) == 1 })
	eventually(t, "all are done with", func() bool { return done.Load() == 4 })
	if _, downs, _ := a.counts(); downs > 0 {
		t.Errorf("the connection broke %d times", downs)
	}
}

func TestVanishedPeerIsNoticed(t *testing.T) {
	t.Parallel()
	a, b := open(t, "", "a"), open(t, "", "b")
	network := newProxy(t, b.Address())
	a.Dial([]remote.Member{network.member("b")})
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	goesOn(t, a, b)
	began := time.Now()
	network.set(b.Address(), true)
	a.await(t, "down", func() bool { return len(a.downs) == 1 })
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("a peer that vanished was noticed after %v", took)
	}
	network.cut()
	network.set(b.Address(), false)
	a.await(t, "up again", func() bool { return len(a.ups) == 2 })
	goesOn(t, a, b)
}

// TestSlowReceiverIsNotGone: it reads nothing for longer than silence is allowed, and both ends stay connected.
func TestSlowReceiverIsNotGone(t *testing.T) {
	t.Parallel()
	const frames, size = 400, 64 << 10 // more than windows and buffers hold
	resume := make(chan struct{})
	a := open(t, "", "a")
	b := open(t, "", "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(_ remote.Hello, data []byte, done func()) error {
			<-resume
			h.change(func() { h.got = append(h.got, slices.Clone(data[:8])) })
			return nil
		}
	})
	a.Dial([]remote.Member{b.member()})
	a.await(t, "up", func() bool { return len(a.ups) == 1 })
	for i := range frames {
		if !a.Send("b", append(number(i), make(plain, size)...)) {
			t.Fatalf("frame %d was dropped", i)
		}
	}
	time.AfterFunc(8*time.Second, func() { close(resume) })
	<-resume
	b.await(t, "all frames", func() bool { return len(b.got) == frames })
	if _, downs, _ := a.counts(); downs > 0 {
		t.Error("a slow peer was taken for gone")
	}
}
