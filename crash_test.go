package sheaf_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/storehook"
	"github.com/sheaf-go/sheaf/vnode"
)

// tool is the writer of records that no instance writes.
var tool = vnode.Member{Instance: "tool"}

// content is a copy of everything in a store.
type content map[string][]byte

func contentOf(t *testing.T, objects backend.Objects) content {
	t.Helper()
	all := content{}
	err := objects.List(t.Context(), "", func(key string, _ int64) bool {
		data, err := objects.Get(t.Context(), key, backend.Range{})
		if err != nil {
			t.Error(err)
		}
		all[key] = data
		return true
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

// store makes another store with the same content.
func (c content) store(t *testing.T) *store {
	t.Helper()
	s := newStore(t)
	for key, data := range c {
		if err := s.objects.Create(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// verify reads everything that the store retains and returns its newest record.
func verify(t *testing.T, objects backend.Objects) *backend.Record {
	t.Helper()
	ledger, newest, err := backend.OpenReader(t.Context(), objects)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.CheckEnd(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	_, err = backend.Verify(t.Context(), objects, ledger.Retained(t.Context(), newest), func(fault error) { t.Fatal(fault) })
	if err != nil {
		t.Fatal(err)
	}
	return newest
}

// exported is the state that a record has sealed.
func exported[S any](t *testing.T, objects backend.Objects, rec *backend.Record) map[string]S {
	t.Helper()
	got := map[string]S{}
	codec := sheaf.CBOR[S]()
	err := backend.Export(t.Context(), objects, rec, func(_ vnode.ID, key, value []byte) error {
		var s S
		err := codec.Decode(value, &s)
		got[string(key)] = s
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// collectable makes a store in which there is everything to collect: records, segments of captures and folds, those of
// attempts that failed, what a dropped pin kept, and the rest of a collection that was cut short. It has one pin.
func collectable(t *testing.T, s *store) content {
	t.Helper()
	cfg := small()
	cfg.Retain = 1000
	in := s.open(cfg, tallies())
	p := producer(t, in, "p")
	for i := range 40 {
		send(t, p, event{Key: fmt.Sprint("key ", i%3), Add: 1})
		flush(t, p)
		if i == 2 || i == 4 {
			if _, err := in.Pin(t.Context(), fmt.Sprint("pin-", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := in.Unpin(t.Context(), "pin-2"); err != nil {
		t.Fatal(err)
	}
	closeAll(t, in)
	for _, epoch := range []int{3, 9, 1000} {
		key := backend.SegmentRef{Epoch: vnode.Epoch(epoch), Instance: "lost"}.Key()
		if err := s.objects.Create(t.Context(), key, []byte("of an attempt that failed")); err != nil {
			t.Fatal(err)
		}
	}
	f := backendtest.NewFaults(s.objects, 1)
	f.Add(backendtest.Rule{Op: backendtest.Delete, Skip: 3, Crash: true})
	if _, err := collectWith(t, f, 16, 5); !errors.Is(err, backendtest.ErrCrashed) {
		t.Fatalf("collect on a store that crashes: got %v", err)
	}
	return contentOf(t, s.objects)
}

// collectWith is what a process does that only collects.
func collectWith(t *testing.T, objects backend.Objects, retain, deletes int) (backend.Collected, error) {
	t.Helper()
	ledger, _, err := backend.OpenReader(t.Context(), objects)
	if err != nil {
		return backend.Collected{}, err
	}
	done, err := ledger.Collect(t.Context(), tool, backend.Retention{Records: retain, Step: 1}, backend.CollectorConfig{Deletes: deletes})
	return done, errors.Join(err, ledger.Close(t.Context()))
}

// TestCollectorKilledAtAnyStep proves I9: the process ends before or after each request of a collection. What it leaves
// is whole, and the next collection leaves what one that nobody killed would have left.
func TestCollectorKilledAtAnyStep(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		before := collectable(t, s)
		whole := before.store(t)
		f := backendtest.NewFaults(whole.objects, 1)
		done, err := collectWith(t, f, 4, 5)
		if err != nil || done.Passes < 4 || done.Records < 10 || done.Segments < 5 {
			t.Fatalf("collect: got %+v, %v, want some passes", done, err)
		}
		collectAll(t, whole.objects)
		state, left := exported[int64](t, whole.objects, verify(t, whole.objects)), segmentsLeft(t, whole)
		for k, step := range f.Journal() {
			for _, after := range []bool{false, true} {
				if k%thinned(1) > 0 {
					continue
				}
				what := fmt.Sprintf("killed at request %d, %s %s, after it %t", k, step.Op, step.Key, after)
				killed := before.store(t)
				f := backendtest.NewFaults(killed.objects, 1)
				f.Add(backendtest.Rule{Skip: k, Times: 1, Crash: true, After: after})
				if _, err := collectWith(t, f, 4, 5); err != nil && !errors.Is(err, backendtest.ErrCrashed) {
					t.Fatalf("%s: got %v", what, err)
				}
				wantTallies(t, what, exported[int64](t, killed.objects, verify(t, killed.objects)), state)
				collectAll(t, killed.objects)
				newest := verify(t, killed.objects)
				if again := segmentsLeft(t, killed); !slices.Equal(again, left) {
					t.Fatalf("%s, and collected again: left %v, want %v", what, again, left)
				}
				if records := contentOf(t, killed.objects).keys("ledger/0"); len(records) != int(newest.Seq-newest.Floor.Seq)+1+len(newest.Pins) {
					t.Fatalf("%s, and collected again: left %v, want those from %d to %d and a pinned one", what, records, newest.Floor.Seq, newest.Seq)
				}
			}
		}
		t.Logf("%d requests: %+v", len(f.Journal()), done)
	})
}

// collectAll collects until the floor is above every record that a collection did not write itself, wherever a fold
// entered: then a segment is left for the newest record or for a pin. With a step of 1 each collection raises the floor.
func collectAll(t *testing.T, objects backend.Objects) {
	t.Helper()
	const retain = 4
	var done backend.Collected
	for range retain + 2 {
		var err error
		if done, err = collectWith(t, objects, retain, 5); err != nil || done.Left > 0 {
			t.Fatalf("collect again: got %+v, %v", done, err)
		}
	}
	if done.Segments > 0 {
		t.Fatalf("collection %d still deleted %d segments", retain+2, done.Segments)
	}
}

func segmentsLeft(t *testing.T, s *store) []string { return contentOf(t, s.objects).keys("segment/") }

func (c content) keys(prefix string) []string {
	var keys []string
	for key := range c {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// heavy is a tally with a lot of noise, so that a few epochs are worth a fold.
type heavy struct {
	N     int64
	Noise []byte
}

// heavyOf is the state of a key after n events.
func heavyOf(key string, n int64) heavy {
	var seed [32]byte
	copy(seed[:], fmt.Append(nil, key, " ", n))
	h := heavy{N: n, Noise: make([]byte, 32<<10)}
	_, _ = rand.NewChaCha8(seed).Read(h.Noise) // never fails
	return h
}

type heavyApp = sheaf.App[string, event, heavy, total]

func heavies() heavyApp {
	return heavyApp{
		Name:  "heavies",
		KeyOf: func(e event) string { return e.Key },
		Update: func(_ *sheaf.Turn, s *heavy, e event) error {
			*s = heavyOf(e.Key, s.N+e.Add)
			return nil
		},
		Fold:  func(r *total, _ string, s *heavy) { r.Keys++; r.Sum += s.N },
		Merge: func(into *total, from total) { into.Keys += from.Keys; into.Sum += from.Sum },
	}
}

// lives are the lives of an instance that reads one source to its end, however often it is killed.
type lives struct {
	cfg    sheaf.Config
	source *script
	sink   *inbox
}

// newLives makes lives in which, within a few epochs, all kinds of objects are written and deleted.
func newLives(state backend.Config) *lives {
	state.VnodeCapacity = 4
	return &lives{
		cfg:    sheaf.Config{State: state, Epoch: 10 * time.Millisecond, Retain: 2},
		source: &script{events: repeated(60), chunk: 5, every: 7 * time.Millisecond},
		sink:   &inbox{},
	}
}

// run opens the instance on a store, reads the source to its end and closes. At the first request that a crash makes
// fail it ends as by a kill, and returns [backendtest.ErrCrashed].
func (l *lives) run(t *testing.T, wrap func(backend.Objects) backend.Objects, crash <-chan struct{}) error {
	t.Helper()
	ctx, end := context.WithCancelCause(storehook.With(t.Context(), wrap))
	defer end(nil)
	go func() {
		select {
		case <-crash:
			end(backendtest.ErrCrashed)
		case <-ctx.Done():
		}
	}()
	in, err := sheaf.Open(ctx, l.cfg, heavies(), l.sink)
	if err != nil {
		return err
	}
	defer func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = in.Close(gone)
	}()
	done, err := in.Attach(ctx, "s", l.source)
	if err != nil {
		return err
	}
	select {
	case <-done:
		return in.Close(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		return fmt.Errorf("the end of the source is not sealed: %+v", in.Status())
	}
}

// check holds what was emitted in all lives, and what is stored in the end, against a plain fold of the source.
func (l *lives) check(t *testing.T, what string, objects backend.Objects) {
	t.Helper()
	var epoch sheaf.Epoch
	var cut uint64
	for _, r := range l.sink.results() {
		if r.Epoch < epoch || r.Cuts["s"] < cut || r.Value.Sum != int64(r.Cuts["s"]) || r.Value.Keys != min(10, int(r.Cuts["s"])) {
			t.Fatalf("%s: epoch %d behind %d: got %+v at cut %v behind cut %d", what, r.Epoch, epoch, r.Value, r.Cuts, cut)
		}
		epoch, cut = r.Epoch, r.Cuts["s"]
	}
	if cut != uint64(len(l.source.events)) {
		t.Fatalf("%s: the last cut is %d, want %d", what, cut, len(l.source.events))
	}
	got := exported[heavy](t, objects, verify(t, objects))
	for key, n := range tenEach(int64(cut / 10)) {
		if want := heavyOf(key, n); got[key].N != n || !bytes.Equal(got[key].Noise, want.Noise) {
			t.Fatalf("%s: key %s: got %d, want %d, and its noise", what, key, got[key].N, n)
		}
	}
	if len(got) != 10 {
		t.Fatalf("%s: got %d keys, want 10", what, len(got))
	}
}

// place is where the lives of a test are.
type place struct {
	config  backend.Config
	through func(own backend.Objects) backend.Objects // what a life works on
	left    func() backend.Objects                    // what stands when nobody lives
}

// killEverywhere kills a run before each of its requests, or each so many-th, and after each of those that creates or
// puts, and lets the next run go on. Open makes an empty store.
func killEverywhere(t *testing.T, each int, open func() place) {
	ops := map[backendtest.Op]int{}
	for k := 0; ; k += each {
		op := backendtest.Get
		for _, after := range []bool{false, true} {
			if after && op != backendtest.Create && op != backendtest.Put {
				continue // as before the next request
			}
			at := open()
			l, faults := newLives(at.config), (*backendtest.Faults)(nil)
			crash := make(chan struct{})
			err := l.run(t, func(own backend.Objects) backend.Objects {
				faults = backendtest.NewFaults(at.through(own), 1)
				point := faults.Add(backendtest.Rule{Skip: k, Times: 1, Crash: true, After: after})
				go func() {
					select {
					case <-point.Arrived():
						close(crash)
					case <-t.Context().Done():
					}
				}()
				return faults
			}, crash)
			what := fmt.Sprintf("killed at request %d, after it %t", k, after)
			steps := faults.Journal()
			if len(steps) <= k {
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d requests; killed at %v", len(steps), ops)
				wantEveryKind(t, steps)
				return
			}
			op = steps[k].Op
			ops[op]++
			if err := l.run(t, at.through, nil); err != nil {
				t.Fatalf("%s (%s %s), the next run: %v", what, op, steps[k].Key, err)
			}
			l.check(t, what, at.left())
		}
	}
}

// TestKilledAtAnyStepOfAnEpoch proves I1 to I6 and I9 where it is hardest: the process ends at any request that a run
// makes of its store, and the next run goes on with nothing lost or doubled.
func TestKilledAtAnyStepOfAnEpoch(t *testing.T) {
	bubble(t, func(t *testing.T, _ *store) {
		killEverywhere(t, thinned(1), func() place {
			s := newStore(t)
			objects := func() backend.Objects { return s.objects }
			return place{through: func(backend.Objects) backend.Objects { return s.objects }, left: objects}
		})
	})
}

var diskStep = flag.Int("disk.step", 11, "kills on a local store are so many requests apart: 1 is at each")

// TestKilledAtStepsOnDisk is the same on a local store, at fewer requests: each costs many syncs.
func TestKilledAtStepsOnDisk(t *testing.T) {
	bubble(t, func(t *testing.T, _ *store) {
		killEverywhere(t, thinned(*diskStep), func() place {
			config := backend.Local(t.TempDir())
			return place{config: config, through: func(own backend.Objects) backend.Objects { return own }, left: func() backend.Objects {
				s, err := config.OpenReader(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s.Objects()
			}}
		})
	})
}

// thinned is how many steps to go at once: more with the race detector.
func thinned(each int) int {
	if raceEnabled {
		return each*5 + 2
	}
	return each
}

// wantEveryKind makes sure that a run writes and deletes all that there is.
func wantEveryKind(t *testing.T, steps backendtest.Journal) {
	t.Helper()
	for _, c := range []struct {
		op   backendtest.Op
		kind backendtest.Kind
	}{
		{backendtest.Create, backendtest.Record},
		{backendtest.Create, backendtest.Segment},
		{backendtest.Create, backendtest.Floor},
		{backendtest.Put, backendtest.Head},
		{backendtest.Delete, backendtest.Record},
		{backendtest.Delete, backendtest.Segment},
	} {
		if steps.Count(c.op, c.kind) == 0 {
			t.Errorf("the run has no %s of a %s: the test proves little", c.op, c.kind)
		}
	}
}
