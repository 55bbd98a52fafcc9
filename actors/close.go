package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
)

// Close takes nothing more, seals and emits everything that was taken, and ends the instance. If ctx ends before that,
// what is not sealed is left to be replayed, and the error says so; the instance ends all the same, unless something of the
// program's does not return: that the error names, and it ends once that does.
func (in *Instance[K, E, S, R]) Close(ctx context.Context) error {
	in.mu.Lock()
	first := !in.closed
	in.closed = true
	in.mu.Unlock()
	if !first {
		select {
		case <-in.closer:
			return errors.Join(in.closeErr, in.awaitEnd(ctx))
		case <-ctx.Done():
			return fmt.Errorf("close, begun before: %w", context.Cause(ctx))
		}
	}
	defer close(in.closer)
	in.closeErr = in.settle(ctx)
	in.stop(ErrClosed)
	return errors.Join(in.closeErr, in.awaitEnd(ctx))
}

// awaitEnd waits for the last of the instance's goroutines. If ctx ends it waits for a little more, and then leaves behind
// what does not return.
func (in *Instance[K, E, S, R]) awaitEnd(ctx context.Context) error {
	select {
	case <-in.done:
	case <-ctx.Done():
		select {
		case <-in.done:
		case <-time.After(letGoTime):
			return fmt.Errorf("close: the instance has not ended: %w", in.unreturned())
		}
	}
	in.stops.Wait()
	return nil
}

// shut makes every source and producer take nothing more.
func (in *Instance[K, E, S, R]) shut() {
	for _, p := range in.allProducers() {
		p.shut()
	}
	for _, s := range in.allSources() {
		if s.pushed != nil {
			s.pushed.shut()
			continue
		}
		s.stopping.Store(true)
		s.inbox.poke()
	}
}

func (in *Instance[K, E, S, R]) settle(ctx context.Context) error {
	if err := in.Err(); err != nil {
		return fmt.Errorf("close: the instance had ended: %w", err)
	}
	if in.elastic() {
		if alone, err := in.giveAway(ctx); err != nil || !alone {
			return err
		}
	}
	in.shut()
	if err := in.flush(ctx); err != nil {
		return fmt.Errorf("close: not everything is sealed: %w", err)
	}
	if err := in.await(ctx, in.emissionRecorded); err != nil {
		return fmt.Errorf("close: not everything is emitted, or that is not recorded: %w", err)
	}
	return nil
}

// giveAway seals what was pushed here, and leaves everything else to the other members. If there are none, it says so.
func (in *Instance[K, E, S, R]) giveAway(ctx context.Context) (alone bool, err error) {
	for _, p := range in.allProducers() {
		p.shut()
		if err := p.flushed(ctx); err != nil {
			return false, fmt.Errorf("close: not everything is sealed: %w", err)
		}
	}
	for _, s := range in.allSources() {
		if s.pushed == nil {
			continue
		}
		s.pushed.shut()
		if err := s.pushed.Flush(ctx); err != nil {
			return false, fmt.Errorf("close: not everything is sealed: %w", err)
		}
	}
	if alone, err = in.settleElastic(ctx); err != nil {
		return false, fmt.Errorf("close: the others did not take over what this instance has: %w", err)
	}
	return alone, nil
}

// emissionRecorded reports whether the newest record says that its epoch is emitted. Once it is, it asks for that record.
// That may bring an epoch more, if one was wanted: then it is all said again of that one.
func (in *Instance[K, E, S, R]) emissionRecorded() bool {
	k := in.newest.Load()
	rec, leads := k.rec, in.leads()
	if !leads && (len(rec.Assignment.Members) > 1 || !k.ours) {
		return true // another instance emits
	}
	if leads && rec.Emitted < rec.Epoch && in.emittedAt.Load() >= uint64(rec.Epoch) {
		in.tellReign(conclude{})
	}
	return rec.Emitted >= rec.Epoch
}

// Abort ends the instance at once, as a crash would, but waits for its goroutines. It may be called twice.
func (in *Instance[K, E, S, R]) Abort(why error) {
	in.once.Do(func() {
		in.mu.Lock()
		in.closed = true
		in.mu.Unlock()
		in.cancel(why)
		in.cfg.Timeline.Note(time.Time{}, StepEnd, "%v", why)
		for _, p := range in.allProducers() {
			p.fail(why)
		}
		in.mu.Lock()
		ends := maps.Clone(in.ends)
		in.mu.Unlock()
		for _, end := range ends {
			end(why)
		}
		if err := in.part(); err != nil {
			in.cfg.Log.Warn("leave the membership", zap.Error(err))
		}
		in.stopActors()
		_ = in.closeTransport()
		in.runners.end()
		in.over.Lock()
		in.ended = true
		in.over.Unlock()
		in.wg.Wait()
		in.stopAll(in.reignPIDs()) // one may have begun meanwhile
		in.system.Shutdown()
		close(in.done)
	})
	<-in.done
}

// stopActors stops the vnodes, then those that they talk to.
func (in *Instance[K, E, S, R]) stopActors() {
	here := []*actor.PID{in.supervisor, in.checkpointer}
	in.stopAll(append(append(here, in.reignPIDs()...), in.follower))
}

// reignPIDs are the actors of a reign, the merger first.
func (in *Instance[K, E, S, R]) reignPIDs() []*actor.PID {
	if r := in.reign.Load(); r != nil {
		return []*actor.PID{r.merger, r.coordinator}
	}
	return nil
}

func (in *Instance[K, E, S, R]) stopAll(pids []*actor.PID) {
	for _, pid := range pids {
		if pid == nil {
			continue
		}
		if err := in.system.Root.StopFuture(pid).Wait(); err != nil {
			in.cfg.Log.Warn("an actor did not stop", zap.String("actor", pid.Id), zap.Error(err))
		}
	}
}

// onEnd arranges that f is called when the instance ends; at once if it has.
func (in *Instance[K, E, S, R]) onEnd(name string, f func(error)) {
	in.mu.Lock()
	in.ends[name] = f
	in.mu.Unlock()
	if err := in.Err(); err != nil {
		f(err)
	}
}
