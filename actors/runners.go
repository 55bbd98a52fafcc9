package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// maxRunners is how many vnodes are in their turns at once: many more than processors, in case some wait. If the
	// app's functions block in as many vnodes at once, the others wait for them.
	maxRunners = 64
	// throughput is how many messages a vnode takes before it lets others run.
	throughput = 300
)

// runners run the turns of vnodes, in goroutines that are used again. The actor system's own way is a new goroutine each
// time that a vnode gets something to do, and the growth of its small stack costs as much as a hundred updates.
type runners struct {
	wg sync.WaitGroup

	mu      sync.Mutex  // guards what follows
	work    chan func() // a vnode is in it at most once, so it is never full
	wake    *sync.Cond  // of the idle
	idle    int         // of those that were started
	started int
	ended   bool
}

var _ actor.Dispatcher = (*runners)(nil)

func newRunners(vnodes int) *runners {
	r := &runners{work: make(chan func(), vnodes)}
	r.wake = sync.NewCond(&r.mu)
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
	switch {
	case r.idle > 0:
		r.idle--
		r.wake.Signal()
	case r.started < maxRunners:
		r.started++
		r.wg.Go(r.run)
	}
}

func (r *runners) run() {
	for {
		turns := r.next()
		if turns == nil {
			return
		}
		turns()
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
	return <-r.work
}

// end ends the runners and waits for them. No vnode is left.
func (r *runners) end() {
	r.mu.Lock()
	r.ended = true
	r.wake.Broadcast()
	r.mu.Unlock()
	r.wg.Wait()
}
