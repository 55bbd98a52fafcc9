package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// farQuery asks the instance that owns a vnode for the state of a key, or of all keys.
type farQuery struct {
	Ticket uint64
	Vnode  vnode.ID
	Key    []byte
	All    bool
}

// farFound answers a farQuery, in parts if need be.
type farFound struct {
	Ticket uint64
	Lost   bool // the vnode has no life here now
	Found  bool
	Data   []byte
	Part   int // from 0
	Last   bool
	Err    string

	// Who answers, and what it goes by.
	Version     uint64
	Incarnation uuid.UUID
	Epoch       vnode.Epoch
}

// partSize is how many bytes of a scan are in one message, about.
const partSize = 256 << 10

// finds are the questions to other instances' vnodes that wait for their answers.
type finds struct {
	tickets atomic.Uint64
	mu      sync.Mutex // guards open
	open    map[uint64]*inbox[farFound]
}

func (f *finds) put() (uint64, *inbox[farFound]) {
	ticket, answers := f.tickets.Add(1), newInbox[farFound]()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[uint64]*inbox[farFound]{}
	}
	f.open[ticket] = answers
	return ticket, answers
}

func (f *finds) drop(ticket uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, ticket)
}

// found hands an answer over; one that nobody waits for is dropped.
func (f *finds) found(x farFound) {
	f.mu.Lock()
	answers := f.open[x.Ticket]
	f.mu.Unlock()
	if answers != nil {
		answers.put(x)
	}
}

// getFar asks the owner of a vnode for the state of a key.
func (in *Instance[K, E, S, R]) getFar(ctx context.Context, v vnode.ID, key []byte) (encoded []byte, found bool, err error) {
	err = in.askFar(ctx, farQuery{Vnode: v, Key: key}, func(x farFound) { encoded, found = x.Data, x.Found })
	return encoded, found, err
}

// scanFar asks the owner of a vnode for the states of all of its keys, as entries.
func (in *Instance[K, E, S, R]) scanFar(ctx context.Context, v vnode.ID) (delta []byte, err error) {
	err = in.askFar(ctx, farQuery{Vnode: v, All: true}, func(x farFound) {
		if x.Part == 0 {
			delta = nil
		}
		delta = append(delta, x.Data...)
	})
	return delta, err
}

type here struct{}

func (here) Error() string { return "the vnode has come to this instance" }

var errHere error = here{}

// findTime is how long a question waits for its next answer before it is asked again; that doubles with each try, up to
// mostFindTime.
const (
	findTime     = time.Second
	mostFindTime = time.Minute
)

// askFar asks the owner of a vnode, whoever that is by then, until it has answered in full, from an assignment that is
// not older than the one known here: a former owner may answer late.
func (in *Instance[K, E, S, R]) askFar(ctx context.Context, q farQuery, take func(farFound)) error {
	retry := newBackoff()
	for patience := findTime; ; patience = min(2*patience, mostFindTime) {
		done, err := in.askFarOnce(ctx, q, patience, take)
		if done || err != nil {
			return err
		}
		if in.newest.Load().owns(q.Vnode) {
			return errHere
		}
		if err := retry.wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
}

func (in *Instance[K, E, S, R]) askFarOnce(ctx context.Context, q farQuery, patience time.Duration, take func(farFound)) (done bool, err error) {
	pid := in.route().pids[q.Vnode]
	if pid == nil || pid.Address == in.self.Instance {
		return false, nil // of nobody, or it has come here
	}
	ticket, answers := in.finds.put()
	defer in.finds.drop(ticket)
	q.Ticket = ticket
	in.system.Root.Send(pid, q)
	next := 0
	for {
		select {
		case <-answers.wake:
		case <-time.After(patience):
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-in.ctx.Done():
			return false, in.Err()
		}
		for _, x := range answers.take(nil) {
			switch {
			case x.Lost || x.Part != next || x.Version < in.newest.Load().view.Assignment.Version:
				return false, nil
			case x.Err != "":
				return true, errors.New(x.Err)
			}
			next++
			if take(x); x.Last {
				return true, nil
			}
		}
	}
}

// askedBy answers another instance's question, in the vnode's turn.
func (in *Instance[K, E, S, R]) askedBy(peer string, q farQuery) {
	if int(q.Vnode) >= len(in.vnodes) {
		return
	}
	to, root := farPID(peer), in.system.Root
	root.Send(in.vnodes[q.Vnode], &vnode.Query[K, S]{
		Run: func(s *vnode.Slice[K, S], w *vnode.View) {
			x := farFound{Ticket: q.Ticket, Version: w.Assignment.Version, Incarnation: in.self.Incarnation, Epoch: w.Epoch, Found: true, Last: true}
			err := guarded(func() (err error) {
				if q.All {
					x.Data, err = in.copyOf(s)
					return err
				}
				k, err := in.cfg.App.Keys.Decode(q.Key)
				if err == nil {
					x.Data, x.Found, err = in.encodeState(s, in.cfg.App.Keys.Hash(k), k)
				}
				return err
			})
			if err != nil {
				x.Err, x.Data = err.Error(), nil
			}
			for ; len(x.Data) > partSize; x.Part++ {
				part := x
				part.Data, part.Last = x.Data[:partSize], false
				root.Send(to, part)
				x.Data = x.Data[partSize:]
			}
			root.Send(to, x)
		},
		Lost: func() { root.Send(to, farFound{Ticket: q.Ticket, Lost: true}) },
	})
}
