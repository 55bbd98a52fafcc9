package actors

import "sync"

// inbox is a queue of messages to one goroutine. Putting never blocks: what may be in it is bounded by the credit of
// whoever answers to the messages, so it has no bound of its own.
type inbox[T any] struct {
	mu    sync.Mutex // guards queue
	queue []T
	wake  chan struct{} // holds a token while the owner has something to look at
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{wake: make(chan struct{}, 1)} }

func (b *inbox[T]) put(m T) {
	b.mu.Lock()
	b.queue = append(b.queue, m)
	b.mu.Unlock()
	b.poke()
}

// poke wakes the owner.
func (b *inbox[T]) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns everything that waits, in the space of what was taken the time before.
func (b *inbox[T]) take(used []T) []T {
	clear(used)
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.queue
	b.queue = used[:0]
	return out
}
