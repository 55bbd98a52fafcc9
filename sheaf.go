package sheaf

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"gocloud.dev/blob"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

// Names of the runtime that programs use.
type (
	// Source can be read again from an offset; the instance replays it by reading.
	Source[E any] = actors.Source[E]
	// Reader reads a source on.
	Reader[E any] = actors.Reader[E]
	// Pin keeps an epoch under a name.
	Pin = backend.Pin
	// Cut is a source's position at the newest sealed epoch, and whether that is its end.
	Cut = backend.Cut
	// Status is what an instance knows of itself at one moment.
	Status = actors.Status
	// Event is one thing that an instance did to recover.
	Event = actors.Event
	// InUseError says that a process that is alive has the id of this instance.
	InUseError = actors.InUseError
)

// Errors of an instance.
var (
	ErrClosed     = actors.ErrClosed
	ErrFenced     = actors.ErrFenced
	ErrAttached   = actors.ErrAttached
	ErrNames      = actors.ErrNames
	ErrKind       = actors.ErrKind
	ErrNoEpoch    = actors.ErrNoEpoch
	ErrSuperseded = actors.ErrSuperseded
	ErrSequence   = actors.ErrSequence
	ErrVoid       = actors.ErrVoid

	ErrPinName  = backend.ErrPinName
	ErrPinTaken = backend.ErrPinTaken
	ErrNoPin    = backend.ErrNoPin
	ErrPins     = backend.ErrPins
	ErrUnsealed = backend.ErrUnsealed
)

// Instance is an app at work on a store. Its methods may be called from many goroutines at once.
type Instance[K Key, E, S, R any] struct {
	in       *actors.Instance[K, E, S, R]
	ledger   *backend.Ledger
	store    *backend.Store
	watching sync.WaitGroup // one goroutine, which frees the store when the instance has ended
	freed    error          // of that
}

// hintTime is how long a closing instance tries to leave a hint of the newest record.
const hintTime = 5 * time.Second

// Open opens the store that the config names, restores what is sealed there, and runs the app on it. It returns once
// every key is served. Sinks are given the result of every epoch that is sealed, those first that were sealed and not
// emitted before a crash.
//
// Everything that is wrong with app and config is reported at once, as [*AppError] and [*backend.ConfigError]. A store
// of another app, capacity or codec is a [*backend.ForeignError], one in use a [*backend.LockedError], one that is
// damaged a [*backend.CorruptError] or [*backend.MissingError].
//
// An instance of a cluster returns once it is in force and serves what it owns. One whose id is in use by a process that
// answers is refused with [*InUseError]. The first start of a static cluster waits for all of its members. Results are
// emitted where the coordinator is: in a static cluster on the merger instance, in an elastic one on whichever member
// began the newest term. The sinks of the others are given none, and results that were not emitted there are given to those of the
// next.
func Open[K Key, E, S, R any](ctx context.Context, cfg Config, app App[K, E, S, R], sinks ...Sink[R]) (*Instance[K, E, S, R], error) {
	if err := errors.Join(app.validate(len(sinks)), cfg.Validate()); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	cfg = cfg.withDefaults()
	store, err := cfg.State.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	in, err := start(ctx, cfg, app.withDefaults(), store, sinks)
	if err != nil {
		return nil, fmt.Errorf("open: %w", errors.Join(err, store.Close()))
	}
	in.watching.Go(in.watch)
	return in, nil
}

func start[K Key, E, S, R any](ctx context.Context, cfg Config, app App[K, E, S, R], store *backend.Store, sinks []Sink[R]) (*Instance[K, E, S, R], error) {
	identity := identityOf(cfg, app)
	objects, line := storehook.Apply(ctx, store.Objects()), actors.NewTimeline(cfg.Log)
	ledger, newest, err := find(ctx, store, objects, identity, line)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterOf(cfg, appID(identity, app.EventCodec.ID()))
	if err != nil {
		return nil, err
	}
	in, err := actors.Start(ctx, actors.Config[K, E, S, R]{
		App: app.inVnodes(), Identity: newest.Identity, Store: objects, Instance: cfg.State.Instance(),
		Events: app.EventCodec, Cluster: cluster,
		Merge: app.Merge, Sinks: sinks, DeadLetter: app.DeadLetter, Tries: app.Tries,
		Epoch: cfg.Epoch, Timeout: cfg.SealTimeout, Retain: cfg.Retain,
		Log: cfg.Log, Timeline: line, Requests: store.Requests, Limits: limitsOf(cfg),
	}, ledger, newest)
	if err != nil {
		return nil, err
	}
	return &Instance[K, E, S, R]{in: in, ledger: ledger, store: store}, nil
}

// find opens the ledger of an open store at its newest record, and notes how both went.
func find(ctx context.Context, store *backend.Store, objects backend.Objects, id backend.Identity, line *actors.Timeline) (*backend.Ledger, *backend.Record, error) {
	o := store.Opening()
	line.NoteAt(o.Began, o.Opened, actors.StepOpen, "store %s", o.Place)
	line.NoteAt(o.Opened, o.Probed, actors.StepProbe, "create-if-absent is honoured")
	began, asked := time.Now(), store.Requests().Total().Asked
	ledger, newest, err := backend.OpenLedger(ctx, objects, id)
	if err != nil {
		return nil, nil, err
	}
	if err := ledger.CheckEnd(ctx, newest); err != nil {
		return nil, nil, err
	}
	line.Note(began, actors.StepFind, "record %d: epoch %d of term %d, emitted up to %d, in %d segments; %d requests",
		newest.Seq, newest.Epoch, newest.Term, newest.Emitted, len(newest.Segments), store.Requests().Total().Asked-asked)
	return ledger, newest, nil
}

// Attach reads a source under a name, from the position that is sealed for that name. The returned channel is closed
// when the source has ended and its end is sealed. A name belongs to one source for ever.
//
// In an elastic cluster every member attaches every source that it can read, and the cluster says which of them does; that
// changes when members come and go. Attach returns once the cluster knows the source, and the channel is closed at its end
// on each member, whoever reads it.
func (i *Instance[K, E, S, R]) Attach(ctx context.Context, name string, s Source[E]) (<-chan struct{}, error) {
	return i.in.Attach(ctx, name, s)
}

// Get returns a copy of the live state of a key; false if the key has none. A crash may take back what it shows:
// [Instance.GetSealed] does not.
func (i *Instance[K, E, S, R]) Get(ctx context.Context, k K) (S, bool, error) {
	return i.in.Get(ctx, k)
}

// GetSealed returns the state of a key at the newest sealed epoch, and that epoch. After [Instance.Flush] it holds
// everything sent before. It reads the store.
func (i *Instance[K, E, S, R]) GetSealed(ctx context.Context, k K) (S, bool, Epoch, error) {
	return i.in.GetSealed(ctx, k)
}

// Scan iterates over copies of the live states of all keys. Each vnode is seen at one moment, different vnodes at
// different ones. An error ends it, as the last value.
func (i *Instance[K, E, S, R]) Scan(ctx context.Context) *Scan[K, S] {
	return &Scan[K, S]{run: func(yield func(K, S) bool) error { return i.in.Scan(ctx, yield) }}
}

// At iterates over the states of all keys at a sealed epoch that is still retained or pinned (see [Instance.Pin]), else it
// fails with [ErrNoEpoch].
func (i *Instance[K, E, S, R]) At(ctx context.Context, e Epoch) *Scan[K, S] {
	return &Scan[K, S]{run: func(yield func(K, S) bool) error { return i.in.ScanAt(ctx, e, yield) }}
}

// Scan is an iteration over keys and states: range over All, then look at Err.
type Scan[K Key, S any] struct {
	run func(func(K, S) bool) error
	err error
}

// All iterates.
func (s *Scan[K, S]) All() iter.Seq2[K, S] {
	return func(yield func(K, S) bool) { s.err = s.run(yield) }
}

// Err is the error that ended the iteration; nil if it came to its end.
func (s *Scan[K, S]) Err() error { return s.err }

// Results iterates over the results that are emitted from now on, until ctx ends or the instance does. Like any sink,
// it holds back later results until it has taken one.
func (i *Instance[K, E, S, R]) Results(ctx context.Context) iter.Seq[Result[R]] {
	return func(yield func(Result[R]) bool) { i.in.Results(ctx, yield) }
}

// Flush returns when everything sent before, and everything that sources had read, is sealed.
func (i *Instance[K, E, S, R]) Flush(ctx context.Context) error { return i.in.Flush(ctx) }

// Pin seals everything sent before, and keeps the newest sealed epoch, which it returns, under a name: [Instance.At]
// reads it however many epochs follow, until [Instance.Unpin]. When Pin returns, the pin is durable: it is in the ledger,
// a crash does not lose it, and collection already minds it. If ctx ends first, the pin may still come to be.
//
// The error is [ErrPinName] for a name that cannot be one, [ErrPinTaken] for one that is a pin's already, [ErrPins] where
// there are [backend.MaxPins] pins, and [ErrUnsealed] before anything was ever sealed.
func (i *Instance[K, E, S, R]) Pin(ctx context.Context, name string) (Epoch, error) {
	return i.in.Pin(ctx, name)
}

// Unpin drops a pin, durably: what it alone kept is deleted some time after. It returns [ErrNoPin] if there is none of
// that name.
func (i *Instance[K, E, S, R]) Unpin(ctx context.Context, name string) error {
	return i.in.Unpin(ctx, name)
}

// Pins lists the pins of the store, by name.
func (i *Instance[K, E, S, R]) Pins(ctx context.Context) ([]Pin, error) { return i.in.Pins(ctx) }

// Status says where the instance stands, what it has done, what goes wrong, and what holds producers back.
func (i *Instance[K, E, S, R]) Status() Status { return i.in.Status() }

// Cuts says how much of each source is sealed, by name: of all sources that the store knows, also those that other members
// of a cluster read. It is of the newest record that is known here, which may lag behind the store.
func (i *Instance[K, E, S, R]) Cuts() []Cut { return i.in.Cuts() }

// Timeline says what the instance did to recover and how long it took, oldest first: what was opened, probed, found,
// taken over, restored and replayed at its start, and what failed and was tried again since. Of a long life it keeps the
// first 64 events and the newest 192.
func (i *Instance[K, E, S, R]) Timeline() []Event { return i.in.Timeline() }

// Bucket is the part of the store for objects of the program's own, under user/: Sheaf never reads or collects them.
// It is open as long as the instance.
func (i *Instance[K, E, S, R]) Bucket() *blob.Bucket { return i.store.Bucket() }

// Done is closed when the instance has ended: closed, or superseded by another incarnation.
func (i *Instance[K, E, S, R]) Done() <-chan struct{} { return i.in.Done() }

// Err says why the instance ended; nil while it runs, [ErrClosed] after Close.
func (i *Instance[K, E, S, R]) Err() error { return i.in.Err() }

// Close takes nothing more, seals and emits what was taken, and ends the instance and frees the store. A member of an
// elastic cluster hands over what it has to the others: its vnodes, its sources, and coordination. If ctx ends first, what
// is not sealed is left to be replayed, and the error says so; the instance ends all the same. Only a sink that does not return, though
// its context has ended, keeps it from ending until it does; then the error names that one. It may be called twice.
func (i *Instance[K, E, S, R]) Close(ctx context.Context) error {
	err := i.in.Close(ctx)
	select {
	case <-i.in.Done():
		i.watching.Wait()
		return errors.Join(err, i.freed)
	default:
		return err // another call is closing it, or it ends later
	}
}

// watch frees the store once the instance has ended, by Close or by itself.
func (i *Instance[K, E, S, R]) watch() {
	<-i.in.Done()
	hint, cancel := context.WithTimeout(context.Background(), hintTime)
	defer cancel()
	_ = i.ledger.Close(hint) // only a hint is lost
	i.freed = i.store.Close()
}
