package backend_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// heedless is a store that writes over what stands.
type heedless struct {
	backend.Objects
	lies bool // and says that it did not
}

func (h heedless) Create(ctx context.Context, key string, data []byte) error {
	_, err := h.Get(ctx, key, backend.Range{})
	if putErr := h.Put(ctx, key, data); putErr != nil || err != nil || !h.lies {
		return putErr
	}
	return backend.ErrExists
}

// TestProbeRefusesAStoreWithoutCreateIfAbsent (I1).
func TestProbeRefusesAStoreWithoutCreateIfAbsent(t *testing.T) {
	for _, lies := range []bool{false, true} {
		store := backendtest.Open(t, backend.InProcess()).Objects()
		var want *backend.PreconditionError
		if err := backend.Probe(t.Context(), heedless{store, lies}); !errors.As(err, &want) {
			t.Errorf("probe of a store that overwrites (says it does not: %t): got %v, want PreconditionError", lies, err)
		}
		wantEmpty(t, store)
	}
}

// TestProbeIsFourRequestsAndLeavesNothing, also when the answer to the first create is lost.
func TestProbeIsFourRequestsAndLeavesNothing(t *testing.T) {
	for _, lost := range []bool{false, true} {
		store := backendtest.Open(t, backend.InProcess()).Objects()
		f := backendtest.NewFaults(store, 1)
		if lost {
			f.Add(backendtest.Rule{Op: backendtest.Create, Times: 1, After: true, Err: backend.ErrExists})
		}
		if err := backend.Probe(t.Context(), f); err != nil {
			t.Errorf("probe, answer lost %t: %v", lost, err)
		}
		if n := len(f.Journal()); n != 4 {
			t.Errorf("probe: got %d requests %v, want 4", n, f.Journal())
		}
		wantEmpty(t, store)
	}
}

func TestProbePassesOnWhatFails(t *testing.T) {
	for _, op := range []backendtest.Op{backendtest.Create, backendtest.Get, backendtest.Delete} {
		f := backendtest.NewFaults(backendtest.Open(t, backend.InProcess()).Objects(), 1)
		f.Add(backendtest.Rule{Op: op, Err: backend.ErrFull})
		if err := backend.Probe(t.Context(), f); !errors.Is(err, backend.ErrFull) {
			t.Errorf("probe of a store whose %s fails: got %v, want ErrFull", op, err)
		}
	}
}

func wantEmpty(t *testing.T, store backend.Objects) {
	t.Helper()
	err := store.List(t.Context(), "", func(key string, _ int64) bool {
		t.Errorf("object %s is left", key)
		return true
	})
	if err != nil {
		t.Error(err)
	}
}
