package backend_test

import (
	"context"
	"io"
	"sort"
	"strings"
	"sync"

	"github.com/sheaf-go/sheaf/backend"
)

// segmentObjects keeps objects in memory and counts reads.
type segmentObjects struct {
	mu      sync.Mutex // guards what follows
	objects map[string][]byte
	reads   int
	read    int64 // bytes
}

var _ backend.Objects = (*segmentObjects)(nil)

func newSegmentObjects() *segmentObjects { return &segmentObjects{objects: map[string][]byte{}} }

func (m *segmentObjects) Create(_ context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return backend.ErrExists
	}
	m.objects[key] = append([]byte(nil), data...)
	return nil
}

func (m *segmentObjects) Put(_ context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = append([]byte(nil), data...)
	return nil
}

func (m *segmentObjects) Get(ctx context.Context, key string, part backend.Range) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, ok := m.objects[key]
	if !ok {
		return nil, backend.ErrNotFound
	}
	if part.Size == 0 {
		part.Size = int64(len(data)) - part.Offset
	}
	if part.Offset < 0 || part.Size < 0 || part.Offset+part.Size > int64(len(data)) {
		return nil, io.ErrUnexpectedEOF
	}
	m.reads++
	m.read += part.Size
	return append([]byte(nil), data[part.Offset:part.Offset+part.Size]...), nil
}

func (m *segmentObjects) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

func (m *segmentObjects) List(_ context.Context, prefix string, yield func(string, int64) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		if !yield(key, int64(len(m.objects[key]))) {
			break
		}
	}
	return nil
}
