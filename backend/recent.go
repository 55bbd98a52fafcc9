package backend

import (
	"context"
	"slices"
	"sync"
)

// Recent is a store that remembers the newest small objects that were created through it, and answers for them itself:
// an instance folds the small segments that it has just written without asking for them. All else is asked of the store.
// It is for objects whose names are never used twice; of one that was deleted meanwhile a get may still tell.
type Recent struct {
	Objects
	mu   sync.Mutex // guards what follows
	kept [recentObjects]recentObject
	next int // place of the oldest, which goes first
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
	r.kept[r.next] = o
	r.next = (r.next + 1) % recentObjects
}

// Get implements [Objects].
func (r *Recent) Get(ctx context.Context, key string, part Range) ([]byte, error) {
	data := r.find(key)
	size := int64(len(data))
	if part.Offset < 0 || part.Size < 0 || part.Offset >= size || part.Size > size-part.Offset {
		return r.Objects.Get(ctx, key, part)
	}
	if data = data[part.Offset:]; part.Size > 0 {
		data = data[:part.Size]
	}
	return slices.Clone(data), ctx.Err()
}

// find returns the bytes of an object that is kept, else none.
func (r *Recent) find(key string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.kept[:], func(o recentObject) bool { return o.key == key }); i >= 0 {
		return r.kept[i].data
	}
	return nil
}
