package backend_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// TestStoreInUseIsRefused holds the table of who may be there together, within one process and so among several.
func TestStoreInUseIsRefused(t *testing.T) {
	for _, c := range []struct {
		first, second string
		refused       bool
	}{
		{"local", "local", true},
		{"local", "node-0", true},
		{"node-0", "local", true},
		{"node-0", "node-0", true},
		{"node-0", "node-1", false},
	} {
		dir := t.TempDir()
		config := func(who string) backend.Config {
			if who == "local" {
				return backend.Local(dir)
			}
			return backend.ObjectStore(fileURL(dir), who)
		}
		first := backendtest.Open(t, config(c.first))
		second, err := config(c.second).Open(t.Context())
		var locked *backend.LockedError
		if errors.As(err, &locked) != c.refused {
			t.Errorf("%s, then %s: got %v, want refused %t", c.first, c.second, err, c.refused)
		}
		if c.refused && (locked == nil || !strings.Contains(locked.Holder, fmt.Sprintf("pid %d on ", os.Getpid()))) {
			t.Errorf("%s, then %s: got %v, want the holder's pid", c.first, c.second, err)
		}
		if err == nil {
			_ = second.Close()
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		backendtest.Open(t, config(c.second)) // it is free again
	}
}

// TestKilledProcessFreesItsStore kills -9 the owner of a store.
func TestKilledProcessFreesItsStore(t *testing.T) {
	for _, config := range []func(string) backend.Config{
		backend.Local,
		func(dir string) backend.Config { return backend.ObjectStore(fileURL(dir), "node-0") },
	} {
		dir := t.TempDir()
		child := startChild(t, "hold", dir, config(dir).InstanceID)
		child.want(t, "open")
		var locked *backend.LockedError
		_, err := config(dir).Open(t.Context())
		if pid := fmt.Sprintf("pid %d on ", child.cmd.Process.Pid); !errors.As(err, &locked) || !strings.Contains(locked.Holder, pid) {
			t.Errorf("open while the child holds it: got %v, want LockedError with %q", err, pid)
		}
		child.kill(t)
		s := backendtest.Open(t, config(dir))
		wantNoTemp(t, dir)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// holdChild opens a store, leaves a write unfinished and waits to be killed.
func holdChild(t *testing.T, dir, instance string) {
	c := backend.Local(dir)
	if instance != "" {
		c = backend.ObjectStore(fileURL(dir), instance)
	}
	s := backendtest.Open(t, c)
	w, err := s.Bucket().NewWriter(t.Context(), "unfinished", uploadOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	fmt.Println("child: open")
	<-t.Context().Done()
}
