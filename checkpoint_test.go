package sheaf_test

import (
	"errors"
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

// TestCheckpointStaysReadable proves I9 for pins: other epochs are collected, the named one is not.
func TestCheckpointStaysReadable(t *testing.T) {
	ctx := t.Context()
	cfg := sheaf.Config{State: backend.Local(t.TempDir()), Epoch: time.Millisecond, Retain: 2}
	in, err := sheaf.Open(ctx, cfg, sums())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	p, err := in.Producer(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	send := func(n uint64) {
		if _, err := p.Send(ctx, n); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(7)
	first := in.Status().Epoch
	send(1007)
	kept, err := in.Checkpoint(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		send(2007)
	}
	read := func(e sheaf.Epoch) (int64, error) {
		scan, sum := in.At(ctx, e), int64(0)
		for _, s := range scan.All() {
			sum += s
		}
		return sum, scan.Err()
	}
	if sum, err := read(kept); err != nil || sum != 1014 {
		t.Errorf("the checkpointed epoch %d: got %d, %v, want 1014", kept, sum, err)
	}
	if _, err := read(first); !errors.Is(err, sheaf.ErrNoEpoch) {
		t.Errorf("epoch %d, long not retained: got %v, want ErrNoEpoch", first, err)
	}
}
