package sheaf_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

// cell is the state of a key: 64 bytes that nothing compresses.
type cell [64]byte

// change sets a key to a new cell, or deletes it.
type change struct {
	key  uint64
	seed uint64 // 0: delete
}

func cells() sheaf.App[uint64, change, cell, int64] {
	return sheaf.App[uint64, change, cell, int64]{
		Name:  "cells",
		KeyOf: func(c change) uint64 { return c.key },
		Update: func(turn *sheaf.Turn, s *cell, c change) error {
			if c.seed == 0 {
				turn.Delete()
				return nil
			}
			var seed [32]byte
			binary.LittleEndian.PutUint64(seed[:], c.seed)
			_, _ = rand.NewChaCha8(seed).Read(s[:]) // never fails
			return nil
		},
		Fold:  func(r *int64, _ uint64, _ *cell) { *r++ },
		Merge: func(into *int64, from int64) { *into += from },
	}
}

// slack is what compaction may leave wasted in any store (see [backend.CompactionPolicy]).
const slack = 256 << 10

// footers is room for the indexes of two segments.
const footers = 4 << 10

// longestChain is the bound on chains: twice the default of [backend.CompactionPolicy].
const longestChain = 24

// TestStoredBytesStayBelowTwiceTheLiveState proves I8 for the store, by shape of churn. Live is the size of one segment
// that holds every slice whole. What the newest record names is at most twice that at any time, or wastes no more than
// the slack and a delta; what the store holds once collection has caught up is what its retained records name, besides what epochs above the floor lost.
func TestStoredBytesStayBelowTwiceTheLiveState(t *testing.T) {
	const keys = 20_000
	zipf := rand.NewZipf(rand.New(rand.NewPCG(3, 4)), 1.1, 1, keys-1)
	for name, shape := range map[string]struct {
		begin int // keys
		epoch func(e, i int) (change, bool)
	}{
		"every key changes": {keys / 4, func(_, i int) (change, bool) { return change{key: uint64(i)}, i < keys/4 }},
		"a few hot keys":    {keys, func(_, i int) (change, bool) { return change{key: uint64(i % 10)}, i < 500 }},
		"a tenth changes":   {keys, func(_, i int) (change, bool) { return change{key: rand.Uint64N(keys)}, i < keys/10 }},
		"zipf":              {keys, func(_, i int) (change, bool) { return change{key: zipf.Uint64()}, i < keys/10 }},
		"grows":             {0, func(e, i int) (change, bool) { return change{key: uint64(e*500 + i)}, i < 500 }},
		"shrinks": {keys, func(e, i int) (change, bool) {
			return change{key: uint64(e*150 + i), seed: 1}, i < 150 && e*150+i < keys*9/10
		}},
		"comes and goes": {keys, func(e, i int) (change, bool) {
			if i%2 == 0 {
				return change{key: uint64(keys + e*500 + i/2)}, i < 1000
			}
			return change{key: uint64(e*500 + i/2), seed: 1}, i < 1000
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *store) {
				c := openCells(t, s)
				for i := range shape.begin {
					c.set(uint64(i))
				}
				c.flush()
				for e := range 120 {
					for i := 0; ; i++ {
						x, more := shape.epoch(e, i)
						if !more {
							break
						}
						if x.seed == 1 {
							c.send(change{key: x.key})
						} else {
							c.set(x.key)
						}
					}
					c.flush()
					if e > 3 && e%7 == 0 {
						c.measure()
					}
				}
				c.finish(name)
			})
		})
	}
}

// cellStore is an instance of cells and what was measured of its store.
type cellStore struct {
	t      *testing.T
	store  *store
	in     *sheaf.Instance[uint64, change, cell, int64]
	p      *sheaf.Producer[uint64, change]
	seed   uint64
	epochs int

	worst   float64 // stored over live
	longest int
}

func openCells(t *testing.T, s *store) *cellStore {
	t.Helper()
	cfg := small()
	cfg.Retain = 2
	ctx := storehook.With(t.Context(), func(backend.Objects) backend.Objects { return s.faults })
	in, err := sheaf.Open(ctx, cfg, cells())
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.Producer(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	return &cellStore{t: t, store: s, in: in, p: p}
}

func (c *cellStore) send(x change) {
	c.t.Helper()
	if _, err := c.p.Send(c.t.Context(), x); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cellStore) set(key uint64) {
	c.t.Helper()
	c.seed++
	c.send(change{key, c.seed})
}

// flush seals an epoch.
func (c *cellStore) flush() {
	c.t.Helper()
	if err := c.p.Flush(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.epochs++
}

// fillChain takes chains to their bound. The first segment is too large to be remembered: a fold must get it.
func (c *cellStore) fillChain() {
	c.t.Helper()
	for i := range uint64(2000) {
		c.set(i)
	}
	c.flush()
	for range longestChain - 1 {
		c.set(1)
		c.flush()
	}
}

// measure compares what the newest record names with one segment of all slices.
func (c *cellStore) measure() {
	c.t.Helper()
	rec := newestOf(c.t, c.store.objects)
	stored, live := int64(0), liveBytes(c.t, c.store.objects, rec)
	for i := range rec.Segments {
		stored += rec.Segments[i].Size
	}
	c.longest = max(c.longest, rec.LongestChain())
	c.worst = max(c.worst, float64(stored)/float64(live))
	if stored > max(2*live+footers, live+slack+slack/2) || rec.LongestChain() > longestChain {
		c.t.Errorf("epoch %d: %d bytes are stored for a live state of %d (%.2f), the longest chain has %d segments, in all %d", rec.Epoch, stored, live,
			float64(stored)/float64(live), rec.LongestChain(), len(rec.Segments))
	}
}

// liveBytes is the size of a segment that holds every slice of a record whole.
func liveBytes(t *testing.T, objects backend.Objects, rec *backend.Record) int64 {
	t.Helper()
	plan := backend.FoldPlan{Segments: rec.Segments}
	plan.Segments = nil
	for _, s := range rec.Segments {
		if s.Vnodes.Len() > 0 {
			plan.Segments = append(plan.Segments, s)
		}
		for v := range s.Vnodes.All {
			plan.Vnodes.Add(v)
		}
	}
	var fold *backend.Fold
	err := backend.Compact(t.Context(), backend.Pretend(objects), rec, []backend.FoldPlan{plan}, func() (backend.FoldName, error) {
		return backend.FoldName{Epoch: rec.Epoch + 1, ID: uuid.New(), Writer: tool}, nil
	}, func(f *backend.Fold) { fold = f })
	if err != nil {
		t.Fatal(err)
	}
	return fold.Ref.Size
}

// finish closes the instance, lets collection catch up, and looks at what is left.
func (c *cellStore) finish(name string) {
	c.t.Helper()
	if err := c.in.Close(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	j := c.store.faults.Journal()
	if _, err := collectWith(c.t, c.store.objects, 2, 1000); err != nil {
		c.t.Fatal(err)
	}
	ledger, newest, err := backend.OpenReader(c.t.Context(), c.store.objects)
	if err != nil {
		c.t.Fatal(err)
	}
	named, above := map[string]bool{}, backend.SegmentRef{}.Key()
	for r, err := range ledger.Retained(c.t.Context(), newest) {
		if err != nil {
			c.t.Fatal(err)
		}
		for _, s := range r.Segments {
			named[s.Key()] = true
		}
		above = backend.SegmentRef{Epoch: r.Epoch + 1}.Key()[:28]
	}
	for _, key := range segmentsLeft(c.t, c.store) {
		if !named[key] && key < above {
			c.t.Errorf("segment %s is left, which no retained record names", key)
		}
	}
	folds := j.Count(backendtest.Create, backendtest.Segment) - c.epochs
	c.t.Logf("%s: at worst %.2f times the live state, chains of %d at most; %d epochs, %d folds; retained: the last two epochs", name, c.worst, c.longest, c.epochs, folds)
}

// TestEpochsWaitForAnOverdueFold: where compaction cannot keep up, the bound holds epochs back, and the status says so.
func TestEpochsWaitForAnOverdueFold(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		c := openCells(t, s)
		stuck := s.faults.Add(backendtest.Rule{Op: backendtest.Get, Key: "segment/*", Hold: true})
		c.fillChain()
		if held := c.in.Status().Held; len(held) > 0 {
			t.Errorf("held while nobody wants an epoch: got %q, want nothing", held)
		}
		c.set(1)
		hasty, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.p.Flush(hasty); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush behind a chain of %d that cannot be folded: got %v, want it to wait", longestChain, err)
		}
		if held := c.in.Status().Held; len(held) != 1 || !strings.Contains(held[0], "compaction") {
			t.Errorf("held: got %q, want compaction", held)
		}
		stuck.Release()
		c.flush()
		c.measure()
		if c.longest > 2*longestChain/3 {
			t.Errorf("the longest chain behind the fold has %d segments, want it folded", c.longest)
		}
		if held := c.in.Status().Held; len(held) > 0 {
			t.Errorf("held behind the fold: got %q, want nothing", held)
		}
		c.finish("stuck")
	})
}

// TestOverdueFoldIsMadeAfterARestart: an instance that begins with a chain at its bound folds before its first epoch.
func TestOverdueFoldIsMadeAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		c := openCells(t, s)
		s.faults.Add(backendtest.Rule{Op: backendtest.Get, Key: "segment/*", Hold: true})
		c.fillChain()
		s.faults.Crash()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_ = c.in.Close(gone)
		s.faults = backendtest.NewFaults(s.objects, 1)
		c = openCells(t, s)
		c.set(1)
		c.flush()
		if c.measure(); c.longest > 3 {
			t.Errorf("the longest chain has %d segments, want it folded", c.longest)
		}
		c.finish("restarted")
	})
}
