package actors

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// maxOpening is how many vnodes capture at once when the open itself is the barrier: the others go on applying.
const maxOpening = 4

// checkpointer packs the captures of all local vnodes of an attempt into one segment and puts it, then tells the
// coordinator and the merger. Without sources it also opens the attempt, vnode by vnode.
type checkpointer struct {
	store    backend.Objects
	identity backend.Identity
	self     vnode.Member
	in       packing
	watch    *stopwatch

	attempt  vnode.Attempt // highest seen: lower ones are over
	captures map[vnode.ID]vnode.Capture
	opening  *vnode.OpenAttempt
	untold   []*actor.PID // vnodes to be told of opening
	said     *Captured    // newest, told again until its epoch is sealed or an attempt above it is known
	saidAt   time.Time
	taken    int   // captures when it last told that it is at work
	work     *work // on the segment of attempt; nil while that cannot be made
	packers  freeList[backend.Packer]
}

// work is a segment that is being made.
type work struct {
	attempt  vnode.Attempt
	captures map[vnode.ID]vnode.Capture
	ctx      context.Context // ends with the attempt
	cancel   context.CancelFunc
	goes     atomic.Bool // it is not there yet, and nothing has failed
}

// packing is what the checkpointer needs of its instance.
type packing interface {
	tell(message any)                 // to the coordinator
	merge(m merger.Partials)          // to the merger, if there is one
	background(func(context.Context)) // see host
	troubles() *troubles
	// ownedUnder lists the vnodes that capture under the assignment of a version; false if that is not in force.
	ownedUnder(version uint64) ([]vnode.ID, bool)
	pidsOf(vnodes []vnode.ID) []*actor.PID
	sealedEpoch() vnode.Epoch
}

// Messages to the checkpointer, beside *vnode.OpenAttempt and vnode.Capture.
type (
	packedUp struct{ captured *Captured }
	remind   struct{}
)

func (c *checkpointer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vnode.OpenAttempt:
		c.begin(ctx, m)
	case vnode.Capture:
		c.take(ctx, m)
	case packedUp:
		if m.captured.Attempt == c.attempt {
			c.said, c.saidAt = m.captured, time.Now()
		}
	case remind:
		c.remind()
	case *actor.Stopping:
		c.drop()
	}
}

// begin opens an attempt where the open is the barrier. It may be told again.
func (c *checkpointer) begin(ctx actor.Context, m *vnode.OpenAttempt) {
	owned, inForce := c.in.ownedUnder(m.Attempt.Version)
	if m.Attempt.Compare(c.attempt) <= 0 || !inForce {
		return
	}
	c.rise(m.Attempt)
	c.opening, c.untold = m, c.in.pidsOf(owned)
	for range maxOpening {
		c.open(ctx)
	}
}

// remind tells the coordinator again of the newest segment, if that may have been lost on its way, or that it is being made.
func (c *checkpointer) remind() {
	if n := len(c.captures); n > c.taken || c.work != nil && c.work.goes.Load() {
		c.taken = n
		c.in.tell(working{c.attempt})
	}
	if c.said == nil || c.said.Attempt != c.attempt || vnode.Epoch(c.attempt.Number) <= c.in.sealedEpoch() {
		c.said = nil
		return
	}
	if time.Since(c.saidAt) > repeatAfter {
		c.saidAt = time.Now()
		c.in.tell(*c.said)
	}
}

// rise lets go of every attempt below a.
func (c *checkpointer) rise(a vnode.Attempt) {
	if a.Compare(c.attempt) <= 0 {
		return
	}
	c.drop()
	c.attempt, c.captures, c.opening = a, map[vnode.ID]vnode.Capture{}, nil
	c.taken = 0
}

func (c *checkpointer) drop() {
	if c.work != nil {
		c.work.cancel()
		c.work = nil
	}
}

// open tells the next vnode of the attempt.
func (c *checkpointer) open(ctx actor.Context) {
	if c.opening != nil && len(c.untold) > 0 {
		ctx.Send(c.untold[0], c.opening)
		c.untold = c.untold[1:]
	}
}

func (c *checkpointer) take(ctx actor.Context, m vnode.Capture) {
	c.rise(m.Attempt)
	if m.Attempt != c.attempt || c.captures == nil {
		return
	}
	c.captures[m.Vnode] = m
	c.open(ctx)
	owned, inForce := c.in.ownedUnder(m.Attempt.Version)
	c.watch.captured(m.Attempt, len(c.captures))
	if !inForce || len(c.captures) < len(owned) {
		return
	}
	w := &work{attempt: m.Attempt, captures: c.captures}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.goes.Store(true)
	c.work, c.captures = w, nil // a later life's capture of this attempt comes too late
	root, self := ctx.ActorSystem().Root, ctx.Self()
	c.in.background(func(bg context.Context) {
		defer w.goes.Store(false)
		if captured := c.pack(bg, w); captured != nil {
			root.Send(self, packedUp{captured})
		}
	})
}

// pack makes the segment, puts it and tells of it. It gives up when the attempt is over, and returns nil then.
func (c *checkpointer) pack(bg context.Context, w *work) *Captured {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	a := w.attempt
	id, err := uuid.NewV7()
	if err != nil {
		c.fail(a, err)
		return nil
	}
	packer := c.packer()
	segment, err := packer.Encode(backend.CaptureMeta(c.identity, a, c.self, id), captures(w.captures))
	if err != nil {
		c.fail(a, err)
		return nil
	}
	again, err := c.put(ctx, w, segment)
	if err != nil {
		return nil
	}
	// A request that was given up on may still be reading the packer's bytes. One that the store repeated by itself cannot
	// win any more: its name is taken by the whole of them.
	if !again {
		c.packers.put(packer)
	}
	c.watch.written(a, segment.Ref.Size)
	c.in.troubles().fine(putSegment)
	m := Captured{Attempt: a, From: c.self, Segment: segment.Ref}
	parts := merger.Partials{Attempt: a}
	for v, x := range w.captures {
		m.Notes = append(m.Notes, CaptureNote{Vnode: v, Slice: x.Slice, Base: x.Base, Positions: x.Sources})
		parts.Parts = append(parts.Parts, merger.Partial{Vnode: v, Slice: x.Slice, Bytes: x.Partial})
	}
	c.in.merge(parts)
	c.in.tell(m)
	return &m
}

// packer returns one that nobody uses: the last attempt's, unless that is still being given up.
func (c *checkpointer) packer() *backend.Packer {
	if p := c.packers.take(); p != nil {
		return p
	}
	return new(backend.Packer)
}

const putSegment = "put a segment"

func (c *checkpointer) fail(a vnode.Attempt, err error) {
	c.in.troubles().failed(putSegment, err)
	c.in.tell(captureFailed{a})
}

// put creates the segment's object, again and again until it stands or the attempt is over. It reports whether more
// than one try was made.
func (c *checkpointer) put(ctx context.Context, w *work, s backend.Segment) (again bool, err error) {
	retry := newBackoff()
	for ; ; again = true {
		err := s.Put(ctx, c.store)
		if err == nil {
			return again, nil
		}
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		w.goes.Store(false)
		c.in.troubles().failed(putSegment, err)
		if err := retry.wait(ctx); err != nil {
			return true, err
		}
	}
}

func captures(all map[vnode.ID]vnode.Capture) []backend.Capture {
	out := make([]backend.Capture, 0, len(all))
	for v, c := range all {
		out = append(out, backend.Capture{
			Vnode: v, Slice: c.Slice, Base: c.Base, Entries: c.Entries, Positions: c.Producers, Delta: c.Delta, Partial: c.Partial,
		})
	}
	return out
}
