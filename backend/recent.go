package backend

import (
	"context"
	"io"
	"slices"
	"sync"
)

// Recent is a store that remembers the newest small objects that were created through it and answers for them itself:
// what is created once never changes. So an instance folds the small segments that it has just written without asking
// for them. The others are read where they are, and the digests in the ledger are checked of all.
type Recent struct {
	Objects
	mu    sync.Mutex // guards what follows
	kept  [recentObjects]recentObject
	place int // of the oldest, which goes first
}

type recentObject struct {
	key  string
	data []byte
}

// Together they bound what is kept to 2 MiB (I8).
const (
	recentObjects = 32       // the longest chain, and folds
	recentSize    = 64 << 10 // of the largest that is kept
)

var _ Objects = (*Recent)(nil)

// NewRecent returns one that remembers nothing yet.
func NewRecent(objects Objects) *Recent { return &Recent{Objects: objects} }

// Create implements [Objects].
func (r *Recent) Create(ctx context.Context, key string, data []byte) error {
	err := r.Objects.Create(ctx, key, data)
	if err == nil && len(data) <= recentSize {
		r.keep(recentObject{key, slices.Clone(data)})
	}
	return err
}

func (r *Recent) keep(o recentObject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[r.place] = o
	r.place = (r.place + 1) % len(r.kept)
}

// Put implements [Objects].
func (r *Recent) Put(ctx context.Context, key string, data []byte) error {
	r.forget(key)
	defer r.forget(key) // it may have been created meanwhile
	return r.Objects.Put(ctx, key, data)
}

// Delete implements [Objects].
func (r *Recent) Delete(ctx context.Context, key string) error {
	r.forget(key)
	defer r.forget(key)
	return r.Objects.Delete(ctx, key)
}

func (r *Recent) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.kept {
		if r.kept[i].key == key {
			r.kept[i] = recentObject{}
		}
	}
}

// Get implements [Objects].
func (r *Recent) Get(ctx context.Context, key string, part Range) ([]byte, error) {
	data, found := r.find(key)
	if !found {
		return r.Objects.Get(ctx, key, part)
	}
	if part.Offset+part.Size > int64(len(data)) {
		return nil, io.ErrUnexpectedEOF
	}
	if data = data[part.Offset:]; part.Size > 0 {
		data = data[:part.Size]
	}
	return slices.Clone(data), ctx.Err()
}

func (r *Recent) find(key string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.kept[:], func(o recentObject) bool { return o.key == key })
	if i < 0 {
		return nil, false
	}
	return r.kept[i].data, true
}
