package backend_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// TestLocalIsShorthand: a local store and an object store at file:// open what the other wrote.
func TestLocalIsShorthand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	local, shared := backend.Local(dir), backend.ObjectStore(fileURL(dir), "local")
	for i, c := range []struct{ writes, reads backend.Config }{{local, shared}, {shared, local}} {
		key := string(rune('a' + i))
		w := backendtest.Open(t, c.writes)
		if err := w.Objects().Create(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r := backendtest.Open(t, c.reads)
		if _, err := r.Objects().Get(t.Context(), key, backend.Range{}); err != nil {
			t.Errorf("written through %v, read through %v: %v", c.writes, c.reads, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Errorf("object a is no plain file: %v", err)
	}
}

func TestEveryOpeningInMemoryIsEmpty(t *testing.T) {
	for _, c := range []backend.Config{backend.InProcess(), backend.ObjectStore("mem://", "a")} {
		first, second := backendtest.Open(t, c), backendtest.Open(t, c)
		if err := first.Objects().Create(t.Context(), "k", nil); err != nil {
			t.Fatal(err)
		}
		wantEmpty(t, second.Objects())
	}
}

// TestCallersBucketIsApart: what the caller stores is under user/, in the same store, and outlives neither view.
func TestCallersBucketIsApart(t *testing.T) {
	for name, c := range configs(t) {
		t.Run(name, func(t *testing.T) {
			s := backendtest.Open(t, c)
			if err := s.Bucket().WriteAll(t.Context(), "mine", []byte("x"), nil); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Objects().Get(t.Context(), "mine", backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("the caller's object as Sheaf's: got %v, want ErrNotFound", err)
			}
			if err := s.Objects().Create(t.Context(), "ledger/1", nil); err != nil {
				t.Fatal(err)
			}
			if ok, err := s.Bucket().Exists(t.Context(), "ledger/1"); ok || err != nil {
				t.Errorf("Sheaf's object as the caller's: got %t, %v, want none", ok, err)
			}
			if err := s.Bucket().Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Objects().Create(t.Context(), "ledger/2", nil); err != nil {
				t.Errorf("create after the caller closed its bucket: %v", err)
			}
		})
	}
}

// TestBucketIsSharedBesideOpenStores: OpenBucket takes no lock, and sees what a store's bucket wrote.
func TestBucketIsSharedBesideOpenStores(t *testing.T) {
	c := backend.Local(t.TempDir())
	s := backendtest.Open(t, c)
	b, err := c.OpenBucket(t.Context())
	if err != nil {
		t.Fatalf("open bucket beside the store: %v", err)
	}
	if err := s.Bucket().WriteAll(t.Context(), "mine", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if got, err := b.ReadAll(t.Context(), "mine"); err != nil || string(got) != "x" {
		t.Errorf("read through OpenBucket: got %q, %v, want x", got, err)
	}
	if got, err := s.Objects().Get(t.Context(), "user/mine", backend.Range{}); err != nil || string(got) != "x" {
		t.Errorf("user/mine in the store: got %q, %v, want x", got, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Bucket().WriteAll(t.Context(), "mine", []byte("y"), nil); err != nil {
		t.Errorf("write after the other bucket was closed: %v", err)
	}
}

// TestURLBucketIsTheDirectory: OpenURL keeps objects right under the directory, which it makes, and creates them once.
func TestURLBucketIsTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	b, err := backend.OpenURL(t.Context(), fileURL(dir))
	if err != nil {
		t.Fatal(err)
	}
	once := &blob.WriterOptions{IfNotExist: true}
	if err := b.WriteAll(t.Context(), "a.json", []byte("x"), once); err != nil {
		t.Fatal(err)
	}
	if err := b.WriteAll(t.Context(), "a.json", []byte("y"), once); gcerrors.Code(err) != gcerrors.FailedPrecondition {
		t.Errorf("create a.json again: got %v, want a failed precondition", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.json")); err != nil || string(got) != "x" {
		t.Errorf("a.json: got %q, %v, want x", got, err)
	}
	var missing *backend.DriverError
	if _, err := backend.OpenURL(t.Context(), "s3://bucket/prefix"); !errors.As(err, &missing) {
		t.Errorf("open s3://bucket/prefix: got %v, want a DriverError", err)
	}
}

// TestReaderTakesNothing: it reads beside the owner, takes no lock, and leaves the directory as it was.
func TestReaderTakesNothing(t *testing.T) {
	c := backend.Local(t.TempDir())
	owner := backendtest.Open(t, c)
	if err := owner.Objects().Create(t.Context(), "ledger/1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, c.Path)
	r, err := c.OpenReader(t.Context())
	if err != nil {
		t.Fatalf("open reader beside the owner: %v", err)
	}
	if got, err := r.Objects().Get(t.Context(), "ledger/1", backend.Range{}); err != nil || string(got) != "x" {
		t.Errorf("read: got %q, %v, want x", got, err)
	}
	for name, err := range map[string]error{
		"create": r.Objects().Create(t.Context(), "ledger/2", nil),
		"put":    r.Objects().Put(t.Context(), "ledger/1", nil),
		"delete": r.Objects().Delete(t.Context(), "ledger/1"),
	} {
		if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, backend.ErrUnknown) {
			t.Errorf("%s through a reader: got %v, want a refusal", name, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if after := tree(t, c.Path); !slices.Equal(before, after) {
		t.Errorf("a reader changed the directory from %q to %q", before, after)
	}
}

func TestReaderOfNothingIsAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	for _, c := range []backend.Config{backend.Local(dir), backend.ObjectStore(fileURL(dir), "a"), backend.InProcess(), backend.ObjectStore("mem://", "a")} {
		if _, err := c.OpenReader(t.Context()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open reader of %v: got %v, want ErrNotExist", c, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the reader made %s: %v", dir, err)
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := backend.Local(file).Open(t.Context()); err == nil {
		t.Error("open of a file as a store: got no error")
	}
	if _, err := backend.Local("").Open(t.Context()); err == nil {
		t.Error("open of an invalid config: got no error")
	}
	for _, url := range []string{"s3://bucket/prefix", "gs://bucket", "azblob://bucket"} {
		var missing *backend.DriverError
		if _, err := backend.ObjectStore(url, "a").Open(t.Context()); !errors.As(err, &missing) || missing.Import == "" {
			t.Errorf("open of %s: got %v, want DriverError with the import", url, err)
		}
	}
}

// tree lists a directory with what its files hold.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			all = append(all, path)
			return err
		}
		data, err := os.ReadFile(path)
		all = append(all, path+" "+string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
