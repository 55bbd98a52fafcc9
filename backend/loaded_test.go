package backend_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// loadedVnodes is what somebody who does not own the vnodes has of them.
type loadedVnodes struct {
	loaded    map[vnode.ID]backend.Loaded
	states    map[vnode.ID]map[string]string
	positions map[vnode.ID]vnode.Positions
	continued int   // slices, that were loaded in part
	anew      int   // slices, that were loaded already and whole
	bytes     int64 // of deltas, in the last call of follow
}

func newLoadedVnodes(vnodes ...vnode.ID) *loadedVnodes {
	l := &loadedVnodes{
		loaded: map[vnode.ID]backend.Loaded{}, states: map[vnode.ID]map[string]string{}, positions: map[vnode.ID]vnode.Positions{},
	}
	for _, v := range vnodes {
		l.loaded[v] = backend.Loaded{}
	}
	return l
}

// follow brings all slices to the record.
func (l *loadedVnodes) follow(t rapid.TB, objects backend.Objects, rec *backend.Record) {
	t.Helper()
	l.bytes = 0
	now := map[vnode.ID]backend.Loaded{}
	var mu sync.Mutex // guards all of l
	err := backend.Restorer{Objects: objects, Record: rec, Bytes: 2000}.Continue(context.Background(), l.loaded, func(s backend.RestoredSlice) error {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := now[s.Vnode]; twice || s.Slice != rec.Tips[s.Vnode] || s.Loaded.Epoch != rec.Epoch {
			return fmt.Errorf("vnode %d, given before: %t, is slice %v of epoch %d", s.Vnode, twice, s.Slice, s.Loaded.Epoch)
		}
		switch {
		case s.Continues:
			l.continued++
		default:
			l.states[s.Vnode] = map[string]string{}
			if l.loaded[s.Vnode].Epoch > 0 {
				l.anew++
			}
		}
		now[s.Vnode], l.positions[s.Vnode] = s.Loaded, s.Positions
		l.bytes += int64(s.Size())
		return s.Apply(func(e vnode.Entry) error {
			if delete(l.states[s.Vnode], string(e.Key)); !e.Deleted {
				l.states[s.Vnode][string(e.Key)] = string(e.Value)
			}
			return nil
		})
	})
	if err != nil || len(now) != len(l.loaded) {
		t.Fatalf("continue to epoch %d: %d slices of %d, %v", rec.Epoch, len(now), len(l.loaded), err)
	}
	l.loaded = now
}

// check compares what is loaded with a whole restore of the record that was loaded last.
func (l *loadedVnodes) check(t rapid.TB, objects backend.Objects, rec *backend.Record) {
	t.Helper()
	states, positions := stored(t, objects, rec)
	for v := range l.loaded {
		if !maps.Equal(l.states[v], states[v]) {
			t.Fatalf("epoch %d: vnode %d continued to %v, a whole restore gives %v", rec.Epoch, v, l.states[v], states[v])
		}
		if !reflect.DeepEqual(l.positions[v], positions[v]) {
			t.Fatalf("epoch %d: vnode %d continued to positions %v, a whole restore gives %v", rec.Epoch, v, l.positions[v], positions[v])
		}
	}
}

// Whatever is sealed and folded meanwhile, and however many records are passed over, what goes on top of a slice that was
// loaded before makes the slice that a whole restore gives. Even if the store went back to an older epoch (I2).
func TestContinuedSlicesAreThoseOfAWholeRestore(t *testing.T) {
	continued, anew := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := newChainModel(t, 3)
		var all []*loadedVnodes
		drawInt := func(label string, low, high int) int { return rapid.IntRange(low, high).Draw(t, label) }
		for range drawInt("steps", 1, 100) {
			switch drawInt("step", 0, 12) {
			case 0, 1, 2:
				value := rapid.SampledFrom([]string{"", "", "a", "bb"}).Draw(t, "value")
				m.set(drawInt("vnode", 0, 2), fmt.Sprint("key-", drawInt("key", 0, 3)), value)
			case 3:
				x := m.vnodes[drawInt("vnode", 0, 2)]
				x.positions, x.moved = vnode.Positions{"p": {Generation: 1, At: uint64(drawInt("at", 0, 99))}}, m.number+1
			case 4:
				m.restart(drawInt("vnode", 0, 2))
			case 5, 6:
				m.fold(t)
			case 7:
				l := newLoadedVnodes(0, 1, 2)
				l.follow(t, m.objects, m.newest())
				all = append(all, l)
			case 8:
				for _, l := range all {
					if rapid.Bool().Draw(t, "follows") {
						l.follow(t, m.objects, m.newest())
						l.check(t, m.objects, m.newest())
					}
				}
			default:
				m.attempt(t, drawInt("instances", 1, 2), func() int { return drawInt("back", 0, 2) }, drawInt("seals", 0, 3) > 0)
			}
		}
		for _, l := range all {
			l.follow(t, m.objects, m.newest())
			l.check(t, m.objects, m.newest())
			continued, anew = continued+l.continued, anew+l.anew
		}
	})
	t.Logf("%d slices continued, %d read anew", continued, anew)
	if continued == 0 || anew == 0 {
		t.Errorf("%d slices continued and %d read anew: the test proves nothing", continued, anew)
	}
}

// sealed makes a store of one vnode, of which each epoch sets the keys that it names, and deletes those behind a minus.
func sealed(t *testing.T, epochs ...string) *chainModel {
	m := newChainModel(t, 1)
	for _, keys := range epochs {
		m.sealKeys(t, keys)
	}
	return m
}

func (m *chainModel) sealKeys(t *testing.T, keys string) {
	t.Helper()
	for _, key := range bytes.Fields([]byte(keys)) {
		value := fmt.Sprint("since ", m.number+1)
		if key[0] == '-' {
			key, value = key[1:], ""
		}
		m.set(0, string(key), value)
	}
	m.attempt(t, 1, func() int { return 0 }, true)
}

// foldRun folds some segments of the newest record with the next seal.
func (m *chainModel) foldRun(t *testing.T, begin, end int) {
	t.Helper()
	plan := backend.FoldPlan{Segments: m.newest().Segments[begin:end]}
	plan.Vnodes.Add(0)
	m.folds = append(m.folds, m.compact(t, plan))
}

func TestContinueReadsOnlyWhatIsAbove(t *testing.T) {
	for name, c := range map[string]struct {
		before  []string
		after   func(m *chainModel)
		anew    bool
		entries int
	}{
		"nothing": {[]string{"a b", "c"}, func(*chainModel) {}, false, 0},
		"deltas":  {[]string{"a b", "c"}, func(m *chainModel) { m.sealKeys(t, "a -c"); m.sealKeys(t, "d") }, false, 3},
		"a change that was not loaded": {[]string{"a b", "c", ""}, func(m *chainModel) {
			m.sealKeys(t, "")
			m.sealKeys(t, "a")
		}, false, 1},
		"a fold of what is loaded": {[]string{"a b", "-a", "c"}, func(m *chainModel) {
			m.foldRun(t, 0, 3)
			m.sealKeys(t, "d")
		}, false, 1},
		"a fold of what is above": {[]string{"a b", "c"}, func(m *chainModel) {
			m.sealKeys(t, "-a")
			m.sealKeys(t, "d")
			m.foldRun(t, 2, 4)
			m.sealKeys(t, "e")
		}, false, 3},
		"a fold of both": {[]string{"a b", "c"}, func(m *chainModel) {
			m.sealKeys(t, "-a")
			m.foldRun(t, 1, 3)
			m.sealKeys(t, "d")
		}, false, 3},
		"a fold of all": {[]string{"a b", "c"}, func(m *chainModel) {
			m.sealKeys(t, "-a")
			m.foldRun(t, 0, 3)
			m.sealKeys(t, "d")
		}, true, 3},
		"a fold that leaves nothing": {[]string{"a b"}, func(m *chainModel) {
			m.sealKeys(t, "-a -b")
			m.foldRun(t, 0, 2)
			m.sealKeys(t, "d")
		}, true, 1},
		"a capture on an older slice": {[]string{"a", "b", "c"}, func(m *chainModel) {
			m.set(0, "a", "")
			m.attempt(t, 1, func() int { return 2 }, true)
		}, false, 3},
		"nothing was there": {[]string{""}, func(m *chainModel) { m.sealKeys(t, "a") }, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := sealed(t, c.before...)
			l := newLoadedVnodes(0)
			l.follow(t, m.objects, m.newest())
			c.after(m)
			m.objects.reads = 0
			entries := 0
			err := backend.Restorer{Objects: m.objects, Record: m.newest()}.Continue(t.Context(), l.loaded, func(s backend.RestoredSlice) error {
				if s.Continues == c.anew {
					t.Errorf("continues: %t, want %t", s.Continues, !c.anew)
				}
				return s.Apply(func(vnode.Entry) error { entries++; return nil })
			})
			if err != nil || entries != c.entries || (entries == 0) != (m.objects.reads == 0) {
				t.Errorf("%d entries with %d requests, %v, want %d", entries, m.objects.reads, err, c.entries)
			}
			l.follow(t, m.objects, m.newest())
			l.check(t, m.objects, m.newest())
		})
	}
}
