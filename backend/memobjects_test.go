package backend_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sheaf-go/sheaf/backend"
)

// memObjects is a store in memory that counts what it is asked.
type memObjects struct {
	mu      sync.Mutex
	objects map[string][]byte
	calls   map[string]int             // by operation
	before  func(op, key string) error // may fail a call; nil lets all pass
}

var _ backend.Objects = (*memObjects)(nil)

func newMemObjects() *memObjects {
	return &memObjects{objects: map[string][]byte{}, calls: map[string]int{}}
}

func (m *memObjects) enter(op, key string) error {
	m.calls[op]++
	if m.before == nil {
		return nil
	}
	return m.before(op, key)
}

func (m *memObjects) Create(_ context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter("create", key); err != nil {
		return err
	}
	if _, taken := m.objects[key]; taken {
		return fmt.Errorf("create %s: %w", key, backend.ErrExists)
	}
	m.objects[key] = slices.Clone(data)
	return nil
}

func (m *memObjects) Put(_ context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter("put", key); err != nil {
		return err
	}
	m.objects[key] = slices.Clone(data)
	return nil
}

func (m *memObjects) Get(_ context.Context, key string, _ backend.Range) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter("get", key); err != nil {
		return nil, err
	}
	data, ok := m.objects[key]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", key, backend.ErrNotFound)
	}
	return slices.Clone(data), nil
}

func (m *memObjects) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter("delete", key); err != nil {
		return err
	}
	delete(m.objects, key)
	return nil
}

func (m *memObjects) List(_ context.Context, prefix string, yield func(string, int64) bool) error {
	m.mu.Lock()
	if err := m.enter("list", prefix); err != nil {
		m.mu.Unlock()
		return err
	}
	m.mu.Unlock()
	for _, key := range m.keys(prefix) {
		if !yield(key, m.size(key)) {
			break
		}
	}
	return nil
}

// keys returns the keys with that prefix, in order.
func (m *memObjects) keys(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (m *memObjects) size(key string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.objects[key]))
}

// count returns how often an operation was called while f ran.
func (m *memObjects) count(op string, f func()) int {
	before := m.calls[op]
	f()
	return m.calls[op] - before
}

// alter changes an object behind the ledger's back.
func (m *memObjects) alter(key string, f func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = f(slices.Clone(m.objects[key]))
}
