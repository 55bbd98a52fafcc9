package backend_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

func TestPretendedStoreIsAStore(t *testing.T) {
	backendtest.Conformance(t, func(t *testing.T) backend.Objects {
		return backend.Pretend(backendtest.Open(t, backend.InProcess()).Objects())
	})
}

func TestPretendedWritesChangeNothing(t *testing.T) {
	store, ctx := newMemObjects(), t.Context()
	for _, key := range []string{"a/1", "a/3", "a/5"} {
		store.objects[key] = []byte(key)
	}
	before := maps.Clone(store.objects)
	p := backend.Pretend(store)
	for _, err := range []error{
		p.Create(ctx, "a/2", []byte("new")), p.Put(ctx, "a/3", []byte("other")), p.Delete(ctx, "a/5"), p.Create(ctx, "a/6", nil),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	var listed []string
	if err := p.List(ctx, "a/", func(key string, _ int64) bool { listed = append(listed, key); return true }); err != nil {
		t.Error(err)
	}
	if want := []string{"a/1", "a/2", "a/3", "a/6"}; !slices.Equal(listed, want) {
		t.Errorf("list what is pretended: got %v, want %v", listed, want)
	}
	if got, err := p.Get(ctx, "a/3", backend.Range{}); err != nil || string(got) != "other" {
		t.Errorf("get what is pretended: got %q, %v, want other", got, err)
	}
	if !maps.EqualFunc(store.objects, before, bytes.Equal) {
		t.Errorf("the store: got %v, want %v", store.objects, before)
	}
}
