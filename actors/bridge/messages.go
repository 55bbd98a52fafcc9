package bridge

import (
	"fmt"

	"github.com/sheaf-go/sheaf"
)

// Update asks the bridge to send an event to its producer. A request is answered with [Accepted] or [*Refused].
type Update[E any] struct{ Event E }

// Accepted answers an [Update]: the event's position at the bridge's producer.
type Accepted struct{ Position uint64 }

// Get asks for the state of a key. It is answered with [State] or [*Refused].
type Get[K sheaf.Key] struct {
	Key K
	// Sealed asks for the state at the newest sealed epoch, from the store, in place of the live one.
	Sealed bool
}

// State answers a [Get].
type State[K sheaf.Key, S any] struct {
	Key   K
	Value S // zero if the key has none
	Found bool
	// Epoch is the newest sealed epoch: the one that Value was read at, or with a live Value the one known when it was
	// asked for, which Value is not behind.
	Epoch sheaf.Epoch
}

// Taken is what an actor answers to the [sheaf.Result] that a [Sink] requests of it, once it has taken it.
type Taken struct{ Epoch sheaf.Epoch }

// Refused answers a request that was not carried out. It wraps the reason.
type Refused struct{ Err error }

// Error is the reason.
func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap returns the reason.
func (r *Refused) Unwrap() error { return r.Err }

// BoundError says that a bound of the bridge is reached: ask again after an answer has come.
type BoundError struct {
	Bound string // "pending", "reads"
	Limit int
}

func (e *BoundError) Error() string {
	return fmt.Sprintf("bridge: the bound %s = %d is reached: wait for answers before asking for more", e.Bound, e.Limit)
}

// MessageError says that a message means nothing to whoever got it.
type MessageError struct {
	Got  string // its type
	Want string // the types that have a meaning
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("bridge: got a message of type %s, want %s", e.Got, e.Want)
}

// UndeliveredError says that an actor did not take a result.
type UndeliveredError struct {
	PID    string
	Epoch  sheaf.Epoch
	Reason string
}

func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("bridge: actor %s did not take the result of epoch %d: %s", e.PID, e.Epoch, e.Reason)
}
