package sheaf_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// basket is a state that refers to memory of its own.
type basket struct {
	Goods map[string]int
	Order []string
}

// A state that holds a map may be changed while its capture is written, read and folded: nothing is shared. The race
// detector is the judge.
func TestStateWithAMapIsSafeWhileItIsCaptured(t *testing.T) {
	app := sheaf.App[int, int, basket, map[string]int]{
		Name:  "baskets",
		KeyOf: func(e int) int { return e % 16 },
		Update: func(_ *sheaf.Turn, b *basket, e int) error {
			if b.Goods == nil {
				b.Goods = map[string]int{}
			}
			b.Goods[fmt.Sprint(e%7)]++
			b.Order = append(b.Order[max(0, len(b.Order)-5):], fmt.Sprint(e))
			return nil
		},
		Fold: func(r *map[string]int, _ int, b *basket) {
			if *r == nil {
				*r = map[string]int{}
			}
			for k, n := range b.Goods {
				(*r)[k] += n
			}
		},
		Merge: func(into *map[string]int, from map[string]int) {
			if *into == nil {
				*into = map[string]int{}
			}
			for k, n := range from {
				(*into)[k] += n
			}
		},
	}
	dir := t.TempDir()
	cfg := sheaf.Config{State: backend.Local(dir), Epoch: 2 * time.Millisecond}
	cfg.State.VnodeCapacity = 4
	in, err := sheaf.Open(t.Context(), cfg, app)
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.Producer(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	const n = 20_000
	read := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 200 && err == nil; i++ {
			var b basket
			if b, _, err = in.Get(t.Context(), i%16); err == nil && b.Goods != nil {
				b.Goods["mine"]++ // a copy is the reader's own
				b.Order = append(b.Order, "mine")
			}
		}
		read <- err
	}()
	for e := range n {
		if _, err := p.Send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if err := in.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if in, err = sheaf.Open(t.Context(), cfg, app); err != nil {
		t.Fatal(err)
	}
	bought := 0
	scan := in.Scan(t.Context())
	for k, b := range scan.All() {
		for good, m := range b.Goods {
			if good == "mine" {
				t.Errorf("key %d holds what a reader put into its copy", k)
			}
			bought += m
		}
		if slices.Contains(b.Order, "mine") {
			t.Errorf("key %d holds what a reader appended to its copy", k)
		}
	}
	if err := scan.Err(); err != nil || bought != n {
		t.Errorf("got %d, %v, want %d", bought, err, n)
	}
	if err := in.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// visit is an event that refers to memory of its own.
type visit struct {
	Who   string
	Pages []int
	Note  *int
}

// visits is a source whose reader decodes into what it is given, as decoders do: it appends to slices that it finds there,
// and leaves alone what its input does not mention.
type visits struct{ n int }

func (s visits) Open(_ context.Context, offset uint64) (sheaf.Reader[visit], error) {
	return &visitReader{s.n, int(offset)}, nil
}

type visitReader struct{ n, at int }

func (r *visitReader) Read(_ context.Context, into []visit) (int, error) {
	n := 0
	for ; n < len(into) && r.at < r.n; n++ {
		e := &into[n]
		e.Who, e.Pages = fmt.Sprint(r.at%16), append(e.Pages[:0], r.at, r.at)
		if r.at < 1000 {
			e.Note = new(int)
		}
		r.at++
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *visitReader) Close() error { return nil }

// An event that was read stays as it was read: a reader is not given it again to write into.
func TestReaderIsGivenNoEventOfBefore(t *testing.T) {
	app := sheaf.App[string, visit, int, int]{
		Name:  "visits",
		KeyOf: func(e visit) string { return e.Who },
		Update: func(turn *sheaf.Turn, n *int, e visit) error {
			at := int(turn.Position()) - 1
			if !slices.Equal(e.Pages, []int{at, at}) {
				return fmt.Errorf("visit %d: got the pages %v, want %d twice", at, e.Pages, at)
			}
			if (e.Note != nil) != (at < 1000) {
				return fmt.Errorf("visit %d has the note of another", at)
			}
			*n++
			return nil
		},
	}
	var first atomic.Pointer[sheaf.Rejected[visit]]
	app.DeadLetter = func(r sheaf.Rejected[visit]) { first.CompareAndSwap(nil, &r) }
	cfg := sheaf.Config{State: backend.InProcess(), Epoch: 2 * time.Millisecond}
	cfg.State.VnodeCapacity = 4
	in, err := sheaf.Open(t.Context(), cfg, app)
	if err != nil {
		t.Fatal(err)
	}
	done, err := in.Attach(t.Context(), "visits", visits{100_000})
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if r := first.Load(); r != nil {
		t.Error(r.Err)
	}
	if err := in.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
