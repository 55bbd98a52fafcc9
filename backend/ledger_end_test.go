package backend_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

// I10: a ledger that lost its last records, or one in the middle, is told from one that ends there.
func TestLostEndOfTheLedgerIsTold(t *testing.T) {
	cases := map[string]struct {
		damage  func(*memObjects)
		missing string // empty: nothing
	}{
		"whole":                   {func(*memObjects) {}, ""},
		"without a hint":          {func(m *memObjects) { delete(m.objects, "ledger/head") }, ""},
		"newest record":           {func(m *memObjects) { delete(m.objects, recordKey(20)) }, recordKey(20)},
		"all but a few":           {func(m *memObjects) { deleteRecords(m, 5, 20) }, recordKey(5)},
		"record before the hint":  {func(m *memObjects) { delete(m.objects, recordKey(7)) }, ""},
		"record behind the floor": {func(m *memObjects) { delete(m.objects, "ledger/head"); deleteRecords(m, 1, 4) }, recordKey(1)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store := newMemObjects()
			l, rec := openLedger(t, store)
			grow(t, l, rec, 20)
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.damage(store)
			reader, newest, err := backend.OpenReader(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			err = reader.CheckEnd(t.Context(), newest)
			var missing *backend.MissingError
			if c.missing == "" && err != nil || c.missing != "" && (!errors.As(err, &missing) || missing.Object != c.missing) {
				t.Errorf("newest record %d: got %v, want a MissingError of %q", newest.Seq, err, c.missing)
			}
		})
	}
}

// The look for the end costs the same however much is retained, and finds what lies behind a gap of any size up to it.
func TestLookForTheEndIsBounded(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	rec = grow(t, l, rec, 5)
	var newest *backend.Record
	for range 3 {
		newest, rec = rec, grow(t, l, rec, 990)
		yields := 0
		counted := l.Fork(countingLists{store, &yields})
		if err := counted.CheckEnd(t.Context(), rec); err != nil {
			t.Errorf("record %d, the newest: %v", rec.Seq, err)
		}
		if yields > 2000 {
			t.Errorf("record %d, the newest: %d names listed, want at most 2,000", rec.Seq, yields)
		}
	}
	deleteRecords(store, newest.Seq+1, rec.Seq-1)
	var missing *backend.MissingError
	if err := l.CheckEnd(t.Context(), newest); !errors.As(err, &missing) || missing.Object != recordKey(newest.Seq+1) {
		t.Errorf("record %d is the newest before a gap that ends at %d: got %v, want a MissingError", newest.Seq, rec.Seq, err)
	}
}

// countingLists counts the names that lists yield.
type countingLists struct {
	*memObjects
	yields *int
}

func (c countingLists) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	return c.memObjects.List(ctx, prefix, func(key string, size int64) bool {
		*c.yields++
		return yield(key, size)
	})
}

// Records that came meanwhile are no fault.
func TestEndThatMovesOnIsNoFault(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	grow(t, l, rec, 20)
	if err := l.CheckEnd(t.Context(), rec); err != nil {
		t.Errorf("end of the ledger, seen from record %d of 20: %v", rec.Seq, err)
	}
}

func deleteRecords(m *memObjects, from, to uint64) {
	for seq := from; seq <= to; seq++ {
		delete(m.objects, recordKey(seq))
	}
}
