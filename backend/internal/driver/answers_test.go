package driver_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// alone keeps the machine's own accounts out of a test.
func alone(t *testing.T) {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "GOOGLE_") || strings.HasPrefix(name, "STORAGE_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

func eachDialect(t *testing.T, test func(t *testing.T, d dialect)) {
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) { test(t, d) })
	}
}

var errAny = errors.New("any error but those of Objects")

// is reports whether an error is the wanted one, and no other that means something.
func is(err, want error) bool {
	for _, other := range []error{backend.ErrExists, backend.ErrUnknown, backend.ErrNotFound, io.ErrUnexpectedEOF} {
		if errors.Is(err, other) != errors.Is(want, other) {
			return false
		}
	}
	return (err == nil) == (want == nil)
}

// TestWhatAnswersToACreateMean (I1): a conflict, a full server and a lost answer are no loss, and a refusal is no doubt.
func TestWhatAnswersToACreateMean(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		s, store := open(t, d)
		for i, c := range []struct {
			fault fault
			want  error
			asked string
		}{
			{fault{}, nil, "write"},
			{fault{says: taken}, backend.ErrExists, "write"},
			{fault{says: conflict}, nil, "write write"},
			{fault{says: throttled}, nil, "write write"},
			{fault{says: tooMany}, nil, "write write"},
			{fault{says: broken}, nil, "write write"},
			{fault{cut: "before"}, nil, "write write"},
			{fault{cut: "after"}, nil, "write write get"},
			{fault{says: denied}, errAny, "write"},
			{fault{says: invalid}, errAny, "write"},
			{fault{says: noBucket}, errAny, "write"},
			{fault{says: foreign}, errAny, "write"},
		} {
			s.will(c.fault)
			err := store.Objects().Create(t.Context(), fmt.Sprint("ledger/", i), []byte("mine"))
			if got := strings.Join(s.asked(), " "); !is(err, c.want) || got != c.asked {
				t.Errorf("create that meets %+v: got %v after %s, want %v after %s", c.fault, err, got, c.want, c.asked)
			}
		}
	})
}

// TestALostRaceIsNotWonByALostAnswer (I1).
func TestALostRaceIsNotWonByALostAnswer(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		s, store := open(t, d)
		if err := store.Objects().Create(t.Context(), "k", []byte("theirs")); err != nil {
			t.Fatal(err)
		}
		for _, f := range []fault{{cut: "after"}, {cut: "before"}, {says: conflict}} {
			s.will(f)
			if err := store.Objects().Create(t.Context(), "k", []byte("mine")); !is(err, backend.ErrExists) {
				t.Errorf("create of a taken key that meets %+v: got %v, want ErrExists", f, err)
			}
		}
	})
}

// TestWhatAnswersToAGetMean (I10): only an object that is missing from a bucket that is there is not found.
func TestWhatAnswersToAGetMean(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		s, store := open(t, d)
		if err := store.Objects().Create(t.Context(), "k", []byte("0123456789")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			fault fault
			part  backend.Range
			want  error
			asked int
		}{
			{fault{}, backend.Range{}, nil, 1},
			{fault{}, backend.Range{Offset: 3, Size: 2}, nil, 1},
			{fault{}, backend.Range{Offset: 10}, nil, 2},
			{fault{}, backend.Range{Offset: 10, Size: 1}, io.ErrUnexpectedEOF, 1},
			{fault{}, backend.Range{Offset: 11}, io.ErrUnexpectedEOF, 2},
			{fault{}, backend.Range{Offset: 1, Size: 1<<63 - 1}, io.ErrUnexpectedEOF, 1},
			{fault{says: absent}, backend.Range{}, backend.ErrNotFound, 1},
			{fault{says: noBucket}, backend.Range{}, errAny, 1},
			{fault{says: foreign}, backend.Range{}, errAny, 1},
			{fault{says: denied}, backend.Range{}, errAny, 1},
			{fault{says: throttled}, backend.Range{}, nil, 2},
			{fault{says: broken}, backend.Range{}, nil, 2},
			{fault{cut: "before"}, backend.Range{}, nil, 2},
			{fault{cut: "within"}, backend.Range{}, nil, 2},
		} {
			s.will(c.fault)
			got, err := store.Objects().Get(t.Context(), "k", c.part)
			if n := len(s.asked()); !is(err, c.want) || n != c.asked && (d.name != "gs" || c.fault.cut == "") { // Google's own library goes on reading
				t.Errorf("get %+v that meets %+v: got %q, %v after %v, want %v after %d requests", c.part, c.fault, got, err, s.asked(), c.want, c.asked)
			}
			if end := min(10, c.part.Offset+c.part.Size); err == nil && c.part.Size > 0 && string(got) != "0123456789"[c.part.Offset:end] {
				t.Errorf("get %+v: got %q", c.part, got)
			}
		}
	})
}

func TestADeleteIsRepeatedAndRefused(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		s, store := open(t, d)
		for _, c := range []struct {
			fault fault
			want  error
		}{
			{fault{says: throttled}, nil},
			{fault{cut: "before"}, nil},
			{fault{cut: "after"}, nil},
			{fault{says: denied}, errAny},
			{fault{says: invalid}, errAny},
		} {
			if err := store.Objects().Put(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			s.will(c.fault)
			if err := store.Objects().Delete(t.Context(), "k"); !is(err, c.want) {
				t.Errorf("delete that meets %+v: got %v, want %v", c.fault, err, c.want)
			}
		}
	})
}

func TestRequestsAreCounted(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		s, store := open(t, d)
		before := store.Requests()
		s.will(fault{says: throttled}, fault{cut: "after"})
		if err := store.Objects().Create(t.Context(), "k", []byte("x")); err != nil {
			t.Fatal(err)
		}
		after := store.Requests()
		got := []int64{after.Creates.Asked - before.Creates.Asked, after.Gets.Asked - before.Gets.Asked, after.Total().Repeated, after.Throttled, after.Unknown}
		if want := []int64{3, 1, 2, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("create, throttled, then lost: got creates, gets, retries, throttled, unknown %v, want %v", got, want)
		}
		got = []int64{before.Creates.Asked, before.Gets.Asked, before.Deletes.Asked, before.Total().Asked}
		if want := []int64{2, 1, 1, 4}; !slices.Equal(got, want) {
			t.Errorf("open: got creates, gets, deletes, all requests %v, want %v", got, want)
		}
	})
}

// TestNobodyListening: a server that is not there is neither an empty store nor a loss.
func TestNobodyListening(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		alone(t)
		store, err := d.config("http://127.0.0.1:1").OpenReader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := store.Objects().Get(ctx, "ledger/1", backend.Range{}); !is(err, errAny) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get from nobody: got %v, want the refused connection and the deadline", err)
		}
		if store.Requests().Total().Repeated == 0 {
			t.Error("get from nobody: got no retry")
		}
	})
}
