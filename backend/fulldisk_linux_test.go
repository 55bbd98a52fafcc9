package backend_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// TestFullDisk fills a file system of 1 MiB: what does not fit is refused whole, what is there stays, and after room
// is made the store goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("NOT TESTED: a full disk. Mounting a tmpfs needs root and CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	objects := backendtest.Open(t, backend.Local(dir)).Objects()
	if err := objects.Put(t.Context(), "head", []byte("old")); err != nil {
		t.Fatal(err)
	}
	stored := fill(t, objects)
	if len(stored) < 10 {
		t.Fatalf("got %d objects of 64 KiB into 1 MiB, want at least 10", len(stored))
	}
	if err := objects.Put(t.Context(), "head", bytes.Repeat([]byte("new"), 40_000)); !errors.Is(err, backend.ErrFull) {
		t.Errorf("put into a full store: got %v, want ErrFull", err)
	}
	if got, err := objects.Get(t.Context(), "head", backend.Range{}); err != nil || string(got) != "old" {
		t.Errorf("head after it: got %q, %v, want old", got, err)
	}
	wantNoTemp(t, dir)
	wantStored(t, objects, stored)
	for _, key := range stored[:2] {
		if err := objects.Delete(t.Context(), key); err != nil {
			t.Errorf("delete in a full store: %v", err)
		}
	}
	if err := objects.Create(t.Context(), "again", block(0)); err != nil {
		t.Errorf("create after room was made: %v", err)
	}
	wantStored(t, objects, stored[2:])
}

func block(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 64<<10) }

// fill creates objects until the store is full and returns their keys.
func fill(t *testing.T, objects backend.Objects) []string {
	t.Helper()
	var stored []string
	for i := range 100 {
		key := fmt.Sprintf("segment/%d/%02d", i/4, i)
		err := objects.Create(t.Context(), key, block(i))
		if err == nil {
			stored = append(stored, key)
			continue
		}
		if !errors.Is(err, backend.ErrFull) || errors.Is(err, backend.ErrUnknown) {
			t.Errorf("create into a full store: got %v, want ErrFull and no doubt", err)
		}
		if _, err := objects.Get(t.Context(), key, backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("get of what did not fit: got %v, want ErrNotFound", err)
		}
		return stored
	}
	t.Fatal("6 MiB went into 1 MiB")
	return nil
}

func wantStored(t *testing.T, objects backend.Objects, keys []string) {
	t.Helper()
	for _, key := range keys {
		var epoch, i int
		if _, err := fmt.Sscanf(key, "segment/%d/%d", &epoch, &i); err != nil {
			t.Fatal(err)
		}
		if got, err := objects.Get(t.Context(), key, backend.Range{}); err != nil || !bytes.Equal(got, block(i)) {
			t.Errorf("get %s: got %d bytes, %v, want it whole", key, len(got), err)
		}
	}
}
