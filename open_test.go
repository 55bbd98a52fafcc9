package sheaf_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// Everything that is wrong with app and config is reported by one call.
func TestOpenReportsEveryMistake(t *testing.T) {
	app := sheaf.App[string, event, int64, total]{Fold: func(*total, string, *int64) {}, Tries: -1}
	cfg := sheaf.Config{Epoch: 1, SealTimeout: -1, Retain: 1, Names: -1, State: backend.Config{VnodeCapacity: 70_000, Path: "x"}}
	_, err := sheaf.Open(t.Context(), cfg, app)
	for _, want := range []string{
		"Name is empty", "KeyOf is nil", "Update is nil", "Merge is nil", "Tries is negative",
		"Epoch = 1ns", "SealTimeout = -1ns", "Retain = 1", "Names = -1", "state.vnode_capacity = 70000", "state.path",
	} {
		if !strings.Contains(errorText(err), want) {
			t.Errorf("got %q, want it to name %q", err, want)
		}
	}
	if _, ok := errors.AsType[*sheaf.AppError](err); !ok {
		t.Error("got no AppError")
	}
	if _, ok := errors.AsType[*backend.ConfigError](err); !ok {
		t.Error("got no ConfigError")
	}
}

func TestSinksNeedAResult(t *testing.T) {
	app := tallies()
	app.Fold, app.Merge = nil, nil
	_, err := sheaf.Open(t.Context(), sheaf.Config{}, app, &inbox{})
	if e, ok := errors.AsType[*sheaf.AppError](err); !ok || e.Field != "Fold" {
		t.Errorf("got %v, want an AppError that names Fold", err)
	}
	app = tallies()
	app.Name = strings.Repeat("n", 256)
	_, err = sheaf.Open(t.Context(), sheaf.Config{}, app)
	if e, ok := errors.AsType[*sheaf.AppError](err); !ok || e.Field != "Name" {
		t.Errorf("got %v, want an AppError that names Name", err)
	}
}

// renamed is a codec under another id.
type renamed struct{ sheaf.Codec[int64] }

func (renamed) ID() string { return "other" }

type renamedResult struct{ sheaf.Codec[total] }

func (renamedResult) ID() string { return "another" }

// A store that was made with another setting is refused, and every setting that differs is named (I10).
func TestForeignStoreIsRefused(t *testing.T) {
	dir := filledStore(t)
	cases := map[string]struct {
		change func(*sheaf.Config, *tallyApp)
		keys   []string
	}{
		"capacity": {func(c *sheaf.Config, _ *tallyApp) { c.State.VnodeCapacity = 16 }, []string{"vnode_capacity"}},
		"app":      {func(_ *sheaf.Config, a *tallyApp) { a.Name = "other" }, []string{"app"}},
		"codecs": {func(_ *sheaf.Config, a *tallyApp) {
			a.StateCodec, a.ResultCodec = renamed{sheaf.CBOR[int64]()}, renamedResult{sheaf.CBOR[total]()}
		}, []string{"state_codec", "result_codec"}},
		"all": {func(c *sheaf.Config, a *tallyApp) {
			c.State.VnodeCapacity, a.Name, a.StateCodec = 1, "other", renamed{sheaf.CBOR[int64]()}
		}, []string{"vnode_capacity", "app", "state_codec"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg, app := local(dir), tallies()
			c.change(&cfg, &app)
			err := refusedOpen(t, cfg, app)
			if _, ok := errors.AsType[*backend.ForeignError](err); !ok {
				t.Fatalf("got %v, want a ForeignError", err)
			}
			for _, key := range c.keys {
				if !strings.Contains(err.Error(), key+" = ") {
					t.Errorf("got %q, want it to name %s", err, key)
				}
			}
		})
	}
	wantTallies(t, "the store is as it was", reopened(t, dir), tenEach(100))
}

func TestKeysOfAnotherTypeAreRefused(t *testing.T) {
	dir := filledStore(t)
	app := sheaf.App[int64, event, int64, total]{
		Name: "tallies", KeyOf: func(e event) int64 { return e.Add }, Update: tally,
		Fold: func(*total, int64, *int64) {}, Merge: tallies().Merge,
	}
	_, err := sheaf.Open(t.Context(), local(dir), app)
	if e, ok := errors.AsType[*backend.ForeignError](err); !ok || e.Key != "key_codec" || e.Store != "string" || e.Want != "int64" {
		t.Errorf("got %v, want a ForeignError that names key_codec, string and int64", err)
	}
}

func TestStoreInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	in, err := sheaf.Open(t.Context(), local(dir), tallies())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*backend.LockedError](refusedOpen(t, local(dir), tallies())); !ok {
		t.Error("a second instance of the directory: want a LockedError")
	}
	closeAll(t, in)
	reopened(t, dir)
}

// A store with a damaged object is refused with an error that names it, never begun anew (I10).
func TestDamagedStoreIsRefused(t *testing.T) {
	damages := map[string]func(t *testing.T, path string){
		"truncated": func(t *testing.T, path string) { rewrite(t, path, func(b []byte) []byte { return b[:len(b)/2] }) },
		"emptied":   func(t *testing.T, path string) { rewrite(t, path, func([]byte) []byte { return nil }) },
		"flipped": func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte { b[len(b)/2] ^= 0x10; return b })
		},
		"deleted": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	}
	for damage, do := range damages {
		for _, kind := range []string{"segment", "record"} {
			t.Run(damage+" "+kind, func(t *testing.T) {
				dir := filledStore(t)
				object := victim(t, dir, kind)
				do(t, filepath.Join(dir, filepath.FromSlash(object)))
				err := refusedOpen(t, local(dir), tallies())
				wantNamed(t, err, object)
			})
		}
	}
}

// wantNamed checks that an error is of a type that says that an object is damaged, and names the object.
func wantNamed(t *testing.T, err error, object string) {
	t.Helper()
	if e, ok := errors.AsType[*backend.CorruptError](err); ok && e.Object == object {
		return
	}
	if e, ok := errors.AsType[*backend.MissingError](err); ok && e.Object == object {
		return
	}
	t.Errorf("got %v, want a CorruptError or MissingError that names %s", err, object)
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := filledStore(t)
	object := victim(t, dir, "record")
	rewrite(t, filepath.Join(dir, filepath.FromSlash(object)), func(b []byte) []byte {
		binary.LittleEndian.PutUint32(b[8:], 9) // behind the magic; a digest of it all ends a record of any format
		body := b[:len(b)-sha256.Size]
		sum := sha256.Sum256(body)
		return append(body, sum[:]...)
	})
	err := refusedOpen(t, local(dir), tallies())
	if e, ok := errors.AsType[*backend.FormatError](err); !ok || e.Object != object || e.Version != 9 {
		t.Errorf("got %v, want a FormatError that names %s and format 9", err, object)
	}
}

// local is a config with few vnodes on a directory.
func local(dir string) sheaf.Config {
	cfg := small()
	cfg.State.Backend, cfg.State.Path = backend.KindLocal, dir
	return cfg
}

// filledStore is a directory with a few sealed epochs, which an instance has closed.
func filledStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	in, err := sheaf.Open(t.Context(), local(dir), tallies())
	if err != nil {
		t.Fatal(err)
	}
	p := producer(t, in, "p")
	for range 5 {
		send(t, p, repeated(200)...)
		flush(t, p)
	}
	closeAll(t, in)
	return dir
}

func refusedOpen(t *testing.T, cfg sheaf.Config, app tallyApp) error {
	t.Helper()
	in, err := sheaf.Open(t.Context(), cfg, app)
	if err == nil {
		closeAll(t, in)
		t.Fatal("it was opened, want an error")
	}
	return err
}

// reopened is what an instance finds in a directory.
func reopened(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	in, err := sheaf.Open(t.Context(), local(dir), tallies())
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, in)
	return live(t, in)
}

// victim is the newest segment, or the newest record, of a directory.
func victim(t *testing.T, dir, kind string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if key = filepath.ToSlash(key); strings.HasPrefix(key, "segment/") == (kind == "segment") && isNumbered(key) {
			all = append(all, key)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no %s in the store: %v", kind, err)
	}
	slices.Sort(all)
	return all[len(all)-1]
}

// isNumbered reports whether a key is a record's or a segment's.
func isNumbered(key string) bool {
	number, found := strings.CutPrefix(key, "ledger/")
	return !found && strings.HasPrefix(key, "segment/") || len(number) == 20
}

func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
