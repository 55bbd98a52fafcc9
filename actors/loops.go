package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Restore queues a vnode to be given its newest sealed slice, if it is this instance's. If it becomes that later, the
// record that says so queues it.
func (in *Instance[K, E, S, R]) Restore(v vnode.ID) {
	if !in.greeted[v].Swap(true) {
		return // it has just been spawned: the record that makes it this instance's queues it
	}
	in.living[v].Store(false)
	if in.newest.Load().owns(v) {
		in.restores.put(v)
	}
}

func runVnode(v vnode.ID) string { return "run vnode " + strconv.Itoa(int(v)) }

// restoreLoop restores vnodes, as many at once as wait, from the newest record, once that names this incarnation. It
// begins with all that it owns: each segment is opened once for them.
func (in *Instance[K, E, S, R]) restoreLoop() {
	retry := newBackoff()
	var used, left []vnode.ID
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-in.restores.wake:
		}
		k := in.newest.Load()
		if !k.ours {
			continue
		}
		used = in.restores.take(used)
		left = onlyOwned(k, append(left, used...))
		if in.serve(); !in.started.Load() && in.restored()+len(left) < len(k.owned) {
			continue // they come one by one
		}
		for left = onlyOwned(in.newest.Load(), left); len(left) > 0; left = onlyOwned(in.newest.Load(), left) {
			var err error
			if left, err = in.restore(left); err == nil {
				in.problems.fine(doRestore)
				retry.tries = 0
				continue
			}
			if !in.started.Load() && in.damaged(err) {
				in.stop(err)
				return
			}
			in.problems.failed(doRestore, err)
			if retry.wait(in.ctx) != nil {
				return
			}
		}
	}
}

const doRestore = "restore vnodes"

// onlyOwned drops the vnodes that belong to another instance by now, and repetitions.
func onlyOwned(k *known, vnodes []vnode.ID) []vnode.ID {
	slices.Sort(vnodes)
	vnodes = slices.Compact(vnodes)
	return slices.DeleteFunc(vnodes, func(v vnode.ID) bool { return !k.owns(v) })
}

// damaged reports whether an error of a restore will be the same whenever it is tried (I10). What is missing may have
// been collected since; then a newer record says where the slices are now.
func (in *Instance[K, E, S, R]) damaged(err error) bool {
	var missing *backend.MissingError
	if errors.As(err, &missing) {
		return errors.As(in.ledger.Absent(in.ctx, missing.Object, in.newest.Load().rec), &missing)
	}
	var corrupt *backend.CorruptError
	var newer *backend.FormatError
	return errors.As(err, &corrupt) || errors.As(err, &newer)
}

// restore gives vnodes their slices and returns those that it could not.
func (in *Instance[K, E, S, R]) restore(vnodes []vnode.ID) (left []vnode.ID, err error) {
	k, began, asked := in.newest.Load(), time.Now(), in.cfg.Requests().Total().Asked
	var mu sync.Mutex // guards given and size: slices come from several goroutines
	var given vnode.Set
	var size uint64
	loaded, had := in.loads.take(vnodes)
	defer poke(in.planAt) // which may have been stopped for this
	defer poke(in.sealedAt)
	for _, v := range vnodes {
		if _, some := had[v]; !some {
			had[v] = backend.Loaded{}
		}
	}
	err = backend.Restorer{Objects: in.cfg.Store, Record: k.rec}.Continue(in.ctx, had, func(r backend.RestoredSlice) error {
		if err := in.give(k, r, loaded[r.Vnode]); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		given.Add(r.Vnode)
		size += uint64(r.Size())
		return nil
	})
	if n := given.Len(); n > 0 {
		in.cfg.Timeline.Note(began, StepRestore, "%d slices of epoch %d, %d bytes, %d requests meanwhile",
			n, k.rec.Epoch, size, in.cfg.Requests().Total().Asked-asked)
	}
	in.serve()
	for _, v := range vnodes {
		if !given.Has(v) {
			left = append(left, v)
		}
	}
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("vnode %d was not restored", left[0])
	}
	return left, err
}

// awaitsSlices reports whether a vnode that is owned has not got its slice.
func (in *Instance[K, E, S, R]) awaitsSlices() bool {
	return slices.ContainsFunc(in.newest.Load().owned, func(v vnode.ID) bool { return !in.living[v].Load() })
}

// serve says so when every vnode that is owned has its slice for the first time.
func (in *Instance[K, E, S, R]) serve() {
	k := in.newest.Load()
	if in.started.Load() || !k.view.Assignment.Complete() || in.restored() < len(k.owned) {
		return
	}
	in.cfg.Timeline.Note(in.began, StepReady, "%d vnodes have their slices", len(k.owned))
	in.started.Store(true)
	in.tellNews()
}

// give builds a vnode's slice and begins a life of it.
func (in *Instance[K, E, S, R]) give(k *known, r backend.RestoredSlice, loaded *vnode.Slice[K, S]) error {
	slice, err := in.load(loaded, r)
	if err != nil {
		return err
	}
	positions := r.Positions.Clone()
	for source, at := range k.view.Cuts {
		positions[source] = vnode.Position{At: at}
	}
	in.system.Root.Send(in.vnodes[r.Vnode], &vnode.Restored[K, S]{
		Slice: slice, Tip: r.Slice, Positions: positions, View: k.view, Self: in.self,
		Life: vnode.Life{Incarnation: in.self.Incarnation, N: in.lives.Add(1)},
	})
	in.meters.slices.Add(1)
	in.meters.sliceBytes.Add(uint64(r.Size()))
	in.living[r.Vnode].Store(true)
	in.tellNews()
	return nil
}

// compactLoop folds what every seal leaves to be folded, beside the actors. Vnodes that wait for their slices go first.
func (in *Instance[K, E, S, R]) compactLoop() {
	ahead, retry, packer := uint64(2), newBackoff(), new(backend.Packer)
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-in.sealedAt:
		}
		if in.awaitsSlices() {
			continue // whoever gives them pokes
		}
		folds, late, err := in.compact(packer, ahead)
		if late {
			ahead = min(2*ahead, maxAhead) // name the next ones further ahead
		}
		if err != nil {
			packer = new(backend.Packer)
			in.problems.failed(doCompact, err)
		} else {
			in.problems.fine(doCompact)
			retry.tries = 0
		}
		in.awaitFolds(folds) // those too that were made before one failed: they are not made again
		if err != nil {
			if retry.wait(in.ctx) != nil {
				return
			}
			poke(in.sealedAt)
		}
	}
}

const (
	doCompact = "compact"
	// maxAhead is how many epochs ahead a fold is named at most.
	maxAhead = 64
)

// compact folds once what is to be folded, if anything is. The name of each fold allows it to enter with the epoch that many
// ahead of the newest, so that writing it may take as long. Each is told of when it is made, and where an epoch waits, all at
// the end.
func (in *Instance[K, E, S, R]) compact(packer *backend.Packer, ahead uint64) (folds []*backend.Fold, late bool, err error) {
	k := in.newest.Load()
	rec := k.rec
	var vnodes vnode.Set
	for _, v := range k.owned {
		vnodes.Add(v)
	}
	plans := backend.PlanCompaction(rec, vnodes, in.folds())
	if len(plans) == 0 {
		return nil, false, nil
	}
	overdue := backend.Overdue(rec, vnodes, in.folds())
	if overdue {
		ahead = 1 // no epoch is opened meanwhile
	}
	err = packer.Compact(in.ctx, in.segments, rec, plans, func() (backend.FoldName, error) {
		id, err := uuid.NewV7()
		return backend.FoldName{Epoch: vnode.Epoch(in.newest.Load().rec.High + ahead), ID: id, Writer: in.self}, err
	}, func(f *backend.Fold) {
		in.meters.fold(f)
		if f.Late(in.newest.Load().rec.Epoch) { // it is lost
			in.meters.foldsLate.Add(1)
			late = true
		}
		if folds = append(folds, f); !overdue {
			in.tell(f)
		}
	})
	if overdue {
		in.tellFolds(folds) // an epoch is opened once the first is heard of
	}
	return folds, late, err
}

// tellFolds tells the coordinator of folds that are to enter together.
func (in *Instance[K, E, S, R]) tellFolds(folds []*backend.Fold) {
	for _, f := range folds {
		in.tell(f)
	}
}

// awaitFolds waits until folds have entered the ledger or cannot any more: the next are planned on what they leave. A
// coordinator elsewhere is told again: it may have heard nothing, or be another by now, and may open no epoch without them.
func (in *Instance[K, E, S, R]) awaitFolds(folds []*backend.Fold) {
	late := func() bool {
		sealed := in.newest.Load().rec.Epoch
		return !slices.ContainsFunc(folds, func(f *backend.Fold) bool { return !f.Late(sealed) })
	}
	for in.ctx.Err() == nil && !late() {
		term := in.newest.Load().rec.Term
		wait, cancel := context.WithTimeout(in.ctx, foldAgain)
		_ = in.await(wait, func() bool { return late() || in.newest.Load().rec.Term != term }) // it is the same to it why
		cancel()
		if !late() {
			in.tellFolds(folds)
		}
	}
}

// foldAgain is after how long the coordinator of a cluster is told of a fold again.
const foldAgain = 2 * time.Second

// collectLoop shows every record to the collector, which deletes what none reaches once the floor rises. A pass that
// fails is made again: until its floor is published none can rise.
func (in *Instance[K, E, S, R]) collectLoop() {
	c, retry := backend.NewCollector(in.ledger, backend.CollectorConfig{}), newBackoff()
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-in.recordAt:
		}
		if !in.leads() {
			continue
		}
		rec := in.newest.Load().rec
		report, err := c.Run(in.ctx, rec)
		in.meters.pass(report)
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			in.problems.failed(doCollect, err)
			if retry.wait(in.ctx) != nil {
				return
			}
			poke(in.recordAt)
		default:
			in.problems.fine(doCollect)
			retry.tries = 0
			in.tellReign(published{rec.Floor.K})
			if report.Left > 0 {
				poke(in.recordAt)
			}
		}
	}
}

const doCollect = "collect"

// folds is the policy of compaction.
func (in *Instance[K, E, S, R]) folds() backend.CompactionPolicy { return backend.CompactionPolicy{} }
