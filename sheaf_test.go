package sheaf_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

type numbers struct{ n uint64 }

func (s numbers) Open(_ context.Context, offset uint64) (sheaf.Reader[uint64], error) {
	return &numberReader{at: offset, n: s.n}, nil
}

type numberReader struct{ at, n uint64 }

func (r *numberReader) Read(_ context.Context, into []uint64) (int, error) {
	if r.at == r.n {
		return 0, io.EOF
	}
	n := 0
	for n < len(into) && r.at < r.n {
		r.at++
		into[n] = r.at
		n++
	}
	return n, nil
}

func (r *numberReader) Close() error { return nil }

func counting() sheaf.App[uint64, uint64, int64, int64] {
	return sheaf.App[uint64, uint64, int64, int64]{
		Name:   "counting",
		KeyOf:  func(e uint64) uint64 { return e % 1000 },
		Update: func(_ *sheaf.Turn, s *int64, e uint64) error { *s += int64(e); return nil },
		Fold:   func(r *int64, _ uint64, s *int64) { *r += *s },
		Merge:  func(into *int64, from int64) { *into += from },
	}
}

func TestSourceIsAppliedSealedAndEmitted(t *testing.T) {
	const n = 1_000_000
	dir := t.TempDir()
	var last sheaf.Result[int64]
	sink := sheaf.SinkFunc[int64](func(_ context.Context, r sheaf.Result[int64]) error { last = r; return nil })
	in, err := sheaf.Open(t.Context(), sheaf.Config{State: backend.Local(dir), Epoch: 50 * time.Millisecond}, counting(), sink)
	if err != nil {
		t.Fatal(err)
	}
	done, err := in.Attach(t.Context(), "numbers", numbers{n})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("not done: %+v", in.Status())
	}
	s, ok, err := in.Get(t.Context(), 7)
	if err != nil || !ok {
		t.Fatal(s, ok, err)
	}
	if err := in.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := int64(n) * (n + 1) / 2; last.Value != want {
		t.Fatalf("got %d, want %d (%+v)", last.Value, want, last)
	}
	t.Logf("%+v", last)
}
