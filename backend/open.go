package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/memblob"

	cloud "github.com/sheaf-go/sheaf/backend/internal/driver"
)

// userPrefix is where the embedding program's own objects are: never read, never collected.
const userPrefix = "user/"

// Store is an open store. Its owner closes it.
type Store struct {
	config  Config
	gate    *gate
	count   *requestCounts
	objects *blob.Bucket
	user    *blob.Bucket
	lock    *storeLock       // nil: none is needed
	remote  cloud.Connection // nil: the store is of this machine
	opening Opening

	once     sync.Once
	closeErr error
}

// Open opens the store for an instance, alone or as one of several, and makes its directory if there is none. It
// checks that the store honours create-if-absent. A store, or an instance id, in use is a [LockedError]; every opening
// of a store in memory is a new, empty one. One behind a server is asked for up to a minute before it is given up.
func (c Config) Open(ctx context.Context) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	began := time.Now()
	s, err := c.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.place(), err)
	}
	opened := time.Now()
	if err := probe(ctx, s.Objects()); err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.place(), errors.Join(err, s.Close()))
	}
	s.opening = Opening{Place: c.place(), Began: began, Opened: opened, Probed: time.Now()}
	return s, nil
}

// Opening says how an opening went.
type Opening struct {
	Place  string // without secrets
	Began  time.Time
	Opened time.Time // its lock was taken, its connection made
	Probed time.Time // it was seen to honour create-if-absent
}

// OpenReader opens a store only to read it: it takes no lock and makes nothing, and may be used beside the store's
// owners. A store that is not there is [fs.ErrNotExist]; so is one in memory, which only its own process can read.
func (c Config) OpenReader(ctx context.Context) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s, err := c.openReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("open store %s for reading: %w", c.place(), err)
	}
	return s, nil
}

// OpenBucket opens the part of the store that is the caller's own, under user/, for any objects of theirs. It takes no
// lock: it may be used beside open stores and other buckets, here and in other processes. The caller closes it.
// For a store in memory it is a new, empty one: [Store.Bucket] is the one that goes with a store.
func (c Config) OpenBucket(ctx context.Context) (*blob.Bucket, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b, err := c.openBucket(ctx, userPrefix)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", c.place(), err)
	}
	return b, nil
}

// OpenURL opens a bucket for objects that have nothing to do with a store, but are written like a store's: whole,
// durable, and created once where [blob.WriterOptions] says IfNotExist. A directory is made if there is none. The
// caller closes it. A mem:// bucket is a new, empty one.
func OpenURL(ctx context.Context, url string) (*blob.Bucket, error) {
	c := Config{Backend: KindObjectStore, URL: url}
	b, err := c.openBucket(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", c.place(), err)
	}
	return b, nil
}

// Config returns what the store was opened with.
func (s *Store) Config() Config { return s.config.Clone() }

// Objects returns what Sheaf keeps in the store. After Close its methods return [ErrClosed].
func (s *Store) Objects() Objects {
	return &retrying{
		requests: &counted{&bucketRequests{bucket: s.objects, gate: s.gate, count: s.count, remote: s.remote}, s.count},
		count:    s.count, wait: s.gate.wait, jitter: rand.Float64,
	}
}

// Opening says how the store was opened; of one opened to read it is zero.
func (s *Store) Opening() Opening { return s.opening }

// Requests counts what was asked of the store through its [Store.Objects] since it was opened.
func (s *Store) Requests() Requests { return s.count.now() }

// Bucket returns the caller's own part of the store, under user/. It is open as long as the store is.
func (s *Store) Bucket() *blob.Bucket { return s.user }

// Format writes where the store is, for every verb: a connection holds credentials.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "store "+s.config.place()) }

// Close ends the requests that are under way, waits for them and frees the store. It may be called twice.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.gate.shut()
		_ = s.user.Close() // the caller may have closed it
		s.closeErr = s.objects.Close()
		if s.remote != nil {
			s.closeErr = errors.Join(s.closeErr, s.remote.Close())
		}
		if s.lock != nil {
			s.closeErr = errors.Join(s.closeErr, s.lock.release())
		}
	})
	return s.closeErr
}

func (c Config) open(ctx context.Context) (*Store, error) {
	h, err := c.home()
	switch {
	case err != nil:
		return nil, err
	case h.connect != nil:
		return c.onServer(ctx, h)
	case h.dir == "":
		return c.inMemory(), nil
	}
	if err := osDisk().makeDir(h.dir); err != nil {
		return nil, named(err)
	}
	lock, err := lockStore(h.dir, c.Instance(), c.Backend == KindLocal)
	if err != nil {
		return nil, err
	}
	temp, err := openTempDir(h.dir)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return c.onDisk(openFileDriver(h.dir, temp), lock), nil
}

func (c Config) openReader(ctx context.Context) (*Store, error) {
	h, err := c.home()
	switch {
	case err != nil:
		return nil, err
	case h.connect != nil:
		return c.onServer(ctx, h)
	case h.dir == "":
		return nil, fmt.Errorf("it is in the memory of the process that opened it: %w", fs.ErrNotExist)
	}
	if err := mustBeDir(h.dir); err != nil {
		return nil, err
	}
	return c.onDisk(openFileDriver(h.dir, nil), nil), nil
}

func (c Config) openBucket(ctx context.Context, prefix string) (*blob.Bucket, error) {
	h, err := c.home()
	switch {
	case err != nil:
		return nil, err
	case h.connect != nil:
		return c.serverBucket(ctx, h, prefix)
	case h.dir == "":
		return memblob.OpenBucket(nil), nil
	}
	if err := osDisk().makeDir(h.dir); err != nil {
		return nil, named(err)
	}
	temp, err := openTempDir(h.dir)
	if err != nil {
		return nil, err
	}
	return blob.NewBucket(driver.NewPrefixedBucket(openFileDriver(h.dir, temp), prefix)), nil
}

// home is where a store is: in a directory, absolute; behind a connection; or, if it has neither, in memory.
type home struct {
	dir     string
	connect cloud.Connect
	url     StoreURL
}

func (c Config) home() (home, error) {
	if dir, ok := c.LocalDir(); ok {
		dir, err := filepath.Abs(dir)
		return home{dir: dir}, err
	}
	if c.Backend == KindInProcess {
		return home{}, nil
	}
	u, err := ParseURL(c.URL)
	if err != nil || u.Driver() == "" {
		return home{}, err
	}
	connect := cloud.Linked(u.Scheme)
	if connect == nil {
		return home{}, &DriverError{Scheme: u.Scheme, Import: u.Driver()}
	}
	return home{connect: connect, url: u}, nil
}

// place names the store for people.
func (c Config) place() string {
	switch c.Backend {
	case KindLocal:
		return c.Path
	case KindObjectStore:
		return RedactURL(c.URL)
	}
	return "in_process"
}

// inMemory makes a store in memory. The caller's part is a store of its own: nobody can tell.
func (c Config) inMemory() *Store {
	return &Store{
		config:  c.Clone(),
		gate:    newGate(),
		count:   &requestCounts{},
		objects: memblob.OpenBucket(&memblob.Options{NoMD5: true}),
		user:    memblob.OpenBucket(nil),
	}
}

func (c Config) onDisk(d *fileDriver, lock *storeLock) *Store {
	return &Store{
		config:  c.Clone(),
		gate:    newGate(),
		count:   &requestCounts{},
		objects: blob.NewBucket(d),
		user:    blob.NewBucket(borrowed{driver.NewPrefixedBucket(d, userPrefix)}),
		lock:    lock,
	}
}

// borrowed is a driver that somebody else closes.
type borrowed struct{ driver.Bucket }

// Close implements [driver.Bucket].
func (borrowed) Close() error { return nil }
