package backend_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// script answers requests as its function says, from an object at one key and pages of a list.
type script struct {
	answer func(op string) error
	stands []byte // nil: nothing
	pages  [][]string

	mu    sync.Mutex // guards asked
	asked []string
	at    []time.Duration // since begin
	begin time.Time
}

func newScript(answers ...error) *script {
	s := &script{begin: time.Now()}
	s.answer = func(string) error {
		if len(answers) == 0 {
			return nil
		}
		err := answers[0]
		answers = answers[1:]
		return err
	}
	return s
}

func (s *script) ask(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.at = append(s.asked, op), append(s.at, time.Since(s.begin))
	return s.answer(op)
}

func (s *script) Create(context.Context, string, []byte) error { return s.ask("create") }
func (s *script) Put(context.Context, string, []byte) error    { return s.ask("put") }
func (s *script) Delete(context.Context, string) error         { return s.ask("delete") }

func (s *script) Get(context.Context, string, backend.Range) ([]byte, error) {
	if err := s.ask("get"); err != nil {
		return nil, err
	}
	if s.stands == nil {
		return nil, backend.ErrNotFound
	}
	return s.stands, nil
}

func (s *script) ListPage(_ context.Context, _ string, token []byte) ([]backend.Listed, []byte, error) {
	page := 0
	if token != nil {
		page = int(token[0])
	}
	if err := s.ask(fmt.Sprint("list ", page)); err != nil {
		return nil, nil, err
	}
	var all []backend.Listed
	for _, key := range s.pages[page] {
		all = append(all, backend.NewListed(key, 1))
	}
	if page+1 == len(s.pages) {
		return all, nil, nil
	}
	return all, []byte{byte(page + 1)}, nil
}

var (
	errBusy    = fmt.Errorf("503: %w", backend.ErrTransient)
	errLost    = fmt.Errorf("%w: no answer: %w", backend.ErrUnknown, backend.ErrTransient)
	errRefused = errors.New("403")
)

func noLot() float64 { return 0 }

// everyRequest returns one request of each kind.
func everyRequest(ctx context.Context, store backend.Objects) map[string]func() error {
	return map[string]func() error{
		"create": func() error { return store.Create(ctx, "k", []byte("x")) },
		"put":    func() error { return store.Put(ctx, "k", []byte("x")) },
		"delete": func() error { return store.Delete(ctx, "k") },
		"get": func() error {
			_, err := store.Get(ctx, "k", backend.Range{})
			return err
		},
		"list": func() error {
			return store.List(ctx, "", func(string, int64) bool { return true })
		},
	}
}

func repeating(s *script) (backend.Objects, func() int64) {
	store, retries, _ := backend.Repeating(s, noLot)
	return store, retries
}

func TestWhatMayPassIsAskedAgain(t *testing.T) {
	for op := range everyRequest(t.Context(), nil) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(errBusy, errBusy, errBusy)
			s.stands, s.pages = []byte("x"), [][]string{{"k"}}
			store, retries := repeating(s)
			if err := everyRequest(t.Context(), store)[op](); err != nil {
				t.Errorf("%s after three errors that may pass: got %v", op, err)
			}
			if len(s.asked) != 4 || retries() != 3 {
				t.Errorf("%s: got requests %v and %d retries, want 4 and 3", op, s.asked, retries())
			}
		})
	}
}

func TestWhatDoesNotPassIsAskedOnce(t *testing.T) {
	for op := range everyRequest(t.Context(), nil) {
		for _, want := range []error{errRefused, backend.ErrNotFound, backend.ErrExists, backend.ErrFull, backend.ErrUnknown} {
			s := newScript(want)
			store, _ := repeating(s)
			if err := everyRequest(t.Context(), store)[op](); !errors.Is(err, want) || len(s.asked) != 1 {
				t.Errorf("%s that meets %v: got %v after %d requests, want that after one", op, want, err, len(s.asked))
			}
		}
	}
}

func TestPausesDoubleUpToABound(t *testing.T) {
	for lot, first := range map[float64]time.Duration{0: 100 * time.Millisecond, 1: 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(slices.Repeat([]error{errBusy}, 9)...)
			store, _, _ := backend.Repeating(s, func() float64 { return lot })
			if err := store.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			var want []time.Duration
			for at, pause, n := time.Duration(0), first, 0; n < 10; n++ {
				want = append(want, at)
				at, pause = at+pause, min(2*pause, 50*first)
			}
			if !slices.Equal(s.at, want) {
				t.Errorf("lot %v: got requests at %v, want %v", lot, s.at, want)
			}
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	for op := range everyRequest(t.Context(), nil) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript()
			s.answer = func(string) error { return errLost }
			store, _ := repeating(s)
			err := everyRequest(t.Context(), store)[op]()
			if took := time.Since(s.begin); !errors.Is(err, backend.ErrUnknown) || took > time.Minute || took < 50*time.Second {
				t.Errorf("%s: got %v after %v, want the last error after a minute", op, err, took)
			}
		})
	}
}

func TestWaitingEndsWithTheCallerAndTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.answer = func(string) error { return errLost }
		store, _, closing := backend.Repeating(s, noLot)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := store.Create(ctx, "k", nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, backend.ErrUnknown) {
			t.Errorf("create with a deadline: got %v, want ErrUnknown and the deadline", err)
		}
		if took := time.Since(s.begin); took != 10*time.Second {
			t.Errorf("create with a deadline of 10 s took %v", took)
		}
		done := make(chan error)
		go func() { done <- store.Create(t.Context(), "k", nil) }()
		synctest.Wait()
		closing()
		if err := <-done; !errors.Is(err, backend.ErrClosed) || !errors.Is(err, backend.ErrUnknown) {
			t.Errorf("create while the store is closed: got %v, want ErrUnknown and ErrClosed", err)
		}
	})
}

// TestCreateSaysWhatBecameOfALostAnswer: the second answer belongs to the first try as much as to the second.
func TestCreateSaysWhatBecameOfALostAnswer(t *testing.T) {
	mine, theirs := []byte("mine"), []byte("theirs")
	for _, c := range []struct {
		name    string
		answers []error // to creates, and then to the get
		stands  []byte
		want    error
		never   error
		asked   int
	}{
		{"it landed", []error{errLost, backend.ErrExists}, mine, nil, nil, 3},
		{"it did not land, the next did", []error{errLost, nil}, mine, nil, nil, 2},
		{"somebody else's landed", []error{errLost, backend.ErrExists}, theirs, backend.ErrExists, backend.ErrUnknown, 3},
		{"it is gone", []error{errLost, backend.ErrExists}, nil, backend.ErrUnknown, backend.ErrExists, 3},
		{"it cannot be read", []error{errLost, backend.ErrExists, errRefused}, mine, backend.ErrUnknown, backend.ErrExists, 3},
		{"it can be read the second time", []error{errLost, backend.ErrExists, errBusy}, mine, nil, nil, 4},
		{"the next is refused", []error{errLost, errRefused}, nil, backend.ErrUnknown, nil, 2},
		{"it was throttled first", []error{errBusy, backend.ErrExists}, mine, backend.ErrExists, nil, 2},
		{"lost from the first", []error{backend.ErrExists}, mine, backend.ErrExists, backend.ErrUnknown, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(c.answers...)
				s.stands = c.stands
				store, _ := repeating(s)
				err := store.Create(t.Context(), "k", mine)
				if !errors.Is(err, c.want) || c.never != nil && errors.Is(err, c.never) {
					t.Errorf("create: got %v, want %v and not %v", err, c.want, c.never)
				}
				if len(s.asked) != c.asked {
					t.Errorf("create: got requests %v, want %d", s.asked, c.asked)
				}
			})
		})
	}
}

func TestAListGoesOnWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(nil, errBusy, nil, errBusy, errBusy)
		s.pages = [][]string{{"a", "b"}, {"c"}, {"d"}}
		store, _ := repeating(s)
		var got []string
		err := store.List(t.Context(), "", func(key string, _ int64) bool {
			got = append(got, key)
			return true
		})
		if want := []string{"a", "b", "c", "d"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("list: got %v, %v, want %v", got, err, want)
		}
		if want := []string{"list 0", "list 1", "list 1", "list 2", "list 2", "list 2"}; !slices.Equal(s.asked, want) {
			t.Errorf("list: got requests %v, want %v", s.asked, want)
		}
	})
}

// liar loses answers: of requests that were not made, and of such that were.
type liar struct {
	store backend.Objects
	lot   *rand.Rand
}

func (l *liar) tell(request func() error) error {
	switch l.lot.IntN(4) {
	case 0:
		return errLost
	case 1:
		_ = request()
		return errLost
	}
	return request()
}

func (l *liar) Create(ctx context.Context, key string, data []byte) error {
	return l.tell(func() error { return l.store.Create(ctx, key, data) })
}

func (l *liar) Put(ctx context.Context, key string, data []byte) error {
	return l.tell(func() error { return l.store.Put(ctx, key, data) })
}

func (l *liar) Delete(ctx context.Context, key string) error {
	return l.tell(func() error { return l.store.Delete(ctx, key) })
}

func (l *liar) Get(ctx context.Context, key string, part backend.Range) (data []byte, err error) {
	err = l.tell(func() error {
		data, err = l.store.Get(ctx, key, part)
		return err
	})
	return data, err
}

func (l *liar) ListPage(context.Context, string, []byte) ([]backend.Listed, []byte, error) {
	return nil, nil, errRefused
}

// I1: of creators who lose half of their answers one is told that it won, and what it created stands.
func TestOneCreatorWinsHoweverManyAnswersAreLost(t *testing.T) {
	for round := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			store := backendtest.Open(t, backend.InProcess()).Objects()
			told := make([]error, 8)
			var all sync.WaitGroup
			for i := range told {
				all.Go(func() {
					lot := rand.New(rand.NewPCG(round, uint64(i)))
					own, _, _ := backend.Repeating(&liar{store, lot}, lot.Float64)
					told[i] = own.Create(t.Context(), "k", []byte{byte(i)})
				})
			}
			all.Wait()
			stands, err := store.Get(t.Context(), "k", backend.Range{})
			if err != nil {
				t.Fatal(err)
			}
			for i, err := range told {
				if want := byte(i) == stands[0]; want != (err == nil) || !want && !errors.Is(err, backend.ErrExists) {
					t.Errorf("round %d: creator %d was told %v, %d stands", round, i, err, stands[0])
				}
			}
		})
	}
}
