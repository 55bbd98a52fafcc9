package backend_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

func TestRecentAnswersForWhatItCreated(t *testing.T) {
	store := newMemObjects()
	recent := backend.NewRecent(store)
	create := func(key string, data []byte) {
		t.Helper()
		if err := recent.Create(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	get := func(key string, part backend.Range, want []byte, requests int) {
		t.Helper()
		before := store.calls["get"]
		got, err := recent.Get(t.Context(), key, part)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("get %s %+v: got %d bytes, %v, want %d", key, part, len(got), err, len(want))
		}
		if n := store.calls["get"] - before; n != requests {
			t.Errorf("get %s %+v: got %d requests, want %d", key, part, n, requests)
		}
	}
	data := []byte("0123456789")
	create("a", data)
	data[0] = 'x' // it is the caller's again
	get("a", backend.Range{}, []byte("0123456789"), 0)
	get("a", backend.Range{Offset: 3, Size: 4}, []byte("3456"), 0)
	get("a", backend.Range{Offset: 4}, []byte("456789"), 0)
	if _, err := recent.Get(t.Context(), "a", backend.Range{Offset: 9, Size: 2}); store.calls["get"] != 1 {
		t.Errorf("get past the end: got %v of %d requests, want it of one", err, store.calls["get"])
	}
	large := make([]byte, 64<<10+1)
	create("large", large)
	get("large", backend.Range{}, large, 1)
	if err := recent.Create(t.Context(), "a", []byte("other")); !errors.Is(err, backend.ErrExists) {
		t.Errorf("create again: got %v, want %v", err, backend.ErrExists)
	}
	for i := range 31 {
		create(fmt.Sprint("b", i), large[:64<<10])
	}
	get("a", backend.Range{}, []byte("0123456789"), 0)
	create("one more", nil)
	get("a", backend.Range{}, []byte("0123456789"), 1)
	get("one more", backend.Range{}, nil, 1)
}
