package backend

import (
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/memblob"
)

// Disk is the file driver's seam to the file system.
type Disk struct {
	Sync    func(f *os.File) error
	Link    func(temp, final string) error
	Rename  func(temp, final string) error
	SyncDir func(dir string) error
}

// OSDisk is the real one.
func OSDisk() Disk {
	d := osDisk()
	return Disk{Sync: d.sync, Link: d.link, Rename: d.rename, SyncDir: d.syncDir}
}

// OpenFileDriver opens the file driver on a directory.
func OpenFileDriver(root string, d Disk) (driver.Bucket, error) {
	temp, err := openTempDir(root)
	if err != nil {
		return nil, err
	}
	f := openFileDriver(root, temp)
	f.disk = disk{sync: d.Sync, link: d.Link, rename: d.Rename, syncDir: d.SyncDir}
	return f, nil
}

// Probe is the check at open.
var Probe = probe

// FileName and KeySegment map keys to names and back.
var (
	FileName   = fileName
	KeySegment = keySegment
)

// NewStore makes a store over a bucket.
func NewStore(b *blob.Bucket) *Store {
	return &Store{gate: newGate(), count: &requestCounts{}, objects: b, user: memblob.OpenBucket(nil)}
}

// Single is what Objects is made of.
type (
	Single = requests
	Listed = listedObject
)

// ErrTransient is what an error is after which a request is repeated.
var ErrTransient = errTransient

func NewListed(key string, size int64) Listed { return Listed{key: key, size: size} }

// Repeating makes a store of requests, with the lot that shortens pauses, and counts what it repeats. closing ends it.
func Repeating(r Single, lot func() float64) (objects Objects, retries func() int64, closing func()) {
	g, count := newGate(), &requestCounts{}
	return &retrying{requests: r, count: count, wait: g.wait, jitter: lot}, func() int64 { return count.now().Total().Repeated }, g.shut
}
