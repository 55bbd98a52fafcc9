package actors

import (
	"runtime"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// maxRunners is how many vnodes are in their turns at once, at most. If the app's functions block in as many
	// vnodes at once, the others wait for them.
	maxRunners = 64
	// throughput is how many messages a vnode takes before it lets others run.
	throughput = 300
	// yieldEvery is after how many turns a runner lets other goroutines run: some 100 microseconds.
	yieldEvery = 8
	// stalled is how long work may lie while no turn begins, before one more runner is woken for it.
	stalled = time.Millisecond
)

// runners run the turns of vnodes, in goroutines that are used again. The actor system's own way is a new goroutine each
// time that a vnode gets something to do, and the growth of its small stack costs as much as a hundred updates.
//
// No more are awake than there are processors: one more would only take turns with them. Beside the first another is woken
// when there is work for a while: runners that catch up with a source put processors to sleep, and to wake those takes
// longer than a batch. But none lies for long while a processor may be free, and as those who are awake may all be blocked in
// the app's functions, another is woken whenever none takes it.
type runners struct {
	wg    sync.WaitGroup
	procs int
	spare int // turns that may wait for each that is awake, before another is woken

	mu      sync.Mutex  // guards what follows
	work    chan func() // a vnode is in it at most once, so it is never full
	wake    *sync.Cond  // of the idle
	idle    int         // of those that were started
	started int
	taken   uint64 // of work, ever
	watch   *time.Timer
	watched bool   // watch runs
	seen    uint64 // taken, when watch was set
	ended   bool
}

var _ actor.Dispatcher = (*runners)(nil)

func newRunners(vnodes int) *runners {
	procs := runtime.GOMAXPROCS(0)
	r := &runners{work: make(chan func(), vnodes), procs: procs, spare: vnodes / (4 * procs)}
	r.wake = sync.NewCond(&r.mu)
	r.watch = time.AfterFunc(time.Hour, r.look)
	r.watch.Stop()
	return r
}

// Throughput implements [actor.Dispatcher].
func (r *runners) Throughput() int { return throughput }

// Schedule implements [actor.Dispatcher]. It does not wait for anything.
func (r *runners) Schedule(turns func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return // the vnode has stopped
	}
	r.work <- turns
	if awake := r.awake(); awake < r.procs && len(r.work) > r.spare*awake {
		r.rouse()
	} else {
		r.keepWatch()
	}
}

func (r *runners) awake() int { return r.started - r.idle }

// rouse wakes a runner, or starts one.
func (r *runners) rouse() {
	switch {
	case r.idle > 0:
		r.idle--
		r.wake.Signal()
	case r.started < maxRunners:
		r.started++
		r.wg.Go(r.run)
	}
}

func (r *runners) keepWatch() {
	if !r.watched {
		r.watched, r.seen = true, r.taken
		r.watch.Reset(stalled)
	}
}

// look wakes one more runner if work lies and a processor may be free, or none was taken since watch was set.
func (r *runners) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watched = false
	if len(r.work) == 0 || r.ended {
		return
	}
	if r.taken == r.seen || r.awake() < r.procs {
		r.rouse()
	}
	r.keepWatch()
}

// run gives its processor away between turns now and then, so that its time slice seldom ends inside a capture.
func (r *runners) run() {
	for n := 1; ; n++ {
		turns := r.next()
		if turns == nil {
			return
		}
		turns()
		if n%yieldEvery == 0 {
			runtime.Gosched()
		}
	}
}

// next waits for work; nil at the end.
func (r *runners) next() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.work) == 0 && !r.ended {
		r.idle++
		r.wake.Wait()
	}
	if r.ended {
		return nil
	}
	r.taken++
	return <-r.work
}

// end ends the runners and waits for them. No vnode is left.
func (r *runners) end() {
	r.mu.Lock()
	r.ended = true
	r.watch.Stop()
	r.wake.Broadcast()
	r.mu.Unlock()
	r.wg.Wait()
}
