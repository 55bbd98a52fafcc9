package vnode_test

import (
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

type (
	add   struct{ key, n int64 }
	batch = vnode.Batch[add]
	sums  = vnode.App[int64, add, int64, int64]
)

// process is the instance of one vnode, and the owner of what it is sent.
type process struct {
	captures chan vnode.Capture
	panics   chan *vnode.PanicError
	finished atomic.Int64
}

var (
	_ vnode.Instance[int64, add, int64] = (*process)(nil)
	_ vnode.Owner[add]                  = (*process)(nil)
)

func (p *process) Restore(vnode.ID)                         {}
func (p *process) Answer(vnode.Reply)                       {}
func (p *process) Capture(c vnode.Capture)                  { p.captures <- c }
func (p *process) Took(vnode.ID, int)                       {}
func (p *process) Moves(vnode.Attempt, vnode.ID) bool       { return false }
func (p *process) Applied(vnode.ID, bool)                   {}
func (p *process) Rejected(vnode.Rejected[add])             {}
func (p *process) Panicked(_ vnode.ID, e *vnode.PanicError) { p.panics <- e }
func (p *process) Finish(*batch)                            { p.finished.Add(1) }

// world is a vnode that takes batches of one source.
type world struct {
	*process
	t    *testing.T
	root *actor.RootContext
	pid  *actor.PID
	view *vnode.View
	at   uint64
	n    uint64 // attempts
}

func newWorld(t *testing.T, fold func(*int64, int64, *int64)) *world {
	t.Helper()
	self := vnode.Member{Instance: "a", Incarnation: uuid.New()}
	w := &world{
		process: &process{captures: make(chan vnode.Capture, 8), panics: make(chan *vnode.PanicError, 8)}, t: t,
		view: &vnode.View{
			Seq: 1, Term: 1, Sources: []string{"s"}, Tips: make([]vnode.SliceID, 1),
			Assignment: vnode.Assignment{Version: 1, Members: []vnode.Member{self}, Owners: make([]int, 1)},
		},
	}
	app := &sums{
		Keys: vnode.NewKeyOps[int64](), KeyOf: func(e add) int64 { return e.key }, Fold: fold, MaxPartial: 100,
		Update: func(_ *vnode.Turn, s *int64, e add) error { *s += e.n; return nil },
		State:  vnode.CBOR[int64](), Result: vnode.CBOR[int64](),
	}
	system := actor.NewActorSystem()
	t.Cleanup(system.Shutdown)
	w.root = system.Root
	poison := &vnode.Poison{Tries: 3}
	w.pid = w.root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return vnode.NewActor[int64, add, int64, int64](0, app, w.process, poison)
	}))
	w.root.Send(w.pid, &vnode.Restored[int64, int64]{
		Slice: vnode.NewSlice(app.Keys, app.State), Positions: vnode.Positions{}, View: w.view,
		Life: vnode.Life{Incarnation: self.Incarnation, N: 1}, Self: self,
	})
	return w
}

// send sends events, with a barrier behind them.
func (w *world) send(events ...add) {
	w.n++
	b := &batch{Owner: w.process, Header: vnode.Header{
		Origin: "s", Version: 1, From: w.at, To: w.at + uint64(len(events)), Barrier: vnode.Attempt{Term: 1, Number: w.n, Version: 1},
	}}
	b.Base = w.at
	for _, e := range events {
		w.at++
		b.Append(e, vnode.NewKeyOps[int64]().Hash(e.key), w.at)
	}
	w.root.Send(w.pid, b)
}

// stop stops the vnode and waits until it has.
func (w *world) stop() {
	w.t.Helper()
	if err := w.root.StopFuture(w.pid).Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// A batch is given back whatever happens while it is in hand: what its source may have in flight counts it until then
// (I8).
func TestBatchIsGivenBackWhenItsCapturePanics(t *testing.T) {
	w := newWorld(t, func(*int64, int64, *int64) { panic("fold") })
	w.send(add{key: 1, n: 1})
	if p := <-w.panics; p.Doing != "fold" || p.Origin != "" {
		t.Errorf("got a panic of %q at an event of %q, want one of the fold and of no event", p.Doing, p.Origin)
	}
	w.stop()
	if got := w.finished.Load(); got != 1 {
		t.Errorf("the batch was given back %d times, want once", got)
	}
}

// A small capture behind a large one takes little memory.
func TestSmallCaptureBehindALargeOneIsSmall(t *testing.T) {
	w := newWorld(t, nil)
	w.send(make([]add, 1)...)
	<-w.captures
	many := make([]add, 10_000)
	for i := range many {
		many[i] = add{key: int64(i), n: 1}
	}
	w.send(many...)
	large := <-w.captures
	w.view = &vnode.View{
		Seq: 2, Term: 1, Epoch: 2, Sources: w.view.Sources, Assignment: w.view.Assignment, Tips: []vnode.SliceID{large.Slice},
	}
	w.root.Send(w.pid, w.view)
	w.send(add{key: 1, n: 1})
	if c := <-w.captures; c.Entries != 1 || cap(c.Delta) > 1000 {
		t.Errorf("a capture of %d entries has room for %d bytes, behind one of %d bytes", c.Entries, cap(c.Delta), len(large.Delta))
	}
	w.stop()
}
