package actors

import "sync"

// freeList keeps what can be used again, the newest first: it is the likeliest to be in a processor's cache.
type freeList[T any] struct {
	most int // that are kept

	mu   sync.Mutex // guards kept
	kept []*T
}

func (f *freeList[T]) put(x *T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) < f.most {
		f.kept = append(f.kept, x)
	}
}

// take returns nil if there is none.
func (f *freeList[T]) take() *T {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.kept) - 1
	if n < 0 {
		return nil
	}
	x := f.kept[n]
	f.kept = f.kept[:n]
	return x
}
