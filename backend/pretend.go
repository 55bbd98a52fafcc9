package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Pretend returns a view of a store on which writes are only pretended: they are seen through it and change nothing.
// What does its work on it does exactly what it would do on the store, such as a [Ledger.Collect] that only shows.
func Pretend(store Objects) Objects {
	return &pretended{store: store, written: map[string]*[]byte{}}
}

type pretended struct {
	store   Objects
	mu      sync.Mutex         // guards written, also while the store is asked whether a key is taken
	written map[string]*[]byte // nil: deleted
}

var _ Objects = (*pretended)(nil)

// Create implements [Objects].
func (p *pretended) Create(ctx context.Context, key string, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	object, known := p.written[key]
	taken := object != nil
	if !known {
		_, err := p.store.Get(ctx, key, Range{Size: 1})
		taken = !errors.Is(err, ErrNotFound)
		if taken && err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("create %s: %w", key, err)
		}
	}
	if taken {
		return fmt.Errorf("create %s: %w", key, ErrExists)
	}
	return p.write(ctx, key, data)
}

// Put implements [Objects].
func (p *pretended) Put(ctx context.Context, key string, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.write(ctx, key, data)
}

func (p *pretended) write(ctx context.Context, key string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	data = slices.Clone(data)
	p.written[key] = &data
	return nil
}

// Get implements [Objects].
func (p *pretended) Get(ctx context.Context, key string, part Range) ([]byte, error) {
	p.mu.Lock()
	object, known := p.written[key]
	p.mu.Unlock()
	switch {
	case !known:
		return p.store.Get(ctx, key, part)
	case object == nil:
		return nil, fmt.Errorf("get %s: %w", key, ErrNotFound)
	case part.Offset < 0 || part.Size < 0:
		return nil, fmt.Errorf("get %s: range %d+%d is negative", key, part.Offset, part.Size)
	}
	size := int64(len(*object))
	if part.Offset > size || part.Size > size-part.Offset {
		return nil, fmt.Errorf("get %s: it ends at %d, before the range at %d: %w", key, size, part.Offset, io.ErrUnexpectedEOF)
	}
	rest := (*object)[part.Offset:]
	if part.Size > 0 {
		rest = rest[:part.Size]
	}
	return slices.Clone(rest), nil
}

// Delete implements [Objects].
func (p *pretended) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written[key] = nil
	return nil
}

// List implements [Objects].
func (p *pretended) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	hidden, own := p.changes(prefix)
	stopped := false
	offer := func(key string, size int64) bool {
		stopped = stopped || !yield(key, size)
		return !stopped
	}
	before := func(key string) bool { // yields what was written below a key of the store
		for len(own) > 0 && own[0].key < key && offer(own[0].key, own[0].size) {
			own = own[1:]
		}
		return !stopped
	}
	err := p.store.List(ctx, prefix, func(key string, size int64) bool {
		return before(key) && (hidden[key] || offer(key, size))
	})
	for _, o := range own {
		if err != nil || stopped || !offer(o.key, o.size) {
			break
		}
	}
	return err
}

type sizedKey struct {
	key  string
	size int64
}

// changes returns the keys with a prefix that were written or deleted, and those that were written, in order.
func (p *pretended) changes(prefix string) (all map[string]bool, written []sizedKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all = map[string]bool{}
	for key, object := range p.written {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		all[key] = true
		if object != nil {
			written = append(written, sizedKey{key, int64(len(*object))})
		}
	}
	slices.SortFunc(written, func(a, b sizedKey) int { return strings.Compare(a.key, b.key) })
	return all, written
}
