package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// sums is an app that adds numbers up by their last three digits.
func sums() sheaf.App[uint64, uint64, int64, int64] {
	return sheaf.App[uint64, uint64, int64, int64]{
		Name:   "sums",
		KeyOf:  func(e uint64) uint64 { return e % 1000 },
		Update: func(_ *sheaf.Turn, s *int64, e uint64) error { *s += int64(e); return nil },
	}
}

// pinned is an instance of which little is retained.
type pinned struct {
	*sheaf.Instance[uint64, uint64, int64, int64]
	t *testing.T
	p *sheaf.Producer[uint64, uint64]
}

func openPinned(t *testing.T, dir string) *pinned {
	t.Helper()
	cfg := sheaf.Config{State: backend.Local(dir), Epoch: time.Millisecond, Retain: 2}
	in, err := sheaf.Open(t.Context(), cfg, sums())
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.Producer(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	return &pinned{in, t, p}
}

func (p *pinned) close() {
	p.t.Helper()
	if err := p.Close(context.Background()); err != nil {
		p.t.Error(err)
	}
}

// send sends an event and seals it.
func (p *pinned) send(n uint64) {
	p.t.Helper()
	if _, err := p.p.Send(p.t.Context(), n); err != nil {
		p.t.Fatal(err)
	}
	if err := p.p.Flush(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// sum reads an epoch.
func (p *pinned) sum(e sheaf.Epoch) (int64, error) {
	scan, sum := p.At(p.t.Context(), e), int64(0)
	for _, s := range scan.All() {
		sum += s
	}
	return sum, scan.Err()
}

func (p *pinned) pin(name string) sheaf.Epoch {
	p.t.Helper()
	e, err := p.Pin(p.t.Context(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// TestPinStaysReadable proves I9 for pins: other epochs are collected, a pinned one is not, in the next life of the
// instance either. Dropped, it is.
func TestPinStaysReadable(t *testing.T) {
	dir := t.TempDir()
	in := openPinned(t, dir)
	in.send(7)
	first := in.Status().Epoch
	in.send(1007)
	kept := in.pin("before")
	for range 12 {
		in.send(2007)
	}
	if sum, err := in.sum(kept); err != nil || sum != 1014 {
		t.Errorf("the pinned epoch %d: got %d, %v, want 1014", kept, sum, err)
	}
	if _, err := in.sum(first); !errors.Is(err, sheaf.ErrNoEpoch) {
		t.Errorf("epoch %d, long not retained: got %v, want ErrNoEpoch", first, err)
	}
	in.close()

	in = openPinned(t, dir)
	defer in.close()
	if sum, err := in.sum(kept); err != nil || sum != 1014 {
		t.Errorf("the pinned epoch %d, opened again: got %d, %v, want 1014", kept, sum, err)
	}
	if pins, err := in.Pins(t.Context()); err != nil || len(pins) != 1 || pins[0].Name != "before" || pins[0].Epoch != kept {
		t.Errorf("pins: got %+v, %v, want before, of epoch %d", pins, err, kept)
	}
	if err := in.Unpin(t.Context(), "before"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.sum(kept); !errors.Is(err, sheaf.ErrNoEpoch) {
		t.Errorf("epoch %d, its pin dropped: got %v, want ErrNoEpoch", kept, err)
	}
}

func TestPinHoldsWhatWasSentBefore(t *testing.T) {
	in := openPinned(t, t.TempDir())
	defer in.close()
	if _, err := in.p.Send(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	kept := in.pin("five")
	if sum, err := in.sum(kept); err != nil || sum != 5 {
		t.Errorf("pinned behind an event that was sent and not flushed: got %d, %v, want 5", sum, err)
	}
}

func TestPinsSayWhatIsWrong(t *testing.T) {
	in, ctx := openPinned(t, t.TempDir()), t.Context()
	defer in.close()
	if _, err := in.Pin(ctx, "early"); !errors.Is(err, sheaf.ErrUnsealed) {
		t.Errorf("pin before anything is sealed: got %v, want ErrUnsealed", err)
	}
	in.send(1)
	in.pin("one")
	if _, err := in.Pin(ctx, "one"); !errors.Is(err, sheaf.ErrPinTaken) {
		t.Errorf("pin a name again: got %v, want ErrPinTaken", err)
	}
	if _, err := in.Pin(ctx, "a b"); !errors.Is(err, sheaf.ErrPinName) {
		t.Errorf("pin a name with a space: got %v, want ErrPinName", err)
	}
	if err := in.Unpin(ctx, "two"); !errors.Is(err, sheaf.ErrNoPin) {
		t.Errorf("drop a pin that is not there: got %v, want ErrNoPin", err)
	}
	for i := range backend.MaxPins - 1 {
		in.pin(fmt.Sprint("pin-", i))
	}
	if _, err := in.Pin(ctx, "more"); !errors.Is(err, sheaf.ErrPins) {
		t.Errorf("pin number %d: got %v, want ErrPins", backend.MaxPins+1, err)
	}
}

// TestPinOfAToolBesideIsSeen: another process's record, written beside the instance.
func TestPinOfAToolBesideIsSeen(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	in := openPinned(t, dir)
	defer in.close()
	in.send(3)
	beside, err := backend.Local(dir).OpenBeside(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	ledger, _, err := backend.OpenReader(ctx, beside.Objects())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := ledger.Amend(ctx, in.Status().Member, nil, func(n, newest *backend.Record) error {
		return backend.WithPin(n, "tool", newest)
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		in.send(4)
	}
	if sum, err := in.sum(rec.Epoch); err != nil || sum != 3 {
		t.Errorf("epoch %d, pinned by a tool: got %d, %v, want 3", rec.Epoch, sum, err)
	}
}
