package backend

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// tempDir holds the unfinished files of one opening of a file store, in a directory of its own with a lock that the
// process holds as long as it lives. Who opens the store next removes those directories whose lock is free: their
// writers are dead, and writers that live, here or in other processes, are left alone.
type tempDir struct {
	path string
	lock *flock.Flock
	last atomic.Uint64 // number of the newest file
}

// openTempDir makes a temp directory for the store at root.
func openTempDir(root string) (*tempDir, error) {
	base := filepath.Join(root, privateDir, "tmp")
	if err := os.MkdirAll(base, 0o777); err != nil {
		return nil, named(err)
	}
	removeDead(base)
	for {
		t, err := newTempDir(filepath.Join(base, uuid.NewString()))
		if t != nil || err != nil {
			return t, err
		}
	}
}

// newTempDir makes and locks one directory. It returns nil if another opener has taken it for a dead one in between.
func newTempDir(path string) (*tempDir, error) {
	if err := os.Mkdir(path, 0o777); err != nil {
		return nil, named(err)
	}
	lock := flock.New(filepath.Join(path, "lock"))
	locked, err := lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !locked:
		return nil, nil
	case err != nil:
		return nil, named(fmt.Errorf("lock %s: %w", lock.Path(), err))
	case !stillThere(lock):
		return nil, lock.Close()
	}
	return &tempDir{path: path, lock: lock}, nil
}

// stillThere reports whether the file that was locked is the one that the path names now.
func stillThere(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(held, named)
}

// removeDead removes what dead writers left. It does what it can: what stays costs room, nothing else.
func removeDead(base string) {
	dirs, _ := os.ReadDir(base)
	for _, d := range dirs {
		path := filepath.Join(base, d.Name())
		lock := flock.New(filepath.Join(path, "lock"))
		if locked, err := lock.TryLock(); err != nil || !locked {
			continue
		}
		_ = os.RemoveAll(path)
		_ = lock.Close()
		_ = os.RemoveAll(path) // where a locked file cannot be removed
	}
}

// create opens a new file.
func (t *tempDir) create() (*os.File, error) {
	name := filepath.Join(t.path, strconv.FormatUint(t.last.Add(1), 10))
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// close removes the directory and frees its lock.
func (t *tempDir) close() error {
	err := os.RemoveAll(t.path)
	lockErr := t.lock.Close()
	if err != nil {
		err = os.RemoveAll(t.path) // where a locked file cannot be removed
	}
	return errors.Join(err, lockErr)
}
