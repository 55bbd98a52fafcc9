package backend

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is the steps by which a file driver makes an object durable, apart so that a test can watch their order and
// fail them.
type disk struct {
	sync    func(f *os.File) error         // the bytes of a file
	link    func(temp, final string) error // publish where nothing stands
	rename  func(temp, final string) error // publish over whatever stands
	syncDir func(dir string) error         // the names in a directory
}

func osDisk() disk {
	return disk{sync: (*os.File).Sync, link: os.Link, rename: os.Rename, syncDir: syncDir}
}

// makeDir makes a directory and its parents, and each new name in them durable.
func (d disk) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o777)
	}
	if errors.Is(err, fs.ErrExist) {
		return mustBeDir(dir)
	}
	if err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(dir))
}

func mustBeDir(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open directory", Path: path, Err: syscall.ENOTDIR}
	}
	return nil
}

// refused reports whether err is one by which a system call says that it did nothing. After any other (an input/output
// error, a file server that does not answer) what it should have done may stand.
func refused(err error) bool {
	for _, known := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, errors.ErrUnsupported,
		syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EROFS, syscall.EXDEV,
		syscall.EMLINK, syscall.EINVAL,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return isFull(err)
}

// named gives an error of the system the name that the rest of the package knows it by.
func named(err error) error {
	switch {
	case isFull(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, syscall.EXDEV):
		return fmt.Errorf("a store must be within one file system: %w", err)
	}
	return err
}
