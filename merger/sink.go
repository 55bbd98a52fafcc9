package merger

import (
	"context"
	"fmt"

	"github.com/sheaf-go/sheaf/vnode"
)

// Result is the merged result of one sealed epoch.
type Result[R any] struct {
	Epoch vnode.Epoch
	Cuts  map[string]uint64 // position of every source: the result holds exactly the events up to there
	Value R
	// Encoded is Value as the app's result codec writes it: the same bytes whenever the epoch is emitted.
	Encoded []byte
}

// Sink takes results, one at a time, in the order of their epochs, each only after its epoch is sealed (I6). An error
// makes the merger offer the same result again, later. After a crash a result may be offered again, with the same
// epoch and the same bytes: a sink ignores an epoch that is not above the last it took.
//
// Emit returns soon once ctx ends: the instance is to end, or another one emits now. Until it does this instance begins no
// term, and does not end: Close waits as long as its own context allows, and returns an error that names the sink. So a
// sink must not close the instance.
type Sink[R any] interface {
	Emit(ctx context.Context, r Result[R]) error
}

// SinkFunc is a function as a [Sink].
type SinkFunc[R any] func(ctx context.Context, r Result[R]) error

// Emit calls f.
func (f SinkFunc[R]) Emit(ctx context.Context, r Result[R]) error { return f(ctx, r) }

// emit gives a result to a sink; a panic of the sink is an error.
func emit[R any](ctx context.Context, s Sink[R], r Result[R]) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("sink panicked: %v", x)
		}
	}()
	return s.Emit(ctx, r)
}
