package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"gocloud.dev/blob/driver"
)

var (
	errTaken    = errors.New("the name is taken")
	errReadOnly = fmt.Errorf("%w: the store is open for reading: %w", errNotWritten, errors.ErrUnsupported)
)

// placeTries bounds how often a creator makes a directory that deletes beside it remove again.
const placeTries = 32

// fileWriter writes one object: aside, then in place at Close.
type fileWriter struct {
	ctx      context.Context
	driver   *fileDriver
	file     *os.File
	final    string
	ifAbsent bool
	failed   error // the first failed write: the blob library calls Close after it all the same
}

var (
	_ driver.Writer   = (*fileWriter)(nil)
	_ driver.Uploader = (*fileWriter)(nil)
)

// NewTypedWriter implements [driver.Bucket].
func (d *fileDriver) NewTypedWriter(ctx context.Context, key, _ string, opts *driver.WriterOptions) (driver.Writer, error) {
	w, err := d.newWriter(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (d *fileDriver) newWriter(ctx context.Context, key string, opts *driver.WriterOptions) (*fileWriter, error) {
	if d.temp == nil {
		return nil, errReadOnly
	}
	if len(opts.Metadata) > 0 || opts.CacheControl+opts.ContentDisposition+opts.ContentEncoding+opts.ContentLanguage != "" {
		return nil, fmt.Errorf("metadata of a file: %w", errors.ErrUnsupported)
	}
	final, err := d.path(key)
	if err != nil {
		return nil, err
	}
	f, err := d.temp.create()
	if err != nil {
		return nil, notWritten(err)
	}
	w := &fileWriter{ctx: ctx, driver: d, file: f, final: final, ifAbsent: opts.IfNotExist}
	if err := before(opts.BeforeWrite); err != nil {
		w.failed = err
		return nil, w.Close()
	}
	return w, nil
}

func notWritten(err error) error { return fmt.Errorf("%w: %w", errNotWritten, named(err)) }

// Write implements [driver.Writer].
func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	return n, w.fail(err)
}

// Upload implements [driver.Uploader].
func (w *fileWriter) Upload(r io.Reader) error {
	_, err := io.Copy(w.file, r)
	return w.fail(err)
}

func (w *fileWriter) fail(err error) error {
	if err == nil {
		return nil
	}
	if w.failed == nil {
		w.failed = notWritten(err)
	}
	return w.failed
}

// Close implements [driver.Writer]: it puts the object in place, unless the context has ended or a write failed.
func (w *fileWriter) Close() error {
	temp := w.file.Name()
	defer func() { _ = os.Remove(temp) }() // what a rename has moved is gone already
	if w.failed == nil {
		_ = w.fail(w.ctx.Err())
	}
	if w.failed == nil {
		_ = w.fail(w.driver.disk.sync(w.file))
	}
	_ = w.fail(w.file.Close())
	if w.failed != nil {
		return w.failed
	}
	if err := w.driver.place(temp, w.final, w.ifAbsent); err != nil {
		return err
	}
	return w.driver.syncAbove(w.final)
}

// place gives a finished file its name.
func (d *fileDriver) place(temp, final string, ifAbsent bool) error {
	put := d.disk.rename
	if ifAbsent {
		put = d.disk.link
	}
	err := put(temp, final)
	for try := 0; errors.Is(err, fs.ErrNotExist) && try < placeTries; try++ {
		if err := d.disk.makeDir(filepath.Dir(final)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return notWritten(err)
		}
		err = put(temp, final)
	}
	switch {
	case err == nil || ifAbsent && sameFile(temp, final): // a file server that lost its first answer
		return nil
	case ifAbsent && errors.Is(err, fs.ErrExist):
		return taken(final, err)
	case ifAbsent && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)):
		return notWritten(fmt.Errorf("a store needs to write and a file system with hard links: %w", err))
	case refused(err):
		return notWritten(err)
	}
	return err
}

// taken says what stands at a name: an object, or a directory of other keys, which no create can ever get past.
func taken(final string, err error) error {
	if mustBeDir(final) == nil {
		return notWritten(fmt.Errorf("other keys begin with this one and a slash: %w", err))
	}
	return fmt.Errorf("%w: %w", errTaken, err)
}

func sameFile(a, b string) bool {
	first, err := os.Lstat(a)
	if err != nil {
		return false
	}
	second, err := os.Lstat(b)
	return err == nil && os.SameFile(first, second)
}

// syncAbove makes the name of an object durable. Directories right under the root are never removed, so that their own
// names need it once; every one below might have been made a moment ago by a process that has not synced it yet.
func (d *fileDriver) syncAbove(final string) error {
	dir := filepath.Dir(final)
	for ; d.depth(dir) > 1; dir = filepath.Dir(dir) {
		if err := d.syncIfThere(dir); err != nil {
			return err
		}
	}
	if dir == d.root {
		return d.disk.syncDir(d.root)
	}
	if err := d.syncIfThere(dir); err != nil || d.known.has(dir) {
		return err
	}
	if err := d.disk.syncDir(d.root); err != nil {
		return err
	}
	d.known.add(dir)
	return nil
}

// syncIfThere syncs a directory. One that is gone held the object until somebody deleted it.
func (d *fileDriver) syncIfThere(dir string) error {
	err := d.disk.syncDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// knownDirs are the directories right under the root whose names are durable.
type knownDirs struct {
	mu   sync.Mutex // guards dirs
	dirs map[string]bool
}

func (k *knownDirs) has(dir string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dirs[dir]
}

func (k *knownDirs) add(dir string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dirs == nil {
		k.dirs = map[string]bool{}
	}
	k.dirs[dir] = true
}
