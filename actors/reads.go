package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Get returns a copy of the live state of a key; false if it has none. A crash may take back what it shows.
func (in *Instance[K, E, S, R]) Get(ctx context.Context, k K) (s S, found bool, err error) {
	hash := in.cfg.App.Keys.Hash(k)
	v := vnode.Of(hash, in.capacity())
	encoded, found, err := in.getHere(ctx, v, hash, k)
	for err == errElsewhere {
		if encoded, found, err = in.getFar(ctx, v, in.cfg.App.Keys.Append(nil, k)); err == errHere {
			encoded, found, err = in.getHere(ctx, v, hash, k)
		}
	}
	if err == nil && found {
		err = guarded(func() error { return in.cfg.App.State.Decode(encoded, &s) })
	}
	if err != nil {
		return s, false, fmt.Errorf("get: %w", err)
	}
	return s, found, nil
}

// getHere encodes the state of a key of a vnode of this instance.
func (in *Instance[K, E, S, R]) getHere(ctx context.Context, v vnode.ID, hash uint64, k K) (encoded []byte, found bool, err error) {
	err = in.query(ctx, v, func(slice *vnode.Slice[K, S]) (err error) {
		encoded, found, err = in.encodeState(slice, hash, k)
		return err
	})
	return encoded, found, err
}

func (in *Instance[K, E, S, R]) encodeState(slice *vnode.Slice[K, S], hash uint64, k K) (encoded []byte, found bool, err error) {
	live, ok := slice.Get(hash, k)
	if !ok {
		return nil, false, nil
	}
	encoded, err = in.cfg.App.State.Append(nil, live)
	return encoded, true, err
}

type elsewhere struct{}

func (elsewhere) Error() string { return "the vnode lives in another instance" }

var errElsewhere error = elsewhere{}

// query runs a function in a vnode's turn; while the vnode has no slice it is tried again. If it is another instance's,
// the error is errElsewhere.
func (in *Instance[K, E, S, R]) query(ctx context.Context, v vnode.ID, run func(*vnode.Slice[K, S]) error) error {
	retry := newBackoff()
	for {
		if in.clustered() && !in.newest.Load().owns(v) {
			return errElsewhere
		}
		answer := make(chan error, 1)
		in.system.Root.Send(in.vnodes[v], &vnode.Query[K, S]{
			Run:  func(s *vnode.Slice[K, S], _ *vnode.View) { answer <- guarded(func() error { return run(s) }) },
			Lost: func() { answer <- errLost },
		})
		select {
		case err := <-answer:
			if err != errLost {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-in.ctx.Done():
			return in.Err()
		}
		if err := retry.wait(ctx); err != nil {
			return err
		}
	}
}

type lost struct{}

func (lost) Error() string { return "the vnode has no slice now" }

var errLost error = lost{}

// guarded runs a function of the app: a panic is an error.
func guarded(f func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the app panicked: %v", x)
		}
	}()
	return f()
}

// Scan calls yield with a copy of the live state of every key, vnode by vnode, until it returns false. Each vnode is
// seen at one moment, different vnodes at different ones; [Instance.ScanAt] reads one epoch.
func (in *Instance[K, E, S, R]) Scan(ctx context.Context, yield func(K, S) bool) error {
	for v := range in.capacity() {
		delta, err := in.copyHere(ctx, vnode.ID(v))
		for err == errElsewhere {
			if delta, err = in.scanFar(ctx, vnode.ID(v)); err == errHere {
				delta, err = in.copyHere(ctx, vnode.ID(v))
			}
		}
		if err != nil {
			return fmt.Errorf("scan vnode %d: %w", v, err)
		}
		if goOn, err := in.each(delta, yield); !goOn || err != nil {
			return err
		}
	}
	return nil
}

// copyHere encodes all of a vnode of this instance.
func (in *Instance[K, E, S, R]) copyHere(ctx context.Context, v vnode.ID) (delta []byte, err error) {
	err = in.query(ctx, v, func(s *vnode.Slice[K, S]) (err error) {
		delta, err = in.copyOf(s)
		return err
	})
	return delta, err
}

// copyOf encodes all of a slice.
func (in *Instance[K, E, S, R]) copyOf(s *vnode.Slice[K, S]) (delta []byte, err error) {
	var key, value []byte
	for k, state := range s.All {
		key = in.cfg.App.Keys.Append(key[:0], k)
		if value, err = in.cfg.App.State.Append(value[:0], state); err != nil {
			return nil, err
		}
		delta = vnode.AppendEntry(delta, vnode.Entry{Key: key, Value: value})
	}
	return delta, nil
}

func (in *Instance[K, E, S, R]) each(delta []byte, yield func(K, S) bool) (goOn bool, err error) {
	for len(delta) > 0 {
		var e vnode.Entry
		if e, delta, err = vnode.NextEntry(delta); err != nil {
			return false, err
		}
		k, s, err := in.decode(e.Key, e.Value)
		if err != nil || !yield(k, s) {
			return false, err
		}
	}
	return true, nil
}

func (in *Instance[K, E, S, R]) decode(key, value []byte) (k K, s S, err error) {
	if k, err = in.cfg.App.Keys.Decode(key); err != nil {
		return k, s, err
	}
	err = guarded(func() error { return in.cfg.App.State.Decode(value, &s) })
	return k, s, err
}

// GetSealed returns the state of a key at the newest sealed epoch of the store: after Flush it holds everything sent
// before. It costs a search of the newest record and a read of the key's vnode from the store.
func (in *Instance[K, E, S, R]) GetSealed(ctx context.Context, k K) (s S, found bool, epoch vnode.Epoch, err error) {
	for {
		s, found, epoch, err = in.getSealed(ctx, k)
		if !errors.Is(err, backend.ErrCollected) {
			return s, found, epoch, err
		}
	}
}

// missed explains what is missing: [backend.ErrCollected] if the reader slept past a collection (I9).
func (in *Instance[K, E, S, R]) missed(ctx context.Context, rec *backend.Record, err error) error {
	var missing *backend.MissingError
	if errors.As(err, &missing) {
		if why := in.ledger.Absent(ctx, missing.Object, rec); errors.Is(why, backend.ErrCollected) {
			return why
		}
	}
	return err
}

func (in *Instance[K, E, S, R]) getSealed(ctx context.Context, k K) (s S, found bool, epoch vnode.Epoch, err error) {
	rec, err := in.ledger.Newest(ctx, in.newest.Load().rec)
	if err != nil {
		return s, false, 0, fmt.Errorf("get sealed: %w", in.because(err))
	}
	v := vnode.Of(in.cfg.App.Keys.Hash(k), in.capacity())
	want := string(in.cfg.App.Keys.Append(nil, k))
	slices := backend.Restorer{Objects: in.cfg.Store, Record: rec}
	err = slices.Restore(ctx, []vnode.ID{v}, func(r backend.RestoredSlice) error {
		return r.Apply(func(e vnode.Entry) (err error) {
			if string(e.Key) != want {
				return nil
			}
			s, found = *new(S), !e.Deleted
			if found {
				err = guarded(func() error { return in.cfg.App.State.Decode(e.Value, &s) })
			}
			return err
		})
	})
	if err != nil {
		return s, false, 0, fmt.Errorf("get sealed: %w", in.because(in.missed(ctx, rec, err)))
	}
	return s, found, rec.Epoch, nil
}

// because is why the instance ended, if it has, in place of an error of its store, which is closed then.
func (in *Instance[K, E, S, R]) because(err error) error {
	if ended := in.Err(); ended != nil {
		return ended
	}
	return err
}

// ScanAt calls yield with the state of every key at a retained or pinned epoch, until it returns false.
func (in *Instance[K, E, S, R]) ScanAt(ctx context.Context, e vnode.Epoch, yield func(K, S) bool) error {
	rec, err := in.keptRecord(ctx, e)
	if err != nil {
		return fmt.Errorf("scan: %w", in.because(err))
	}
	err = backend.Export(ctx, in.cfg.Store, rec, func(_ vnode.ID, key, value []byte) error {
		k, s, err := in.decode(key, value)
		if err == nil && !yield(k, s) {
			err = errStop
		}
		return err
	})
	if err = in.missed(ctx, rec, err); errors.Is(err, backend.ErrCollected) {
		return fmt.Errorf("scan epoch %d: %w", e, ErrNoEpoch)
	}
	if err != nil && err != errStop {
		return fmt.Errorf("scan epoch %d: %w", e, in.because(err))
	}
	return nil
}

// keptRecord finds a record that says that e is sealed, and is retained or pinned, by this instance or another writer.
func (in *Instance[K, E, S, R]) keptRecord(ctx context.Context, e vnode.Epoch) (*backend.Record, error) {
	newest, err := in.ledger.Newest(ctx, in.newest.Load().rec)
	if err != nil {
		return nil, err
	}
	p, found := newest.PinOf(e)
	if !found {
		return in.recordOf(ctx, e)
	}
	rec, err := in.ledger.Pinned(ctx, newest, p)
	if errors.Is(err, backend.ErrCollected) {
		return nil, fmt.Errorf("epoch %d: %w", e, ErrNoEpoch) // dropped meanwhile
	}
	return rec, err
}

type stopped struct{}

func (stopped) Error() string { return "stopped" }

var errStop error = stopped{}
