package backend_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

// steps records the steps of a file driver by which an object becomes durable.
type steps struct {
	root string
	mu   sync.Mutex // guards done
	done []string
}

func (s *steps) add(step, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, _ = filepath.Rel(s.root, path)
	if strings.HasPrefix(path, ".sheaf") {
		path = "temp"
	}
	s.done = append(s.done, step+" "+filepath.ToSlash(path))
}

// watched is the real disk under watch: a failed step is not recorded.
func (s *steps) watched() backend.Disk {
	real := backend.OSDisk()
	watch := func(step, path string, err error) error {
		if err == nil {
			s.add(step, path)
		}
		return err
	}
	return backend.Disk{
		Sync:    func(f *os.File) error { return watch("sync", f.Name(), real.Sync(f)) },
		Link:    func(temp, final string) error { return watch("link", final, real.Link(temp, final)) },
		Rename:  func(temp, final string) error { return watch("rename", final, real.Rename(temp, final)) },
		SyncDir: func(dir string) error { return watch("sync dir", dir, real.SyncDir(dir)) },
	}
}

// TestCreateIsDurableBeforeItReturns holds the order of the steps that a power loss may interrupt anywhere: bytes
// before the name, and every name up to the root before the answer.
func TestCreateIsDurableBeforeItReturns(t *testing.T) {
	s := &steps{root: t.TempDir()}
	objects := fileObjects(t, s.root, s.watched())
	for _, c := range []struct {
		do   func() error
		want []string
	}{
		{
			func() error { return objects.Create(t.Context(), "segment/1/a", []byte("x")) },
			[]string{
				"sync temp", "sync dir .", "sync dir segment", "link segment/1/a",
				"sync dir segment/1", "sync dir segment", "sync dir .",
			},
		},
		{
			func() error { return objects.Create(t.Context(), "segment/1/b", nil) },
			[]string{"sync temp", "link segment/1/b", "sync dir segment/1", "sync dir segment"},
		},
		{
			func() error { return objects.Put(t.Context(), "head", nil) },
			[]string{"sync temp", "rename head", "sync dir ."},
		},
		{
			func() error { return objects.Delete(t.Context(), "segment/1/b") },
			nil,
		},
	} {
		s.done = nil
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.done, c.want) {
			t.Errorf("got steps %q, want %q", s.done, c.want)
		}
	}
}

// TestCreateTellsWhatItCannotTell fails each step: before the name stands the answer is sure, behind it it is not.
func TestCreateTellsWhatItCannotTell(t *testing.T) {
	real := backend.OSDisk()
	for _, c := range []struct {
		name    string
		disk    backend.Disk
		unknown bool
		landed  bool
		is      error
	}{
		{name: "sync fails", disk: backend.Disk{Sync: func(*os.File) error { return syscall.EIO }}, is: syscall.EIO},
		{name: "sync finds the disk full", disk: backend.Disk{Sync: func(*os.File) error { return errFull() }}, is: backend.ErrFull},
		{name: "link finds the disk full", disk: backend.Disk{Link: func(string, string) error { return errFull() }}, is: backend.ErrFull},
		{name: "no hard links", disk: backend.Disk{Link: func(string, string) error { return syscall.EPERM }}, is: os.ErrPermission},
		{name: "link gets no answer", disk: backend.Disk{Link: func(string, string) error { return syscall.EIO }}, unknown: true, is: syscall.EIO},
		{name: "link's answer is lost", disk: backend.Disk{Link: func(temp, final string) error {
			return errors.Join(real.Link(temp, final), real.Link(temp, final))
		}}, landed: true},
		{name: "directory sync fails", disk: backend.Disk{SyncDir: func(string) error { return syscall.EIO }}, unknown: true, landed: true, is: syscall.EIO},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			objects := fileObjects(t, root, completed(c.disk))
			err := objects.Create(t.Context(), "a", []byte("x"))
			if !errors.Is(err, c.is) || errors.Is(err, backend.ErrUnknown) != c.unknown || errors.Is(err, backend.ErrExists) {
				t.Errorf("create: got %v, want %v, unknown %t", err, c.is, c.unknown)
			}
			if _, err := objects.Get(t.Context(), "a", backend.Range{}); (err == nil) != c.landed {
				t.Errorf("get after it: got %v, want landed %t", err, c.landed)
			}
			wantNoTemp(t, root)
		})
	}
}

// TestCreateMakesItsDirectoryAgain removes the directory, as a delete of its last object does, right before the link.
func TestCreateMakesItsDirectoryAgain(t *testing.T) {
	real, removed := backend.OSDisk(), 0
	disk := backend.Disk{Link: func(temp, final string) error {
		if removed < 5 && os.Remove(filepath.Dir(final)) == nil {
			removed++
		}
		return real.Link(temp, final)
	}}
	objects := fileObjects(t, t.TempDir(), completed(disk))
	if err := objects.Create(t.Context(), "segment/1/deep/a", nil); err != nil || removed != 5 {
		t.Errorf("create while its directory is removed %d times: got %v, want success after 5", removed, err)
	}
}

func errFull() error { return &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC} }

// completed fills in the real steps.
func completed(d backend.Disk) backend.Disk {
	real := backend.OSDisk()
	if d.Sync == nil {
		d.Sync = real.Sync
	}
	if d.Link == nil {
		d.Link = real.Link
	}
	if d.Rename == nil {
		d.Rename = real.Rename
	}
	if d.SyncDir == nil {
		d.SyncDir = real.SyncDir
	}
	return d
}

// wantNoTemp checks that no unfinished file is left.
func wantNoTemp(t *testing.T, root string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(root, ".sheaf", "tmp", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if filepath.Base(path) != "lock" {
			t.Errorf("unfinished file %s is left", path)
		}
	}
}

// TestFailedWriteIsNeverPublished: the blob library calls Close after a failed write as after a good one.
func TestFailedWriteIsNeverPublished(t *testing.T) {
	root := t.TempDir()
	b := openDriver(t, root, backend.OSDisk())
	broken := errors.New("broken off")
	r := &brokenReader{data: []byte("half of it"), err: broken}
	if err := b.Upload(t.Context(), "a", r, uploadOptions()); !errors.Is(err, broken) {
		t.Errorf("upload from a broken reader: got %v, want %v", err, broken)
	}
	if got, err := b.ReadAll(t.Context(), "a"); err == nil {
		t.Errorf("read after it: got %q, want nothing", got)
	}
	wantNoTemp(t, root)
}

// TestTempOfTheDeadIsRemoved and that of a writer at work is not.
func TestTempOfTheDeadIsRemoved(t *testing.T) {
	root := t.TempDir()
	dead := filepath.Join(root, ".sheaf", "tmp", "dead")
	if err := os.MkdirAll(dead, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock", "1"} {
		if err := os.WriteFile(filepath.Join(dead, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	first := openDriver(t, root, backend.OSDisk())
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temp directory of a dead writer: got %v, want that it is gone", err)
	}
	w, err := first.NewWriter(t.Context(), "a", uploadOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("begun")); err != nil {
		t.Fatal(err)
	}
	second := openDriver(t, root, backend.OSDisk())
	if err := w.Close(); err != nil {
		t.Errorf("close of a writer beside another opening: %v", err)
	}
	if got, err := second.ReadAll(t.Context(), "a"); err != nil || string(got) != "begun" {
		t.Errorf("read: got %q, %v, want begun", got, err)
	}
}
