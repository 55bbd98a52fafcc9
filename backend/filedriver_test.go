package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/drivertest"
	"gocloud.dev/gcerrors"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// driverHarness is what the blob library's conformance tests want to know of the file driver.
type driverHarness struct{ dir string }

func (h driverHarness) MakeDriver(context.Context) (driver.Bucket, error) {
	return backend.OpenFileDriver(h.dir, backend.OSDisk())
}

func (driverHarness) MakeDriverForNonexistentBucket(context.Context) (driver.Bucket, error) {
	return nil, nil
}
func (driverHarness) HTTPClient() *http.Client         { return nil }
func (driverHarness) SupportsCopy() bool               { return true }
func (driverHarness) SupportsNonSlashDelimiters() bool { return true }
func (driverHarness) Close()                           {}

// TestFileDriverConformsToBlobLibrary leaves out what needs content types and metadata, which files do not have.
func TestFileDriverConformsToBlobLibrary(t *testing.T) {
	drivertest.RunConformanceTests(t, func(_ context.Context, t *testing.T) (drivertest.Harness, error) {
		_, test, _ := strings.Cut(t.Name(), "/")
		skip := []string{
			"TestAttributes", "TestCopy/Works", "TestCopy/DoesNotAliasAttributes",
			"TestMetadata/valid_metadata", "TestMetadata/valid_metadata_with_empty_body",
			"TestMetadata/valid_metadata_with_content_type", "TestMetadata/weird_metadata_keys",
		}
		if slices.Contains(skip, test) || strings.HasPrefix(test, "TestWrite/") && strings.Contains(test, "ContentType") && !strings.Contains(test, "invalid") {
			t.Skip("the file driver keeps no content types and no metadata")
		}
		return driverHarness{t.TempDir()}, nil
	}, nil)
}

// openDriver opens a bucket on the file driver.
func openDriver(t *testing.T, root string, disk backend.Disk) *blob.Bucket {
	t.Helper()
	d, err := backend.OpenFileDriver(root, disk)
	if err != nil {
		t.Fatalf("open driver: %v", err)
	}
	b := blob.NewBucket(d)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// fileObjects opens Sheaf's own part on the file driver.
func fileObjects(t *testing.T, root string, disk backend.Disk) backend.Objects {
	t.Helper()
	return backend.NewStore(openDriver(t, root, disk)).Objects()
}

func TestFileDriverCopies(t *testing.T) {
	b := openDriver(t, t.TempDir(), backend.OSDisk())
	ctx := t.Context()
	for key, data := range map[string]string{"from": "new", "to": "a longer old"} {
		if err := b.WriteAll(ctx, key, []byte(data), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Copy(ctx, "to", "from", nil); err != nil {
		t.Fatalf("copy: %v", err)
	}
	if got, err := b.ReadAll(ctx, "to"); err != nil || string(got) != "new" {
		t.Errorf("read the copy: got %q, %v, want new", got, err)
	}
}

func TestFileDriverRefusesMetadata(t *testing.T) {
	b := openDriver(t, t.TempDir(), backend.OSDisk())
	for name, opts := range map[string]*blob.WriterOptions{
		"metadata":      {Metadata: map[string]string{"a": "b"}},
		"cache control": {CacheControl: "no-store"},
	} {
		if err := b.WriteAll(t.Context(), "a", nil, opts); gcerrors.Code(err) != gcerrors.Unimplemented {
			t.Errorf("write with %s: got %v, want Unimplemented", name, err)
		}
	}
}

func TestKeysMapToFilesAndBack(t *testing.T) {
	for key, want := range map[string]string{
		"ledger/00000000000000000001":                           "ledger/00000000000000000001",
		"segment/7/node-0-0192f0c1-7e2a-7c3e-9b1e-6a1d2f3c4b5a": "segment/7/node-0-0192f0c1-7e2a-7c3e-9b1e-6a1d2f3c4b5a",
		"..":              "%2E%2E",
		"../a":            "%2E%2E/a",
		".sheaf/tmp":      "%2Esheaf/tmp",
		"a//b/":           "a/%/b/%",
		"/":               "%/%",
		"100%":            "100%25",
		"%41":             "%2541",
		"back\\slash":     "back%5Cslash",
		"a:b*c?d\"e<f>|g": "a%3Ab%2Ac%3Fd%22e%3Cf%3E%7Cg",
		"line\nfeed\x7f":  "line%0Afeed%7F",
		"blank /dot.":     "blank%20/dot%2E",
		"nul/COM1.txt":    "%6Eul/%43OM1.txt",
		"console/com10":   "console/com10",
		"grüße/☺":         "grüße/☺",
	} {
		got := backend.FileName(key)
		if got != want {
			t.Errorf("file of %q: got %q, want %q", key, got, want)
		}
		var back []string
		for _, name := range strings.Split(got, "/") {
			segment, ok := backend.KeySegment(name)
			if !ok {
				t.Errorf("file %q of %q names no key", got, key)
			}
			back = append(back, segment)
		}
		if strings.Join(back, "/") != key {
			t.Errorf("key of %q: got %q, want %q", got, back, key)
		}
	}
}

func FuzzKeysMapToFilesAndBack(f *testing.F) {
	for _, name := range []string{"a", "%", "%2E", "%2e", ".x", "a.", "%%", "CON", "%41", "%FF", "/", "%2F"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if segment, ok := backend.KeySegment(name); ok && backend.FileName(segment) != name {
			t.Errorf("name %q: got key %q, which is stored as %q", name, segment, backend.FileName(segment))
		}
		for _, segment := range strings.Split(backend.FileName(name), "/") {
			if segment == "" || segment[0] == '.' || strings.ContainsAny(segment, "\\:*?\"<>|\x00") {
				t.Errorf("key %q is stored as %q", name, segment)
			}
		}
	})
}

// TestListSkipsWhatIsNoObject puts other people's files and links into the tree.
func TestListSkipsWhatIsNoObject(t *testing.T) {
	root := t.TempDir()
	b := openDriver(t, root, backend.OSDisk())
	if err := b.WriteAll(t.Context(), "a/b", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".DS_Store", "a/.hidden", "a/%zz", "a/%2e"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "empty", "dir"), 0o777); err != nil {
		t.Fatal(err)
	}
	var got []string
	for list := b.List(nil); ; {
		object, err := list.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, object.Key)
	}
	if !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("list: got %q, want a/b alone", got)
	}
}

// TestDeleteLeavesNoEmptyDirectory but those right under the root, whose names a writer holds for durable.
func TestDeleteLeavesNoEmptyDirectory(t *testing.T) {
	root := t.TempDir()
	objects := fileObjects(t, root, backend.OSDisk())
	for _, key := range []string{"segment/1/deep/a", "segment/2/b"} {
		if err := objects.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := objects.Delete(t.Context(), "segment/1"); err != nil {
		t.Errorf("delete of a directory's name: %v", err)
	}
	if err := objects.Delete(t.Context(), "segment/1/deep/a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "segment", "1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("segment/1 after its last object: got %v, want that it is gone", err)
	}
	if err := objects.Delete(t.Context(), "segment/2/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "segment")); err != nil {
		t.Errorf("segment after its last object: %v, want that it stays", err)
	}
}

// TestDeletesRefuseNoCreate: unlike a server, the file driver refuses no create for a delete that empties its directory.
func TestDeletesRefuseNoCreate(t *testing.T) {
	objects := backendtest.Open(t, backend.Local(filepath.Join(t.TempDir(), "store"))).Objects()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 100 {
				key := fmt.Sprintf("segment/7/deep/%d-%d", i, n)
				if err := objects.Create(t.Context(), key, []byte(key)); err != nil {
					t.Errorf("create %s: %v", key, err)
				}
				if err := objects.Delete(t.Context(), key); err != nil {
					t.Errorf("delete %s: %v", key, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestKeyThatIsADirectoryIsRefused keeps a create that can never succeed from looking like a lost race.
func TestKeyThatIsADirectoryIsRefused(t *testing.T) {
	objects := fileObjects(t, t.TempDir(), backend.OSDisk())
	if err := objects.Create(t.Context(), "a/b", nil); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b/c"} {
		err := objects.Create(t.Context(), key, nil)
		if err == nil || errors.Is(err, backend.ErrExists) || errors.Is(err, backend.ErrUnknown) {
			t.Errorf("create %s beside a/b: got %v, want a plain error", key, err)
		}
	}
	long := strings.Repeat("x", 300)
	if err := objects.Create(t.Context(), long, nil); !errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, backend.ErrUnknown) {
		t.Errorf("create of a key of 300 bytes: got %v, want ENAMETOOLONG and no doubt", err)
	}
}
