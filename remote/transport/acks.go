package transport

import (
	"sync"

	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

// acks gathers the numbers of tracked frames of one connection that their receiver is done with. There are never more
// than frames were received, and the sender's queue bounds those.
type acks struct {
	wake chan struct{} // has room for one: numbers wait

	mu      sync.Mutex // guards what follows
	numbers []uint64
	closed  bool

	// Only the writer touches these.
	spare  []uint64
	ranges []wire.Range
}

// done returns the function that the receiver of a frame calls. It may do so late, and from anywhere.
func (a *acks) done(number uint64) func() {
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.closed {
			return
		}
		a.numbers = append(a.numbers, number)
		signal(a.wake)
	}
}

// append encodes what has gathered behind b.
func (a *acks) append(b []byte) []byte {
	a.mu.Lock()
	numbers := a.numbers
	a.numbers = a.spare[:0]
	a.mu.Unlock()
	a.spare = numbers
	if len(numbers) == 0 {
		return b
	}
	a.ranges = wire.Ranges(a.ranges[:0], numbers)
	return wire.AppendDone(b, a.ranges)
}

// close drops what gathers from now on: the connection is gone, and the sender will repeat the frames.
func (a *acks) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.numbers = true, nil
}
