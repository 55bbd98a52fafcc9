package backend

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gocloud.dev/blob/driver"
)

const defaultPage = 1000 // objects of a page when the caller does not say

var errPageFull = errors.New("page is full")

// lister fills one page. It walks directories in the order of keys, and enters only those that can hold the next ones.
type lister struct {
	prefix    string
	delimiter string
	after     string // the last key of the page before
	size      int
	objects   []*driver.ListObject
}

// entry is a name in a directory with the key, or the beginning of keys, that it stands for.
type entry struct {
	key string // ends with a slash if it is a directory
	dir bool
	fs.DirEntry
}

// ListPaged implements [driver.Bucket].
func (d *fileDriver) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if err := before(opts.BeforeList); err != nil {
		return nil, err
	}
	l := &lister{prefix: opts.Prefix, delimiter: opts.Delimiter, after: string(opts.PageToken), size: opts.PageSize}
	if l.size == 0 {
		l.size = defaultPage
	}
	path, start := d.root, ""
	if i := strings.LastIndexByte(opts.Prefix, '/'); i >= 0 {
		start = opts.Prefix[:i+1]
		path = filepath.Join(d.root, filepath.FromSlash(fileName(opts.Prefix[:i])))
	}
	if err := l.walk(ctx, path, start); err != nil && !errors.Is(err, errPageFull) {
		return nil, err
	}
	page := &driver.ListPage{Objects: l.objects}
	if len(l.objects) > l.size {
		page.Objects = l.objects[:l.size]
		page.NextPageToken = []byte(page.Objects[l.size-1].Key)
	}
	return page, nil
}

// walk adds the objects of the directory at path, whose keys begin with key.
func (l *lister) walk(ctx context.Context, path, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := readDir(path, key)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case l.skips(e):
		case e.dir:
			err = l.walk(ctx, filepath.Join(path, e.Name()), e.key)
		default:
			err = l.add(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skips reports whether nothing of e belongs on the page.
func (l *lister) skips(e entry) bool {
	if !strings.HasPrefix(e.key, l.prefix) && !(e.dir && strings.HasPrefix(l.prefix, e.key)) {
		return true
	}
	last := l.lastKey()
	if l.collapsed(last) && strings.HasPrefix(e.key, last) {
		return true
	}
	return e.key <= last && !(e.dir && strings.HasPrefix(last, e.key))
}

// lastKey returns the key that the next one must be above.
func (l *lister) lastKey() string {
	if n := len(l.objects); n > 0 {
		return l.objects[n-1].Key
	}
	return l.after
}

// collapsed reports whether a listed key stands for all keys that begin with it.
func (l *lister) collapsed(key string) bool {
	return l.delimiter != "" && len(key) > len(l.prefix) && strings.HasSuffix(key[len(l.prefix):], l.delimiter)
}

// add puts a file on the page, or what it collapses into.
func (l *lister) add(e entry) error {
	object := &driver.ListObject{Key: e.key}
	if i := l.cut(e.key); i > 0 {
		object.Key, object.IsDir = e.key[:i], true
	} else {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		object.Size, object.ModTime = info.Size(), info.ModTime()
	}
	l.objects = append(l.objects, object)
	if len(l.objects) > l.size {
		return errPageFull
	}
	return nil
}

// cut returns where a key is cut after the delimiter; 0 if it has none.
func (l *lister) cut(key string) int {
	if l.delimiter == "" {
		return 0
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return 0
	}
	return len(l.prefix) + i + len(l.delimiter)
}

// readDir returns the entries of a directory in the order of the keys under it: "a-b" comes before "a/b". A directory
// that is not there is empty.
func readDir(path, key string) ([]entry, error) {
	found, err := os.ReadDir(path)
	if errors.Is(absent(err), fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		segment, ok := keySegment(e.Name())
		if !ok || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if e.IsDir() {
			segment += "/"
		}
		entries = append(entries, entry{key: key + segment, dir: e.IsDir(), DirEntry: e})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries, nil
}
