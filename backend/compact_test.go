package backend_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// chainModel is what the vnodes of a store hold, and all that a vnode knows when it captures.
type chainModel struct {
	*chainStore
	vnodes []*modelVnode
	number uint64          // of the last attempt
	folds  []*backend.Fold // waiting for a seal
	taken  int
	stale  int
}

type modelVnode struct {
	life      uint64
	sealed    []vnode.SliceID // by this life or restored by it, oldest first
	state     map[string]string
	changed   map[string]uint64 // number of the attempt that captures the key's last change
	positions vnode.Positions
	moved     uint64 // the same of positions
}

func newChainModel(t rapid.TB, capacity int) *chainModel {
	m := &chainModel{chainStore: newChainStore(t, capacity), number: 0}
	for range capacity {
		m.vnodes = append(m.vnodes, &modelVnode{
			life: 1, sealed: []vnode.SliceID{{}}, state: map[string]string{}, changed: map[string]uint64{},
		})
	}
	return m
}

// set changes a key; empty deletes it, whether or not it is there.
func (m *chainModel) set(v int, key, value string) {
	x := m.vnodes[v]
	x.changed[key] = m.number + 1
	if value == "" {
		delete(x.state, key)
		return
	}
	x.state[key] = value
}

// capture is what the vnode captures for the next attempt, on the back-th last slice that its life knows sealed.
func (m *chainModel) capture(v, back int) backend.Capture {
	x := m.vnodes[v]
	slice := sliceOf(m.number)
	slice.Life.N = x.life
	c := backend.Capture{Vnode: vnode.ID(v), Slice: slice, Base: x.sealed[max(0, len(x.sealed)-1-back)], Partial: fmt.Appendf(nil, "%d at %d", v, m.number)}
	for _, key := range slices.Sorted(maps.Keys(x.changed)) {
		if x.changed[key] <= c.Base.Attempt.Number {
			continue
		}
		value, live := x.state[key]
		c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: []byte(key), Value: []byte(value), Deleted: !live})
		c.Entries++
	}
	if x.moved > c.Base.Attempt.Number {
		c.Positions = x.positions.Clone()
	}
	return c
}

// attempt captures all vnodes into the segments of some instances, and seals them with the folds that still fit.
func (m *chainModel) attempt(t rapid.TB, instances int, back func() int, seals bool) {
	t.Helper()
	m.number++
	parts := make([][]backend.Capture, instances)
	for v := range m.vnodes {
		i := (v + int(m.number/7)) % instances
		parts[i] = append(parts[i], m.capture(v, back()))
	}
	taken := make([]backend.SealedCapture, len(m.vnodes))
	for i, captures := range parts {
		meta := segmentMeta(len(m.vnodes), m.number)
		meta.ID, meta.Writer.Instance = m.id(), fmt.Sprintf("node-%d", i)
		ref := storeSegment(t, m.objects, meta, captures)
		for _, c := range captures {
			taken[c.Vnode] = backend.SealedCapture{Slice: c.Slice, Segment: &ref}
		}
	}
	if seals {
		m.sealAll(t, taken)
	}
}

func (m *chainModel) sealAll(t rapid.TB, taken []backend.SealedCapture) {
	t.Helper()
	n, before := m.next(), m.newest().Epoch
	if err := backend.SealInto(n, vnode.Attempt{Term: 1, Number: m.number, Version: 1}, taken); err != nil {
		t.Fatal(err)
	}
	m.folds = slices.DeleteFunc(m.folds, func(f *backend.Fold) bool {
		done := backend.ApplyFold(n, before, f)
		if done {
			m.taken++
		} else if f.Late(n.Epoch) {
			m.stale++
		}
		return done || f.Late(n.Epoch)
	})
	m.records = append(m.records, n)
	for v, x := range m.vnodes {
		x.sealed = append(x.sealed, n.Tips[v])
	}
}

// restart begins a new life: what was not sealed is replayed by the test, since the model keeps it as changed.
func (m *chainModel) restart(v int) {
	x := m.vnodes[v]
	x.life++
	x.sealed = x.sealed[len(x.sealed)-1:]
}

// stored restores a record into maps.
func stored(t rapid.TB, objects backend.Objects, rec *backend.Record) ([]map[string]string, []vnode.Positions) {
	t.Helper()
	var ids []vnode.ID
	states, positions := make([]map[string]string, len(rec.Tips)), make([]vnode.Positions, len(rec.Tips))
	for v := range rec.Tips {
		ids, states[v] = append(ids, vnode.ID(v)), map[string]string{}
	}
	var mu sync.Mutex
	err := backend.Restorer{Objects: objects, Record: rec, Bytes: 2000}.Restore(context.Background(), ids, func(s backend.RestoredSlice) error {
		mu.Lock()
		defer mu.Unlock()
		if s.Slice != rec.Tips[s.Vnode] {
			return fmt.Errorf("vnode %d restored slice %v, its tip is %v", s.Vnode, s.Slice, rec.Tips[s.Vnode])
		}
		positions[s.Vnode] = s.Positions
		return s.Apply(func(e vnode.Entry) error {
			if delete(states[s.Vnode], string(e.Key)); !e.Deleted {
				states[s.Vnode][string(e.Key)] = string(e.Value)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatalf("restore epoch %d: %v", rec.Epoch, err)
	}
	return states, positions
}

// check compares the newest record with the model, all ways of reading it.
func (m *chainModel) check(t rapid.TB) {
	t.Helper()
	states, positions := stored(t, m.objects, m.newest())
	exported := make([]map[string]string, len(m.vnodes))
	for v := range exported {
		exported[v] = map[string]string{}
	}
	err := backend.Export(context.Background(), m.objects, m.newest(), func(v vnode.ID, key, value []byte) error {
		exported[v][string(key)] = string(value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := backend.Restorer{Objects: m.objects, Record: m.newest()}.Partials(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for v, x := range m.vnodes {
		if !maps.Equal(states[v], x.state) {
			t.Fatalf("epoch %d: vnode %d restored %v, want %v", m.newest().Epoch, v, states[v], x.state)
		}
		if !maps.Equal(exported[v], x.state) {
			t.Fatalf("epoch %d: vnode %d exported %v, want %v", m.newest().Epoch, v, exported[v], x.state)
		}
		if !reflect.DeepEqual(positions[v], x.positions) {
			t.Fatalf("epoch %d: vnode %d restored positions %v, want %v", m.newest().Epoch, v, positions[v], x.positions)
		}
		if want := fmt.Sprintf("%d at %d", v, m.newest().Epoch); string(all[v]) != want {
			t.Fatalf("epoch %d: vnode %d has partial %q, want %q", m.newest().Epoch, v, all[v], want)
		}
	}
}

// Whatever is folded, when and by whom, every sealed epoch restores to what the vnodes held, and no fold enters
// where its chain has changed (I2).
func TestFoldsNeverChangeWhatIsSealed(t *testing.T) {
	taken, stale := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := newChainModel(t, 4)
		drawInt := func(label string, low, high int) int { return rapid.IntRange(low, high).Draw(t, label) }
		for range drawInt("steps", 1, 100) {
			switch drawInt("step", 0, 11) {
			case 0, 1, 2, 3:
				value := rapid.SampledFrom([]string{"", "", "a", "bb", "ccc"}).Draw(t, "value")
				m.set(drawInt("vnode", 0, 3), fmt.Sprint("key-", drawInt("key", 0, 5)), value)
			case 4:
				x := m.vnodes[drawInt("vnode", 0, 3)]
				x.positions, x.moved = vnode.Positions{"p": {Generation: 1, At: uint64(drawInt("at", 0, 99))}}, m.number+1
			case 5:
				m.restart(drawInt("vnode", 0, 3))
			case 6, 7:
				m.fold(t)
			default:
				m.attempt(t, drawInt("instances", 1, 3), func() int { return drawInt("back", 0, 2) }, drawInt("seals", 0, 3) > 0)
			}
		}
		if m.newest().Epoch == 0 {
			return
		}
		m.attempt(t, 1, func() int { return 0 }, true)
		m.check(t)
		if problems := m.verify(t); len(problems) > 0 {
			t.Fatalf("verify: %v", errors.Join(problems...))
		}
		taken, stale = taken+m.taken, stale+m.stale
	})
	t.Logf("%d folds taken, %d refused", taken, stale)
	if taken == 0 || stale == 0 {
		t.Errorf("%d folds taken and %d refused: the test proves nothing", taken, stale)
	}
}

// fold folds any vnodes of any run of segments, under a name that may be too early or too late.
func (m *chainModel) fold(t *rapid.T) {
	rec := m.records[rapid.IntRange(max(0, len(m.records)-3), len(m.records)-1).Draw(t, "record")]
	if len(rec.Segments) == 0 {
		return
	}
	begin := rapid.IntRange(0, len(rec.Segments)-1).Draw(t, "begin")
	end := rapid.IntRange(begin+1, len(rec.Segments)).Draw(t, "end")
	subset := rapid.IntRange(1, 15).Draw(t, "vnodes")
	var plan backend.FoldPlan
	for _, s := range rec.Segments[begin:end] {
		ours := 0
		for v := range s.Vnodes.All {
			if subset>>v&1 == 1 {
				plan.Vnodes.Add(v)
				ours++
			}
		}
		if ours > 0 {
			plan.Segments = append(plan.Segments, s)
		}
	}
	if len(plan.Segments) == 0 {
		return
	}
	epoch := vnode.Epoch(max(0, int(m.number)+rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2}).Draw(t, "name")))
	var fold *backend.Fold
	err := backend.Compact(context.Background(), m.objects, rec, []backend.FoldPlan{plan}, func() (backend.FoldName, error) {
		return backend.FoldName{Epoch: epoch, ID: m.id(), Writer: segmentWriter}, nil
	}, func(f *backend.Fold) { fold = f })
	if err != nil {
		t.Fatal(err)
	}
	m.folds = append(m.folds, fold)
}

// A fold reaches as far as any of its vnodes. Of another vnode it may then seem to cover what a second fold stands for, that
// enters with the same seal: what follows from the record before is not called corrupt, and what does not is.
func TestVerifyTellsFoldsOfOneSealApart(t *testing.T) {
	m := newChainModel(t, 2)
	seal := func(instances int, vnodes ...int) {
		for _, v := range vnodes {
			m.set(v, fmt.Sprint("key of epoch ", m.number+1), "value")
		}
		m.attempt(t, instances, func() int { return 0 }, true)
	}
	seal(1, 0, 1)
	seal(1, 0)
	seal(2, 0, 1) // into a segment of each
	seal(1, 1)
	segments, both := m.newest().Segments, everyVnode(2)
	m.folds = []*backend.Fold{
		m.compact(t, backend.FoldPlan{Vnodes: both, Segments: []backend.SegmentRef{segments[2], segments[4]}}),
		m.compact(t, backend.FoldPlan{Vnodes: both, Segments: []backend.SegmentRef{segments[0], segments[1], segments[3]}}),
	}
	seal(1)
	if m.taken != 2 {
		t.Fatalf("%d folds were taken, want both", m.taken)
	}
	m.check(t)
	if problems := m.verify(t); len(problems) > 0 {
		t.Errorf("verify: %v", errors.Join(problems...))
	}
	for i := range m.newest().Segments {
		if s := &m.newest().Segments[i]; s.Vnodes.Has(0) {
			s.Vnodes.Remove(0)
			if len(m.verify(t)) == 0 {
				t.Errorf("vnode 0 has lost %s: verify found nothing", s.Key())
			}
			s.Vnodes.Add(0)
		}
	}
}

// A deleted key stays deleted, whatever part of its chain is folded: tombstones go only at the beginning (I2).
func TestTombstonesOutliveFoldsAboveTheBase(t *testing.T) {
	m := newChainModel(t, 1)
	still := func() int { return 0 }
	for _, value := range []string{"1", "", "", "2", ""} {
		m.set(0, "key", value)
		m.set(0, "never there", "")
		m.attempt(t, 1, still, true)
	}
	for _, run := range [][2]int{{1, 3}, {2, 3}, {0, 2}, {0, 2}} {
		rec := m.newest()
		plan := backend.FoldPlan{Segments: rec.Segments[run[0]:run[1]]}
		plan.Vnodes.Add(0)
		m.folds = append(m.folds, m.compact(t, plan))
		m.attempt(t, 1, still, true)
		m.check(t)
	}
	if m.taken != 4 {
		t.Errorf("%d folds were taken, want 4", m.taken)
	}
	rec := m.newest()
	if len(rec.Chain(0)) > 2 {
		t.Errorf("chain %v of %v is not folded", rec.Chain(0), rec.Segments)
	}
}

// Compaction behind every seal keeps chains, stored bytes and the work it takes within bounds, for ever (I8).
func TestCompactionBoundsChainsAndBytes(t *testing.T) {
	for name, churn := range map[string]func(m *chainModel, r *rand.Rand, epoch int){
		"insert and delete": churnKeys,
		"growing": func(m *chainModel, r *rand.Rand, _ int) {
			setMany(m, r, 50, func(i int) string { return fmt.Sprint(m.number, "-", i) })
		},
		"updates": func(m *chainModel, r *rand.Rand, _ int) {
			setMany(m, r, 50, func(int) string { return fmt.Sprint(r.IntN(2000)) })
		},
		"filled then emptied": func(m *chainModel, r *rand.Rand, epoch int) {
			if epoch < 100 {
				setMany(m, r, 100, func(i int) string { return fmt.Sprint(m.number, "-", i) })
				return
			}
			emptySome(m, 60)
		},
		"a hot key": func(m *chainModel, r *rand.Rand, _ int) { setMany(m, r, 1, func(int) string { return "hot" }) },
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Run("whole", func(t *testing.T) { boundsHold(t, churn, backend.CompactionPolicy{Slack: 16 << 10}) })
			t.Run("in-parts", func(t *testing.T) { boundsHold(t, churn, backend.CompactionPolicy{Slack: 16 << 10, Part: 16 << 10}) })
		})
	}
}

// boundsHold churns for 400 epochs, each of which is followed by what compaction plans.
func boundsHold(t *testing.T, churn func(m *chainModel, r *rand.Rand, epoch int), policy backend.CompactionPolicy) {
	m, r := newChainModel(t, 8), rand.New(rand.NewPCG(1, 2))
	captured, folded, largest, folds, worst, longest := int64(0), int64(0), int64(0), 0, 0.0, 0
	for epoch := range 400 {
		churn(m, r, epoch)
		m.attempt(t, 1, func() int { return 0 }, true)
		rec := m.newest()
		longest = max(longest, rec.LongestChain())
		captured += rec.Segments[len(rec.Segments)-1].Size
		if epoch%10 == 9 {
			worst = max(worst, m.waste(t, policy.Slack))
		}
		for _, plan := range backend.PlanCompaction(rec, everyVnode(8), policy) {
			f := m.compact(t, plan)
			folded, folds, largest = folded+f.Ref.Size, folds+1, max(largest, f.Ref.Size)
			m.folds = append(m.folds, f)
		}
		m.collect()
	}
	m.check(t)
	amplification := float64(folded) / float64(captured)
	t.Logf("longest chain %d; stored bytes at worst %.2f of the live state's; %d folds of at most %d bytes in 400 epochs write %.1f bytes per captured byte",
		longest, worst, folds, largest, amplification)
	if longest > 12 || worst > 2 || amplification > 6 {
		t.Errorf("longest chain %d (want <= 12), stored %.2f (want <= 2), amplification %.1f (want <= 6)", longest, worst, amplification)
	}
}

func everyVnode(capacity int) vnode.Set {
	var all vnode.Set
	for v := range capacity {
		all.Add(vnode.ID(v))
	}
	return all
}

func setMany(m *chainModel, r *rand.Rand, n int, key func(i int) string) {
	for i := range n {
		value := make([]byte, 32)
		for j := range value {
			value[j] = byte(r.Uint32())
		}
		k := key(i)
		m.set(modelVnodeOf(k), k, string(value))
	}
}

// modelVnodeOf spreads keys over 8 vnodes, unevenly.
func modelVnodeOf(key string) int { return int(key[len(key)-1]) % 8 }

// churnKeys inserts new keys and deletes those of ten epochs ago.
func churnKeys(m *chainModel, r *rand.Rand, epoch int) {
	setMany(m, r, 50, func(i int) string { return fmt.Sprintf("%06d-%d", epoch, i) })
	for i := range 50 {
		k := fmt.Sprintf("%06d-%d", epoch-10, i)
		m.set(modelVnodeOf(k), k, "")
	}
}

// emptySome deletes some keys of every vnode.
func emptySome(m *chainModel, n int) {
	for v, x := range m.vnodes {
		for i, k := range slices.Sorted(maps.Keys(x.state)) {
			if i == n {
				break
			}
			m.set(v, k, "")
		}
	}
}

// waste is how many times the live state's bytes the live segments take, beyond the slack and 1 KiB for each footer.
func (m *chainModel) waste(t rapid.TB, slack int64) float64 {
	t.Helper()
	var whole []backend.Capture
	for v, x := range m.vnodes {
		slice := sliceOf(m.number)
		slice.Life.N = x.life
		c := backend.Capture{Vnode: vnode.ID(v), Slice: slice, Entries: len(x.state)}
		for _, k := range slices.Sorted(maps.Keys(x.state)) {
			c.Delta = vnode.AppendEntry(c.Delta, vnode.Entry{Key: []byte(k), Value: []byte(x.state[k])})
		}
		whole = append(whole, c)
	}
	live := encodeSegment(t, segmentMeta(len(m.vnodes), m.number), whole).Ref.Size
	size := -slack
	for _, s := range m.newest().Segments {
		size += s.Size - 1024
	}
	return float64(size) / float64(live)
}

// collect deletes what the newest record does not name, and the model's memory of deleted keys.
func (m *chainModel) collect() {
	m.records = m.records[len(m.records)-1:]
	named := map[string]bool{}
	for _, s := range m.newest().Segments {
		named[s.Key()] = true
	}
	for _, f := range m.folds {
		named[f.Ref.Key()] = true
	}
	maps.DeleteFunc(m.objects.objects, func(key string, _ []byte) bool { return !named[key] })
	for _, x := range m.vnodes {
		x.sealed = x.sealed[len(x.sealed)-1:]
		maps.DeleteFunc(x.changed, func(_ string, at uint64) bool { return at < m.number })
	}
}

// TestOverdueIsOfOneVnodesChain: vnodes that came from several owners bring the segments of all of them, and none of their
// chains is too long.
func TestOverdueIsOfOneVnodesChain(t *testing.T) {
	const owners, deltas = 4, 6
	rec := &backend.Record{Identity: backend.Identity{Capacity: owners}, Epoch: deltas}
	var all vnode.Set
	for o := range owners {
		var of vnode.Set
		of.Add(vnode.ID(o))
		all.Add(vnode.ID(o))
		for e := range vnode.Epoch(deltas) {
			rec.Segments = append(rec.Segments, backend.SegmentRef{Epoch: e + 1, From: e, Through: e + 1, Vnodes: of, Size: 100, Live: 100, Entries: 1})
		}
	}
	policy := backend.CompactionPolicy{MaxChain: 9, Slack: 1 << 30}
	if backend.Overdue(rec, all, policy) {
		t.Errorf("%d chains of %d segments count as one that is too long", owners, deltas)
	}
	policy.MaxChain = 3
	if !backend.Overdue(rec, all, policy) {
		t.Errorf("chains of %d segments do not count as longer than %d", deltas, policy.MaxChain)
	}
}
