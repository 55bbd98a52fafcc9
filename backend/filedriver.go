package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// privateDir is the driver's own directory under the root: locks and unfinished files. No key maps into it.
const privateDir = ".sheaf"

// fileDriver is a driver of the blob library that keeps objects as plain files under a directory. The library's own
// checks and renames in two steps, so that two creators can both win, and never syncs; this one
//
//   - writes an unfinished file aside, syncs it, links it to its name (or renames it over what stands there), then
//     syncs the directories above: an object is there whole and for good, or not at all;
//   - lets the file system decide who creates: link(2) fails if the name is taken. It needs hard links, which ext4,
//     xfs, btrfs, zfs, tmpfs, APFS, NTFS and NFS have, and FAT has not;
//   - may be used by any number of processes on one root.
//
// Files and directories get what the umask leaves. Content types and metadata are not kept. A delete is not synced: after a power loss an object may be back.
// On Windows an object that somebody reads can be neither deleted nor replaced.
type fileDriver struct {
	root  string // absolute
	temp  *tempDir
	disk  disk
	known knownDirs
}

var _ driver.Bucket = (*fileDriver)(nil)

// openFileDriver opens a directory. To write it needs to be given a temp directory under the same root; nil makes a
// driver that only reads.
func openFileDriver(root string, temp *tempDir) *fileDriver {
	return &fileDriver{root: root, temp: temp, disk: osDisk()}
}

// Close implements [driver.Bucket].
func (d *fileDriver) Close() error {
	if d.temp == nil {
		return nil
	}
	return d.temp.close()
}

// ErrorCode implements [driver.Bucket].
func (d *fileDriver) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errTaken):
		return gcerrors.FailedPrecondition
	case errors.Is(err, errors.ErrUnsupported):
		return gcerrors.Unimplemented
	case errors.Is(err, errKey):
		return gcerrors.InvalidArgument
	case errors.Is(err, fs.ErrNotExist):
		return gcerrors.NotFound
	case errors.Is(err, fs.ErrPermission):
		return gcerrors.PermissionDenied
	case errors.Is(err, ErrFull):
		return gcerrors.ResourceExhausted
	}
	return gcerrors.Unknown
}

// As implements [driver.Bucket]: there is nothing to show.
func (d *fileDriver) As(any) bool { return false }

// ErrorAs implements [driver.Bucket]: errors.As on the error does it.
func (d *fileDriver) ErrorAs(error, any) bool { return false }

func nothingAs(any) bool { return false }

// before calls a hook of the blob library.
func before(hook func(func(any) bool) error) error {
	if hook == nil {
		return nil
	}
	return hook(nothingAs)
}

var errKey = errors.New("key is empty")

func (d *fileDriver) path(key string) (string, error) {
	if key == "" {
		return "", errKey
	}
	return filepath.Join(d.root, filepath.FromSlash(fileName(key))), nil
}

// open opens an object's file. A directory is no object.
func (d *fileDriver) open(key string) (*os.File, fs.FileInfo, error) {
	path, err := d.path(key)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, absent(err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// absent makes of "a part of the path is a file" what it means for a key: no such object.
func absent(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// Attributes implements [driver.Bucket].
func (d *fileDriver) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	f, info, err := d.open(key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return &driver.Attributes{
		ContentType: contentType,
		ModTime:     info.ModTime(),
		Size:        info.Size(),
		ETag:        fmt.Sprintf("\"%x-%x\"", info.ModTime().UnixNano(), info.Size()),
	}, nil
}

const contentType = "application/octet-stream"

// fileReader reads a part of an object.
type fileReader struct {
	io.Reader
	file *os.File
	info fs.FileInfo
}

// NewRangeReader implements [driver.Bucket].
func (d *fileDriver) NewRangeReader(_ context.Context, key string, offset, length int64, opts *driver.ReaderOptions) (driver.Reader, error) {
	f, info, err := d.open(key)
	if err != nil {
		return nil, err
	}
	if err := before(opts.BeforeRead); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if length < 0 {
		length = max(0, info.Size()-offset)
	}
	return &fileReader{Reader: io.NewSectionReader(f, offset, length), file: f, info: info}, nil
}

func (r *fileReader) Close() error { return r.file.Close() }

func (r *fileReader) As(any) bool { return false }

func (r *fileReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: contentType, ModTime: r.info.ModTime(), Size: r.info.Size()}
}

// Copy implements [driver.Bucket].
func (d *fileDriver) Copy(ctx context.Context, dstKey, srcKey string, opts *driver.CopyOptions) error {
	f, _, err := d.open(srcKey)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := d.newWriter(ctx, dstKey, &driver.WriterOptions{BeforeWrite: opts.BeforeCopy})
	if err != nil {
		return err
	}
	_ = w.Upload(f) // Close reports it
	return w.Close()
}

// Delete implements [driver.Bucket]. It also removes the directories that it leaves empty, except those right under
// the root. A creator that meanwhile wants one makes it again.
func (d *fileDriver) Delete(_ context.Context, key string, opts *driver.DeleteOptions) error {
	if d.temp == nil {
		return errReadOnly
	}
	if err := before(opts.BeforeDelete); err != nil {
		return err
	}
	path, err := d.path(key)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "delete", Path: path, Err: fs.ErrNotExist}
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return absent(err)
	}
	for dir := filepath.Dir(path); d.depth(dir) > 1 && syscall.Rmdir(dir) == nil; {
		dir = filepath.Dir(dir)
	}
	return nil
}

// depth counts the directories from the root down to dir, the root itself not counted.
func (d *fileDriver) depth(dir string) int {
	rest := strings.Trim(strings.TrimPrefix(dir, d.root), string(filepath.Separator))
	if rest == "" {
		return 0
	}
	return 1 + strings.Count(rest, string(filepath.Separator))
}

// SignedURL implements [driver.Bucket]: files have none.
func (d *fileDriver) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", fmt.Errorf("signed URLs: %w", errors.ErrUnsupported)
}
