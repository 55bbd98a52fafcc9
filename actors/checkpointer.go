package actors

import (
	"context"

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
	vnodes   []*actor.PID
	watch    *stopwatch

	attempt  vnode.Attempt // highest seen: lower ones are over
	captures map[vnode.ID]vnode.Capture
	opening  *vnode.OpenAttempt
	next     int // the next vnode to be told of opening
	cancel   context.CancelFunc
	packers  freeList[backend.Packer]
}

// packing is what the checkpointer needs of its instance.
type packing interface {
	tell(message any)                 // to the coordinator
	merge(m merger.Partials)          // to the merger, if there is one
	background(func(context.Context)) // see host
	troubles() *troubles
}

func (c *checkpointer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vnode.OpenAttempt:
		c.rise(m.Attempt)
		c.opening, c.next = m, 0
		for range maxOpening {
			c.open(ctx)
		}
	case vnode.Capture:
		c.take(ctx, m)
	case *actor.Stopping:
		c.drop()
	}
}

// rise lets go of every attempt below a.
func (c *checkpointer) rise(a vnode.Attempt) {
	if a.Compare(c.attempt) <= 0 {
		return
	}
	c.drop()
	c.attempt, c.captures, c.opening = a, make(map[vnode.ID]vnode.Capture, len(c.vnodes)), nil
}

func (c *checkpointer) drop() {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
}

// open tells the next vnode of the attempt.
func (c *checkpointer) open(ctx actor.Context) {
	if c.opening != nil && c.next < len(c.vnodes) {
		ctx.Send(c.vnodes[c.next], c.opening)
		c.next++
	}
}

func (c *checkpointer) take(ctx actor.Context, m vnode.Capture) {
	c.rise(m.Attempt)
	if m.Attempt != c.attempt || c.captures == nil {
		return
	}
	c.captures[m.Vnode] = m
	c.watch.captured(m.Attempt, len(c.captures))
	c.open(ctx)
	if len(c.captures) < len(c.vnodes) {
		return
	}
	all := c.captures
	c.captures = nil // a later life's capture of this attempt comes too late
	var put context.Context
	put, c.cancel = context.WithCancel(context.Background())
	c.in.background(func(bg context.Context) {
		c.pack(bg, put, m.Attempt, all)
	})
}

// pack makes the segment, puts it and tells of it. It gives up when the attempt is over.
func (c *checkpointer) pack(bg, put context.Context, a vnode.Attempt, all map[vnode.ID]vnode.Capture) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	defer context.AfterFunc(put, cancel)()
	id, err := uuid.NewV7()
	if err != nil {
		c.fail(a, err)
		return
	}
	packer := c.packer()
	segment, err := packer.Encode(backend.CaptureMeta(c.identity, a, c.self, id), captures(all))
	if err != nil {
		c.fail(a, err)
		return
	}
	again, err := c.put(ctx, segment)
	if err != nil {
		return
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
	for v, x := range all {
		m.Notes = append(m.Notes, CaptureNote{Vnode: v, Slice: x.Slice, Base: x.Base, Positions: x.Sources})
		parts.Parts = append(parts.Parts, merger.Partial{Vnode: v, Slice: x.Slice, Bytes: x.Partial})
	}
	c.in.merge(parts)
	c.in.tell(m)
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
func (c *checkpointer) put(ctx context.Context, s backend.Segment) (again bool, err error) {
	retry := newBackoff()
	for ; ; again = true {
		err := s.Put(ctx, c.store)
		if err == nil {
			return again, nil
		}
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
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
