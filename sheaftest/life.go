package sheaftest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

// newSimStore returns a store in memory that ends with the test.
func newSimStore(t *testing.T) (backend.Objects, error) {
	s, err := backend.InProcess().Open(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		_ = s.Close()
		<-time.After(time.Second) // timers of what has ended
	})
	return s.Objects(), nil
}

// life is one instance, from its opening to its crash or end.
type life[K sheaf.Key, E, S, R any] struct {
	w      *world[K, E, S, R]
	in     *sheaf.Instance[K, E, S, R]
	faults *backendtest.Faults
	source <-chan struct{} // closed when the source's end is sealed
	pushed chan error      // what became of the resumable producer
}

// open begins a life on the store: the first requests that go wrong are those behind the opening.
func (w *world[K, E, S, R]) open(ctx context.Context, store backend.Objects, crasher *panics) (*life[K, E, S, R], error) {
	l := &life[K, E, S, R]{w: w, faults: backendtest.NewFaults(store, w.chance.Uint64()), pushed: make(chan error, 1)}
	app := w.App
	if app.Tries != 1 {
		app.Update = around(crasher, app.Update)
	}
	var sinks []sheaf.Sink[R]
	if app.Fold != nil {
		sinks = append(sinks, w.emits)
		w.emits.began()
	}
	cfg := sheaf.Config{State: backend.Config{VnodeCapacity: simCapacity}, Epoch: time.Duration(5+w.chance.IntN(50)) * time.Millisecond}
	ctx = storehook.With(ctx, func(backend.Objects) backend.Objects { return l.faults })
	var err error
	if l.in, err = sheaf.Open(ctx, cfg, app, sinks...); err != nil {
		return nil, err
	}
	if err := l.attach(ctx); err != nil {
		return nil, errors.Join(err, l.crash())
	}
	l.fail()
	return l, nil
}

func (l *life[K, E, S, R]) attach(ctx context.Context) (err error) {
	events := l.w.origin[sourceName]
	if l.source, err = l.in.Attach(ctx, sourceName, slow[E]{events}); err != nil {
		return err
	}
	r, err := l.in.Resumable(ctx, resumableName)
	if err != nil {
		l.pushed <- err
		return err
	}
	go func() { l.pushed <- push(ctx, r, l.w.origin[resumableName]) }()
	return nil
}

// fail makes some requests fail from now on, and others take effect and be answered with an error.
func (l *life[K, E, S, R]) fail() {
	for _, r := range []backendtest.Rule{
		{Op: backendtest.Create, Rate: 0.1},
		{Op: backendtest.Create, Rate: 0.1, After: true},
		{Op: backendtest.Get, Rate: 0.05},
		{Op: backendtest.Put, Rate: 0.1},
		{Op: backendtest.Delete, Rate: 0.05, After: true},
		{Op: backendtest.List, Rate: 0.05},
	} {
		l.faults.Add(r)
	}
}

// crash ends the instance at once: no request of it reaches the store any more. Its error is one of the resumable
// producer, other than that it was closed.
func (l *life[K, E, S, R]) crash() error {
	l.faults.Crash()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.in.Close(ended) // it says that not everything is sealed: that is what a crash is
	if l.source == nil {
		return nil
	}
	if err := <-l.pushed; !errors.Is(err, sheaf.ErrClosed) {
		return err
	}
	return nil
}

// finish waits until every event is sealed, and closes. It returns the live state of every key.
func (l *life[K, E, S, R]) finish(ctx context.Context) (map[K]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := l.settle(ctx)
	if err != nil {
		err = fmt.Errorf("%w; the instance: %+v", err, l.in.Status())
		return nil, errors.Join(err, l.crash())
	}
	if err := l.in.Close(ctx); err != nil {
		return nil, fmt.Errorf("close: %w", err)
	}
	return got, nil
}

func (l *life[K, E, S, R]) settle(ctx context.Context) (map[K]string, error) {
	select {
	case <-l.source:
	case <-ctx.Done():
		return nil, errors.New("the end of the source is not sealed")
	}
	select {
	case err := <-l.pushed:
		l.pushed <- err
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, errors.New("the end of the resumable producer is not sealed")
	}
	return l.states(ctx)
}

func (l *life[K, E, S, R]) states(ctx context.Context) (map[K]string, error) {
	got := map[K]string{}
	scan := l.in.Scan(ctx)
	for k, s := range scan.All() {
		b, err := l.w.encode(&s)
		if err != nil {
			return nil, err
		}
		got[k] = b
	}
	return got, scan.Err()
}

// reopened is the state of every key after one more restart.
func (w *world[K, E, S, R]) reopened(ctx context.Context, store backend.Objects) (map[K]string, error) {
	l := &life[K, E, S, R]{w: w, faults: backendtest.NewFaults(store, 0)}
	ctx = storehook.With(ctx, func(backend.Objects) backend.Objects { return l.faults })
	var err error
	if l.in, err = sheaf.Open(ctx, sheaf.Config{State: backend.Config{VnodeCapacity: simCapacity}}, w.App); err != nil {
		return nil, err
	}
	got, err := l.states(ctx)
	return got, errors.Join(err, l.crash())
}
