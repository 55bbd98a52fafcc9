package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

func newFaults(t *testing.T, seed uint64) *backendtest.Faults {
	t.Helper()
	return backendtest.NewFaults(backendtest.Open(t, backend.InProcess()).Objects(), seed)
}

func TestFaultsWithoutRulesIsAStore(t *testing.T) {
	backendtest.Conformance(t, func(t *testing.T) backend.Objects { return newFaults(t, 1) })
}

func TestFailsBeforeWithoutEffect(t *testing.T) {
	f := newFaults(t, 1)
	f.Add(backendtest.Rule{Op: backendtest.Create, Key: "segment/*", Skip: 1, Times: 2, Err: backend.ErrFull})
	for i, want := range []error{nil, backend.ErrFull, backend.ErrFull, nil} {
		key := fmt.Sprintf("segment/%d", i)
		if err := f.Create(t.Context(), key, []byte("x")); !errors.Is(err, want) {
			t.Errorf("create %s: got %v, want %v", key, err, want)
		}
		_, err := f.Get(t.Context(), key, backend.Range{})
		if landed := err == nil; landed != (want == nil) {
			t.Errorf("create %s answered %v: landed %t", key, want, landed)
		}
	}
	if err := f.Put(t.Context(), "segment/9", nil); err != nil {
		t.Errorf("put, of which the rule does not speak: %v", err)
	}
}

func TestFailsAfterTheEffect(t *testing.T) {
	f := newFaults(t, 1)
	f.Add(backendtest.Rule{Op: backendtest.Create, Key: "ledger/1", After: true})
	if err := f.Create(t.Context(), "ledger/1", []byte("x")); !errors.Is(err, backend.ErrUnknown) {
		t.Errorf("create: got %v, want ErrUnknown", err)
	}
	if got, err := f.Get(t.Context(), "ledger/1", backend.Range{}); err != nil || string(got) != "x" {
		t.Errorf("get of what landed: got %q, %v, want x", got, err)
	}
}

func TestHoldsUntilReleased(t *testing.T) {
	for _, after := range []bool{false, true} {
		f := newFaults(t, 1)
		gate := f.Add(backendtest.Rule{Op: backendtest.Put, Key: "head", Times: 1, Hold: true, After: after})
		done := make(chan error)
		go func() { done <- f.Put(t.Context(), "head", []byte("x")) }()
		<-gate.Arrived()
		_, err := f.Get(t.Context(), "head", backend.Range{})
		if landed := err == nil; landed != after {
			t.Errorf("held, after = %t: landed %t", after, landed)
		}
		gate.Release()
		if err := <-done; err != nil {
			t.Errorf("put, released: %v", err)
		}
		if _, err := f.Get(t.Context(), "head", backend.Range{}); err != nil {
			t.Errorf("get after the release: %v", err)
		}
	}
}

func TestHoldEndsWithItsContext(t *testing.T) {
	f := newFaults(t, 1)
	gate := f.Add(backendtest.Rule{Hold: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Create(ctx, "a", nil) }()
	<-gate.Arrived()
	cancel()
	if err := <-done; !errors.Is(err, backend.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("create, cancelled while held: got %v, want ErrUnknown and Canceled", err)
	}
}

func TestNothingTakesEffectAfterACrash(t *testing.T) {
	f := newFaults(t, 1)
	held := f.Add(backendtest.Rule{Key: "held", Hold: true})
	done := make(chan error)
	go func() { done <- f.Create(t.Context(), "held", nil) }()
	<-held.Arrived()
	f.Crash()
	f.Crash()
	if err := <-done; !errors.Is(err, backendtest.ErrCrashed) {
		t.Errorf("create, held over the crash: got %v, want ErrCrashed", err)
	}
	if err := f.Create(t.Context(), "later", nil); !errors.Is(err, backendtest.ErrCrashed) {
		t.Errorf("create after the crash: got %v, want ErrCrashed", err)
	}
	if _, err := f.Get(t.Context(), "later", backend.Range{}); !errors.Is(err, backendtest.ErrCrashed) {
		t.Errorf("get after the crash: got %v, want ErrCrashed", err)
	}
}

// TestSameSeedSameFaults runs the same requests in goroutines that meet in any order.
func TestSameSeedSameFaults(t *testing.T) {
	run := func(seed uint64) map[string]string {
		f := newFaults(t, seed)
		f.Add(backendtest.Rule{Op: backendtest.Create, Rate: 0.3})
		f.Add(backendtest.Rule{Op: backendtest.Get, Rate: 0.3, Err: backend.ErrNotFound})
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range 50 {
					key := fmt.Sprintf("%d/%d", worker, i)
					_ = f.Create(t.Context(), key, nil)
					_, _ = f.Get(t.Context(), key, backend.Range{})
				}
			})
		}
		all.Wait()
		outcome := map[string]string{}
		for _, e := range f.Journal() {
			outcome[string(e.Op)+e.Key] = fmt.Sprint(e.Fault, e.Err)
		}
		return outcome
	}
	first, again, other := run(7), run(7), run(8)
	faults, differ := 0, 0
	for key, got := range first {
		if got != again[key] {
			t.Errorf("seed 7, %s: got %s, and again %s", key, got, again[key])
		}
		if got != other[key] {
			differ++
		}
		if got[0] == 't' {
			faults++
		}
	}
	if faults < 160 || faults > 320 || differ == 0 {
		t.Errorf("800 requests at rate 0.3: got %d faults, %d unlike another seed's", faults, differ)
	}
}

func TestJournalSaysWhatWasDone(t *testing.T) {
	f := newFaults(t, 1)
	full := f.Add(backendtest.Rule{Op: backendtest.Create, Err: backend.ErrFull})
	_ = f.Create(t.Context(), "a", []byte("abc"))
	f.Remove(full)
	_ = f.Create(t.Context(), "a", []byte("abc"))
	_, _ = f.Get(t.Context(), "a", backend.Range{Size: 2})
	_ = f.List(t.Context(), "", func(string, int64) bool { return true })
	_ = f.Delete(t.Context(), "a")
	var got []string
	for _, e := range f.Journal() {
		got = append(got, fmt.Sprintf("%s %s %d %t", e.Op, e.Key, e.Bytes, e.Err == nil))
	}
	want := []string{"create a 0 false", "create a 3 true", "get a 2 true", "list  1 true", "delete a 0 true"}
	if !slices.Equal(got, want) {
		t.Errorf("journal: got %q, want %q", got, want)
	}
}

func TestJournalCountsByKind(t *testing.T) {
	f := newFaults(t, 1)
	for i := range 1500 {
		if err := f.Create(t.Context(), fmt.Sprintf("ledger/%020d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"ledger/floor/1", "ledger/head", "segment/x", "probe/x", "user/x"} {
		_ = f.Put(t.Context(), key, nil)
		_, _ = f.Get(t.Context(), key, backend.Range{})
	}
	_ = f.List(t.Context(), "ledger/", func(string, int64) bool { return true })
	_ = f.List(t.Context(), "ledger/", func(string, int64) bool { return false })
	_ = f.List(t.Context(), "none", func(string, int64) bool { return true })
	j := f.Journal()
	for _, c := range []struct{ got, want int }{
		{j.Count(backendtest.Create), 1500},
		{j.Count(backendtest.Create, backendtest.Record), 1500},
		{j.Count(backendtest.Put, backendtest.Record), 0},
		{j.Count(backendtest.Put, backendtest.Floor, backendtest.Head), 2},
		{j.Count(backendtest.Get, backendtest.Segment, backendtest.Probe, backendtest.Other), 3},
		{j.Count(backendtest.List), 2 + 1 + 1},
		{j.Puts(), 1505},
	} {
		if c.got != c.want {
			t.Errorf("counts: got %d, want %d", c.got, c.want)
		}
	}
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaults(t, 1)
		f.Add(backendtest.Rule{Op: backendtest.Create, Delay: time.Second})
		begun := time.Now()
		if err := f.Create(t.Context(), "a", nil); err != nil || time.Since(begun) != time.Second {
			t.Errorf("create, delayed by 1s: got %v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := f.Create(ctx, "b", nil); !errors.Is(err, backend.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("create, cancelled while delayed: got %v, want ErrUnknown and DeadlineExceeded", err)
		}
	})
}

func TestCrashesAtARequest(t *testing.T) {
	for _, after := range []bool{false, true} {
		s := backendtest.Open(t, backend.InProcess()).Objects()
		f := backendtest.NewFaults(s, 1)
		f.Add(backendtest.Rule{Skip: 2, Times: 1, Crash: true, After: after})
		for i, want := range []error{nil, nil, backendtest.ErrCrashed, backendtest.ErrCrashed} {
			key := fmt.Sprint(i)
			if err := f.Create(t.Context(), key, nil); !errors.Is(err, want) {
				t.Errorf("create %d of a store that crashes at 2: got %v, want %v", i, err, want)
			}
			_, err := s.Get(t.Context(), key, backend.Range{})
			if landed := err == nil; landed != (i < 2 || i == 2 && after) {
				t.Errorf("create %d, crash at 2, after = %t: landed %t", i, after, landed)
			}
		}
	}
}

func TestTornReadIsHalf(t *testing.T) {
	f := newFaults(t, 1)
	f.Add(backendtest.Rule{Op: backendtest.Get, Times: 1, Torn: true})
	_ = f.Create(t.Context(), "a", []byte("abcdef"))
	for _, want := range []string{"abc", "abcdef"} {
		if got, err := f.Get(t.Context(), "a", backend.Range{}); err != nil || string(got) != want {
			t.Errorf("get: got %q, %v, want %q", got, err, want)
		}
	}
}

func TestStaleListShowsThePast(t *testing.T) {
	f := newFaults(t, 1)
	for _, key := range []string{"a/1", "a/3", "b/1"} {
		_ = f.Create(t.Context(), key, []byte("x"))
	}
	stale := f.Add(backendtest.Rule{Op: backendtest.List, Stale: true})
	_ = f.Create(t.Context(), "a/2", nil)
	_ = f.Delete(t.Context(), "a/2")
	_ = f.Create(t.Context(), "a/4", nil)
	_ = f.Delete(t.Context(), "a/3")
	_ = f.Delete(t.Context(), "b/1")
	list := func() (keys []string) {
		_ = f.List(t.Context(), "a/", func(key string, _ int64) bool { keys = append(keys, key); return true })
		return keys
	}
	if got := list(); !slices.Equal(got, []string{"a/1", "a/3"}) {
		t.Errorf("stale list: got %v, want a/1 and a/3", got)
	}
	f.Remove(stale)
	if got := list(); !slices.Equal(got, []string{"a/1", "a/4"}) {
		t.Errorf("list: got %v, want a/1 and a/4", got)
	}
}

func TestConflictsAndThrottlingTellNothing(t *testing.T) {
	for _, want := range []error{backendtest.ErrConflict, backendtest.ErrThrottled} {
		f := newFaults(t, 1)
		f.Add(backendtest.Rule{Op: backendtest.Create, Err: want})
		if err := f.Create(t.Context(), "a", nil); !errors.Is(err, want) || !errors.Is(err, backend.ErrUnknown) {
			t.Errorf("create: got %v, want %v, which is ErrUnknown", err, want)
		}
	}
}
