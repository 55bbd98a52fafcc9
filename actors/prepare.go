package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// loads are the slices of vnodes that are about to move here: loaded, and kept up with what is sealed since, so that
// only the last delta is left to be read when a record makes them this instance's own.
type loads[K vnode.Key, S any] struct {
	mu     sync.Mutex // guards slices, and is held while they are brought up to date
	slices map[vnode.ID]*load[K, S]

	wanted atomic.Int32                       // who waits to take some
	stop   atomic.Pointer[context.CancelFunc] // of what brings them up to date now
}

type load[K vnode.Key, S any] struct {
	slice *vnode.Slice[K, S]
	had   backend.Loaded
}

// take takes what is loaded of vnodes.
func (l *loads[K, S]) take(vnodes []vnode.ID) (map[vnode.ID]*vnode.Slice[K, S], map[vnode.ID]backend.Loaded) {
	l.wanted.Add(1)
	defer l.wanted.Add(-1)
	if stop := l.stop.Load(); stop != nil {
		(*stop)() // what vnodes without an owner need goes before what is to move some time
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slices, had := map[vnode.ID]*vnode.Slice[K, S]{}, map[vnode.ID]backend.Loaded{}
	for _, v := range vnodes {
		if x := l.slices[v]; x != nil {
			slices[v], had[v] = x.slice, x.had
			delete(l.slices, v)
		}
	}
	return slices, had
}

// load applies what was read of a vnode: on top of slice, or as a whole one.
func (in *Instance[K, E, S, R]) load(slice *vnode.Slice[K, S], r backend.RestoredSlice) (_ *vnode.Slice[K, S], err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("vnode %d: the state codec panicked: %v", r.Vnode, x)
		}
	}()
	if !r.Continues || slice == nil {
		slice = vnode.NewSlice(in.cfg.App.Keys, in.cfg.App.State)
	}
	for _, d := range r.Deltas {
		if err := slice.Load(d); err != nil {
			return nil, fmt.Errorf("vnode %d: %w", r.Vnode, err)
		}
	}
	return slice, nil
}

// prepareLoop loads what is to move here, and keeps up with what is sealed until it does.
func (in *Instance[K, E, S, R]) prepareLoop() {
	retry := newBackoff()
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-in.planAt:
		}
		plan, comes := in.coming()
		if plan == nil {
			select {
			case <-in.ctx.Done():
				return
			case <-in.planAt:
			case <-time.After(loadsKept):
			}
			plan, comes = in.coming()
		}
		to, err := in.prepare(comes)
		switch {
		case errors.Is(err, context.Canceled): // others were in haste, and say when that is over
		case err != nil:
			in.problems.failed(doPrepare, err)
			if retry.wait(in.ctx) != nil {
				return
			}
			poke(in.planAt)
		case plan != nil && in.newest.Load().rec.Epoch > to+1:
			poke(in.planAt) // what was sealed meanwhile is more than the move should wait for
		case plan != nil:
			in.problems.fine(doPrepare)
			retry.tries = 0
			if in.prepared.Swap(&plan.ID); len(comes) > 0 {
				in.lookNow()
			}
		}
	}
}

// loadsKept is how long what is loaded stays when nothing is to move any more: the next coordinator may be about to plan the
// same again.
const loadsKept = 2 * time.Second

const doPrepare = "load vnodes that are to move here"

// coming lists the vnodes that a plan moves here.
func (in *Instance[K, E, S, R]) coming() (*Plan, []vnode.ID) {
	t := in.plan.Load()
	if t == nil || t.plan == nil {
		return nil, nil
	}
	var vnodes []vnode.ID
	for _, m := range t.plan.Moves {
		if m.To == in.self.Instance {
			vnodes = slices.Collect(m.Vnodes.All)
		}
	}
	return t.plan, vnodes
}

// keep drops what is loaded of vnodes that neither come nor are owned, and returns what is to be brought up to date of those
// that come. What is owned is about to be taken: it is left as it is, and not loaded again.
func (l *loads[K, S]) keep(comes []vnode.ID, owns func(vnode.ID) bool) map[vnode.ID]backend.Loaded {
	if l.slices == nil {
		l.slices = map[vnode.ID]*load[K, S]{}
	}
	had := map[vnode.ID]backend.Loaded{}
	for _, v := range comes {
		if !owns(v) {
			had[v] = backend.Loaded{}
		}
	}
	for v, x := range l.slices {
		switch _, wanted := had[v]; {
		case wanted:
			had[v] = x.had
		case !owns(v):
			delete(l.slices, v)
		}
	}
	return had
}

// prepare brings the loaded slices of vnodes to the epoch of the newest record, which it returns, and drops all others.
func (in *Instance[K, E, S, R]) prepare(vnodes []vnode.ID) (vnode.Epoch, error) {
	l := &in.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	k := in.newest.Load() // with the lock: what it makes this instance's own was not taken before
	ctx, cancel := context.WithCancel(in.ctx)
	defer cancel()
	l.stop.Store(&cancel)
	defer l.stop.Store(nil)
	if l.wanted.Load() > 0 {
		return 0, context.Canceled
	}
	had := l.keep(vnodes, k.owns)
	if len(had) == 0 {
		return k.rec.Epoch, nil
	}
	var mu sync.Mutex // guards l.slices: slices come from several goroutines
	return k.rec.Epoch, backend.Restorer{Objects: in.cfg.Store, Record: k.rec}.Continue(ctx, had, func(r backend.RestoredSlice) error {
		mu.Lock()
		x := l.slices[r.Vnode]
		delete(l.slices, r.Vnode) // if this fails, it is loaded anew
		mu.Unlock()
		if x == nil {
			x = &load[K, S]{}
		}
		slice, err := in.load(x.slice, r)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		l.slices[r.Vnode] = &load[K, S]{slice: slice, had: r.Loaded}
		return nil
	})
}
