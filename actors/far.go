package actors

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// Actors of other instances are sent messages by their PID, as local ones are: the actor system asks a resolver for
// whoever stands behind an address that is not its own. An address here is an instance id, never a host, so that it has
// no aliases. The transport carries the messages; wire.go says in which form.

// far stands for the actors of another instance.
type far[K vnode.Key, E, S, R any] struct {
	in   *Instance[K, E, S, R]
	peer string // its id
}

var _ actor.Process = (*far[string, int, int, int])(nil)

// resolve is called by the actor system once for each PID of another instance.
func (in *Instance[K, E, S, R]) resolve(pid *actor.PID) (actor.Process, bool) {
	return &far[K, E, S, R]{in: in, peer: pid.Address}, true
}

// farPID names the actors of another instance. What kind of message it is says for which of them it is.
func farPID(instance string) *actor.PID { return actor.NewPID(instance, "sheaf") }

// SendSystemMessage drops it: life and death of an actor are its own instance's.
func (f *far[K, E, S, R]) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing, for the same reason.
func (f *far[K, E, S, R]) Stop(*actor.PID) {}

// SendUserMessage puts a message into the transport's queue. What does not fit there is lost: whoever sent it sends it
// again, as after a broken connection.
func (f *far[K, E, S, R]) SendUserMessage(_ *actor.PID, message any) {
	frame, err := f.frame(message)
	if err != nil {
		f.in.cfg.Log.Error("a message cannot be sent", zap.String("to", f.peer), zap.Error(err))
		return
	}
	if f.in.transport.Send(f.peer, frame) {
		return
	}
	if tracked, ok := frame.(remote.Tracked); ok {
		f.in.spawn(tracked.Done) // not here: its owner may hold the lock that this takes
	}
}

// frame turns a message into what the transport takes.
func (f *far[K, E, S, R]) frame(message any) (remote.Frame, error) {
	modes := f.in.modes
	switch m := message.(type) {
	case *vnode.Batch[E]:
		return f.in.frameOf(m), nil
	case vnode.Reply:
		return replyFrame{m}, nil
	case *backend.Record:
		return plainFrame{size: 64 << 10, form: func(b []byte) ([]byte, error) {
			return f.in.records.Append(append(b, wireRecord), m)
		}}, nil
	case Captured:
		return plainFrame{size: 64 * len(m.Notes), form: func(b []byte) ([]byte, error) { return modes.appendCaptured(b, &m) }}, nil
	case merger.Partials:
		size := 0
		for i := range m.Parts {
			size += 64 + len(m.Parts[i].Bytes)
		}
		return plainFrame{size: size, form: func(b []byte) ([]byte, error) { return appendPartials(b, m), nil }}, nil
	}
	c, err := controlOf(message)
	if err != nil {
		return nil, err
	}
	frame := plainFrame{size: c.size(), form: func(b []byte) ([]byte, error) { return modes.appendControl(b, c) }}
	if c.Found != nil {
		return keptFrame{frame}, nil
	}
	return frame, nil
}

// frameOf is the frame of a batch.
func (in *Instance[K, E, S, R]) frameOf(b *vnode.Batch[E]) batchFrame[E] {
	return batchFrame[E]{
		batch: b, events: in.cfg.Events, limit: in.cfg.Cluster.Transport.MaxFrame, shorten: in.shortened,
		reject: func(b *vnode.Batch[E], i int, err error) {
			in.rejected(vnode.Rejected[E]{Vnode: b.Vnode, Origin: b.Origin, Position: b.Position(i), Event: b.Items[i].Event, Err: err})
		},
	}
}

// shortened tells the origin of a batch that its vnode will stand at a position before the batch's end, as the vnode
// itself would at a gap.
func (in *Instance[K, E, S, R]) shortened(b *vnode.Batch[E], to uint64) {
	in.answerHere(vnode.Reply{
		Kind: vnode.Gap, Vnode: b.Vnode, Origin: b.Origin, Generation: b.Generation, Standing: to, Version: b.Version, Round: b.Round,
	})
}

// controlOf wraps the messages that have no form of their own.
func controlOf(message any) (*control, error) {
	switch m := message.(type) {
	case want:
		return &control{Wish: wishWant}, nil
	case demand:
		return &control{Wish: wishDemand}, nil
	case greetMe:
		return &control{Wish: wishGreet}, nil
	case alive:
		return &control{Wish: wishAlive}, nil
	case CutNamed:
		return &control{Cut: &m}, nil
	case captureFailed:
		return &control{Failed: &m.attempt}, nil
	case working:
		return &control{Works: &m.attempt}, nil
	case *backend.Fold:
		return &control{Fold: m}, nil
	case Request:
		return &control{Ask: &m}, nil
	case Answer:
		return &control{Answer: packAnswer(m)}, nil
	case Claimed:
		return &control{Claim: &m}, nil
	case beat:
		return &control{Beat: &m}, nil
	case farQuery:
		return &control{Query: &m}, nil
	case farFound:
		return &control{Found: &m}, nil
	}
	return nil, fmt.Errorf("a %T has no form between instances", message)
}

// size is what a control message counts for, in bytes: an estimate.
func (c *control) size() int {
	const most = 256
	switch {
	case c.Found != nil:
		return most + len(c.Found.Data)
	case c.Fold != nil:
		return most + 256*len(c.Fold.Runs)
	}
	return most
}

// plainFrame is a message that may be lost: it is repeated by whoever sent it.
type plainFrame struct {
	size int
	form func(b []byte) ([]byte, error)
}

// Size implements [remote.Frame].
func (f plainFrame) Size() int { return max(f.size, 64) }

// Append implements [remote.Frame].
func (f plainFrame) Append(b []byte) ([]byte, error) { return f.form(b) }

// keptFrame is a part of what was asked for, of which none may be missing.
type keptFrame struct{ plainFrame }

var _ remote.Tracked = keptFrame{}

// Done implements [remote.Tracked].
func (keptFrame) Done() {}

// replyFrame is a vnode's answer. It is tracked: a source whose answers are lost stands still for a while.
type replyFrame struct{ reply vnode.Reply }

var _ remote.Tracked = replyFrame{}

// Size implements [remote.Frame].
func (f replyFrame) Size() int { return 128 + len(f.reply.Origin) }

// Append implements [remote.Frame].
func (f replyFrame) Append(b []byte) ([]byte, error) { return appendReply(b, &f.reply), nil }

// Done implements [remote.Tracked].
func (replyFrame) Done() {}

// received hands a frame of another instance to whom it is for.
func (in *Instance[K, E, S, R]) received(from remote.Hello, data []byte, done func()) error {
	if len(data) == 0 {
		return errWire
	}
	kind, body := data[0], data[1:]
	if from.Client && kind != wireBatch && kind != wireControl {
		return fmt.Errorf("%w: kind %d from a client", errWire, kind)
	}
	if kind == wireBatch {
		return in.landBatch(from, body, done)
	}
	if done != nil {
		defer done()
	}
	if k := in.newest.Load(); kind != wireReply && k != nil && memberOf(k.rec, from.Member.Instance) == from.Member {
		in.livesAt(from.Member)
	}
	switch kind {
	case wireReply:
		reply, err := decodeReply(body)
		if err == nil && int(reply.Vnode) >= in.capacity() {
			err = errWire
		}
		if err == nil {
			in.answerHere(reply)
		}
		return err
	case wireRecord:
		rec, err := in.records.Decode(body)
		if err == nil {
			in.system.Root.Send(in.follower, rec)
		}
		return err
	case wireCaptured:
		m, err := in.modes.decodeCaptured(body)
		if err == nil {
			m.From = from.Member
			in.tellReign(*m)
		}
		return err
	case wirePartials:
		p, err := decodePartials(body)
		if err == nil {
			in.mergeHere(p)
		}
		return err
	case wireControl:
		var c control
		if err := in.modes.dec.Unmarshal(body, &c); err != nil {
			return errors.Join(errWire, err)
		}
		if from.Client && c != (control{Wish: c.Wish, Ask: c.Ask, Query: c.Query}) {
			return fmt.Errorf("%w: a client has no say in this", errWire)
		}
		in.controlled(from, &c)
		return nil
	}
	return fmt.Errorf("%w: kind %d", errWire, kind)
}

// controlled hands a control message on.
func (in *Instance[K, E, S, R]) controlled(from remote.Hello, c *control) {
	switch {
	case c.Wish == wishWant:
		in.tellReign(want{})
	case c.Wish == wishDemand:
		in.tellReign(demand{})
	case c.Wish == wishGreet:
		in.inform(from.Member.Instance)
	case c.Cut != nil:
		in.tellReign(*c.Cut)
	case c.Failed != nil:
		in.tellReign(captureFailed{*c.Failed})
	case c.Works != nil:
		in.tellReign(working{*c.Works})
	case c.Fold != nil:
		in.tellReign(c.Fold)
	case c.Ask != nil:
		c.Ask.From = from.Member
		in.tellReign(farAsk{from: from.Member, request: *c.Ask})
	case c.Claim != nil:
		c.Claim.From = from.Member
		in.tellReign(*c.Claim)
	case c.Answer != nil:
		in.asks.answer(c.Answer.unpack())
	case c.Beat != nil:
		in.correct(from.Member)
		in.system.Root.Send(in.follower, *c.Beat)
	case c.Query != nil:
		in.askedBy(from.Member.Instance, *c.Query)
	case c.Found != nil:
		in.finds.found(*c.Found)
	}
}

// landBatch delivers a batch that came from another instance to its vnode. One that does not live here is finished with
// at once: it belongs to another instance, whose vnode says where it stands.
func (in *Instance[K, E, S, R]) landBatch(from remote.Hello, body []byte, done func()) error {
	l := in.landings.take()
	if l == nil {
		l = &landing[E]{free: &in.landings}
		l.batch.Owner = l
	}
	if l.done = done; done == nil {
		l.done = func() {}
	}
	reject := func(position uint64, err error) {
		in.rejected(vnode.Rejected[E]{Vnode: l.batch.Vnode, Origin: l.batch.Origin, Position: position, Err: err})
	}
	if err := decodeBatch(body, in.cfg.Events, in.capacity(), &l.batch, reject); err != nil {
		return err
	}
	in.seen.note(&l.batch.Header, from.Member.Instance)
	in.system.Root.Send(in.vnodes[l.batch.Vnode], &l.batch)
	return nil
}

// landing is a batch of another instance while it is here.
type landing[E any] struct {
	batch vnode.Batch[E]
	done  func()
	free  *freeList[landing[E]]
}

// Finish tells its sender, and lets the batch be used again.
func (l *landing[E]) Finish(b *vnode.Batch[E]) {
	done := l.done
	b.Reset()
	l.done = nil
	l.free.put(l)
	done()
}
