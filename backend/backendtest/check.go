package backendtest

import (
	"slices"
	"sync"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

func create(t *testing.T, store backend.Objects, key, data string) {
	t.Helper()
	if err := store.Create(t.Context(), key, []byte(data)); err != nil {
		t.Errorf("create %s: %v", key, err)
	}
}

func remove(t *testing.T, store backend.Objects, key string) {
	t.Helper()
	if err := store.Delete(t.Context(), key); err != nil {
		t.Errorf("delete %s: %v", key, err)
	}
}

func keys(t *testing.T, store backend.Objects, prefix string) []string {
	t.Helper()
	var found []string
	err := store.List(t.Context(), prefix, func(key string, _ int64) bool {
		found = append(found, key)
		return true
	})
	if err != nil {
		t.Errorf("list %q: %v", prefix, err)
	}
	return found
}

func wantKeys(t *testing.T, store backend.Objects, prefix string, want []string) {
	t.Helper()
	if got := keys(t, store, prefix); !slices.Equal(got, want) {
		t.Errorf("list %q: got %q, want %q", prefix, got, want)
	}
}

func wantObject(t *testing.T, store backend.Objects, key, want string) {
	t.Helper()
	got, err := store.Get(t.Context(), key, backend.Range{})
	if err != nil || string(got) != want {
		t.Errorf("get %s: got %.80q, %v, want %.80q", key, got, err, want)
	}
}

// together runs n goroutines that begin at once, and waits for them.
func together(n int, run func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			run(i)
		})
	}
	close(begin)
	all.Wait()
}
