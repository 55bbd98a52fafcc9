package backend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// storeLock keeps others from a directory: all others, or those of the same instance id. The operating system frees
// it when the process ends, however it ends. Beside a lock file stands one that says who holds it, for people.
//
//	.sheaf/store.lock, .holder            exclusive: one local process; shared: every instance of an object store
//	.sheaf/instance/<id>.lock, .holder    one process per instance id
type storeLock struct {
	held   []*flock.Flock
	holder string // the file that names this process; empty until it is written
}

const (
	lockSuffix   = ".lock"
	holderSuffix = ".holder"
)

// lockStore locks the store at root for this process alone, or for one instance of several. It does not wait: a store
// in use is a [LockedError].
func lockStore(root, instance string, alone bool) (*storeLock, error) {
	store := filepath.Join(root, privateDir, "store")
	instances := filepath.Join(root, privateDir, "instance")
	if err := os.MkdirAll(instances, 0o777); err != nil {
		return nil, named(err)
	}
	l := &storeLock{}
	var err error
	if alone {
		err = l.lockAlone(store, instances)
	} else {
		err = l.lockShared(store, filepath.Join(instances, escapeSegment(instance)))
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// lockAlone shuts everybody out. Who gets this lock knows that all instances are gone: what one that was killed still
// says of itself is removed.
func (l *storeLock) lockAlone(store, instances string) error {
	locked, err := l.try(store, (*flock.Flock).TryLock)
	others := holderFiles(instances)
	if err != nil || !locked {
		return refusal(store, append(others, store+holderSuffix), err)
	}
	for _, gone := range others {
		_ = os.Remove(gone)
	}
	l.sign(store)
	return nil
}

// lockShared shuts out a local process and others of the same instance id.
func (l *storeLock) lockShared(store, instance string) error {
	locked, err := l.try(store, (*flock.Flock).TryRLock)
	if err != nil || !locked {
		return refusal(store, []string{store + holderSuffix}, err)
	}
	_ = os.Remove(store + holderSuffix) // of a local process that was killed
	locked, err = l.try(instance, (*flock.Flock).TryLock)
	if err != nil || !locked {
		return refusal(instance, []string{instance + holderSuffix}, err)
	}
	l.sign(instance)
	return nil
}

func (l *storeLock) try(path string, try func(*flock.Flock) (bool, error)) (bool, error) {
	lock := flock.New(path+lockSuffix, flock.SetPermissions(0o666))
	locked, err := try(lock)
	if locked {
		l.held = append(l.held, lock)
	}
	return locked, err
}

// refusal is the error for a lock that could not be had: somebody holds it, or err.
func refusal(path string, holders []string, err error) error {
	if err != nil {
		return named(fmt.Errorf("lock %s: %w", path+lockSuffix, err))
	}
	var names []string
	for _, file := range holders {
		if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
			names = append(names, string(text))
		}
	}
	return &LockedError{Path: path + lockSuffix, Holder: strings.Join(names, "; ")}
}

// sign says who holds the lock. That it cannot, on a full disk, is no reason to refuse the store.
func (l *storeLock) sign(path string) {
	host, _ := os.Hostname()
	text := fmt.Sprintf("pid %d on %s since %s", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	l.holder = path + holderSuffix
	_ = os.WriteFile(l.holder, []byte(text), 0o666)
}

// release frees the locks. The lock files stay: removing one would let two processes lock two files of one name.
func (l *storeLock) release() error {
	if l.holder != "" {
		_ = os.Remove(l.holder)
	}
	var errs []error
	for _, lock := range l.held {
		errs = append(errs, lock.Close())
	}
	return errors.Join(errs...)
}

func holderFiles(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), holderSuffix) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}
