package backend_test

import (
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
