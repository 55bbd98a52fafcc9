package sheaf

import (
	"errors"
	"fmt"

	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// App is a program on keyed state: K is the key, E an event, S the state of a key, R a result. Its functions are called
// by many vnodes at once, each for its own keys; they must depend on their arguments alone, since events are applied
// again after a crash.
type App[K vnode.Key, E, S, R any] struct {
	// Name names the app. A store belongs to one name.
	Name string
	// KeyOf returns the key of an event. A string key is at most [vnode.MaxKeyLen] bytes.
	KeyOf func(E) K
	// Update applies an event to the state of its key: the zero S if the key is new (see [Turn.Existed]). Calling
	// [Turn.Delete] removes the key. An error rejects the event: it counts as taken, goes to DeadLetter, and Update
	// must have left the state as it was. A panic restarts the vnode from its last sealed slice and the event is
	// applied again; after Tries panics it is rejected.
	Update func(*Turn, *S, E) error
	// Fold adds one key's state to a vnode's partial result, which begins as the zero R. The order of keys is arbitrary.
	// Nil: the app has no result.
	Fold func(*R, K, *S)
	// Merge adds the partial result of a vnode to another. It is called in ascending order of vnodes, first with the
	// zero R.
	Merge func(into *R, from R)

	// StateCodec and ResultCodec encode states and results; nil is canonical CBOR ([CBOR]). A store belongs to one
	// codec's id.
	StateCodec  Codec[S]
	ResultCodec Codec[R]
	// EventCodec encodes events between the instances of a cluster, all of which must have the same; nil is canonical
	// CBOR. Within a process events travel as they are.
	EventCodec Codec[E]

	// DeadLetter is given every rejected event, in the turn of its vnode, or by whoever reads a source or carries events
	// between instances: it must return soon and not wait for the instance. One that could not be decoded comes without
	// the event. It may be given an event again after a crash or a restart of the vnode. Nil: rejected events are logged.
	DeadLetter func(Rejected[E])
	// Tries is how often an event that panics is applied; default 3.
	Tries int
}

// Names that an app needs of the packages below.
type (
	// Turn is what an update may ask and say about the event in hand.
	Turn = vnode.Turn
	// Codec encodes values canonically.
	Codec[T any] = vnode.Codec[T]
	// Key is what a key may be: a string, an integer, or an array of 4, 8, 12, 16, 20, 24, 32 or 64 bytes.
	Key = vnode.Key
	// Rejected is an event that changed nothing: Update returned an error or panicked too often, or its key is unusable.
	Rejected[E any] = vnode.Rejected[E]
	// Epoch numbers a sealed state of the whole store.
	Epoch = vnode.Epoch
	// Result is the merged result of one sealed epoch.
	Result[R any] = merger.Result[R]
	// Sink takes results.
	Sink[R any] = merger.Sink[R]
	// SinkFunc is a function as a [Sink].
	SinkFunc[R any] = merger.SinkFunc[R]
)

// CBOR is the canonical CBOR encoding of T (RFC 8949, core deterministic).
func CBOR[T any]() Codec[T] { return vnode.CBOR[T]() }

// AppError is one thing that is wrong with an [App].
type AppError struct {
	Field  string
	Reason string
}

func (e *AppError) Error() string { return fmt.Sprintf("app: %s %s", e.Field, e.Reason) }

// validate reports everything that is wrong with the app.
func (a *App[K, E, S, R]) validate(sinks int) error {
	var all []error
	wrong := func(bad bool, field, reason string) {
		if bad {
			all = append(all, &AppError{field, reason})
		}
	}
	wrong(a.Name == "", "Name", "is empty: a store belongs to one app, by name")
	wrong(len(a.Name) > 255, "Name", "is longer than 255 bytes")
	wrong(a.KeyOf == nil, "KeyOf", "is nil")
	wrong(a.Update == nil, "Update", "is nil")
	wrong(a.Fold != nil && a.Merge == nil, "Merge", "is nil, but Fold is given")
	wrong(a.Fold == nil && a.Merge != nil, "Fold", "is nil, but Merge is given")
	wrong(a.Fold == nil && sinks > 0, "Fold", "is nil, but there are sinks: they would get nothing")
	wrong(a.Tries < 0, "Tries", "is negative")
	return errors.Join(all...)
}

// withDefaults fills in what the app leaves out.
func (a App[K, E, S, R]) withDefaults() App[K, E, S, R] {
	if a.StateCodec == nil {
		a.StateCodec = vnode.CBOR[S]()
	}
	if a.ResultCodec == nil {
		a.ResultCodec = vnode.CBOR[R]()
	}
	if a.EventCodec == nil {
		a.EventCodec = vnode.CBOR[E]()
	}
	if a.Tries == 0 {
		a.Tries = 3
	}
	return a
}
