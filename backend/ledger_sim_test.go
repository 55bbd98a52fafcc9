package backend_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// The world of this file drives the real Ledger and Collector through one store. Every actor (writers, collectors,
// pinners, readers, mergers, compactors) is a coroutine that pauses before each operation of the store. A seed says who
// goes on, who sleeps, who crashes, which creation has no answer and when it lands, and when the hint is lost.

// retain is the number of records that the world's collectors keep.
const retain = 2

var (
	errCrashed  = errors.New("crashed")
	errInjected = errors.New("injected")
)

// violation is what the world panics with when an invariant does not hold.
type violation string

// fault names a rule that the world leaves out, to show that it would be missed.
type fault string

const (
	none            fault = ""
	writersBlind    fault = "writers do not look at the floor after a creation"
	searchesBlind   fault = "nobody looks at the floor"
	anyEpoch        fault = "a collector takes segments of epochs not sealed yet"
	emissionIgnored fault = "the floor passes epochs not emitted yet"
	lateFold        fault = "a compaction enters under an epoch sealed already"
	pinBelow        fault = "a pin is taken below the floor"
	floorGap        fault = "the floor is raised again before it is published"
)

type world struct {
	rng   *rand.Rand
	fault fault
	store *memObjects
	root  *backend.Ledger

	truth   []*backend.Record // by sequence: the first that stood there
	named   [][]string        // by sequence: the segments that it names
	floor   uint64            // the highest published
	emitted vnode.Epoch
	folds   []fold
	late    []creation // to land at any later time
	actors  []*actor
	done    map[string]int
}

// creation is a record's creation that has no answer yet.
type creation struct {
	key  string
	data []byte
	rec  *backend.Record
}

// fold is a compaction that waits for a seal.
type fold struct {
	folded []backend.SegmentRef
	base   backend.SegmentRef
}

type actor struct {
	w        *world
	pause    func() bool
	next     func() (struct{}, bool)
	stop     func()
	rec      *backend.Record // being appended
	collects bool
	unsealed map[string]string // by the key that a collector is shown instead, by the world's fault
	sleeper  bool
	ledger   *backend.Ledger
}

var _ backend.Objects = (*actor)(nil)

func (a *actor) step() {
	if !a.pause() {
		panic(errCrashed)
	}
}

// blind reports whether the actor is not to see the floors, by the world's fault.
func (a *actor) blind() bool {
	switch a.w.fault {
	case writersBlind:
		return a.rec != nil
	case searchesBlind:
		return a.rec == nil && !a.collects
	}
	return false
}

// Create is the store's, but an answer may be lost, and what it says may come true later or never.
func (a *actor) Create(ctx context.Context, key string, data []byte) error {
	a.step()
	w, c := a.w, creation{key, data, a.rec}
	if w.fault == floorGap && a.rec != nil && strings.HasPrefix(key, "ledger/floor/") {
		return nil
	}
	switch luck := w.rng.Float64(); {
	case luck < .02:
		w.late = append(w.late, c)
		w.done["late"]++
		return backend.ErrUnknown
	case luck < .04:
		w.done["lost put"]++
		return backend.ErrUnknown
	case luck < .08:
		_ = w.land(c)
		w.done["lost answer"]++
		return backend.ErrUnknown
	}
	return w.land(c)
}

func (a *actor) Put(ctx context.Context, key string, data []byte) error {
	a.step()
	return a.w.store.Put(ctx, key, data)
}

func (a *actor) Get(ctx context.Context, key string, part backend.Range) ([]byte, error) {
	a.step()
	if strings.HasPrefix(key, "ledger/floor/") && a.blind() {
		return nil, backend.ErrNotFound
	}
	return a.w.store.Get(ctx, key, part)
}

func (a *actor) Delete(ctx context.Context, key string) error {
	a.step()
	w := a.w
	if w.rng.Float64() < .03 {
		return errInjected
	}
	key = cmp.Or(a.unsealed[key], key)
	if _, there := w.store.objects[key]; there {
		w.done["deleted "+strings.SplitN(key, "/", 2)[0]]++
	}
	_ = w.store.Delete(ctx, key)
	w.checkDelete(key)
	return nil
}

func (a *actor) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	a.step()
	a.w.done["list"]++
	return a.w.store.List(ctx, prefix, func(key string, size int64) bool { return yield(a.show(key), size) })
}

// show returns a key as the actor is to see it: by the world's fault, of an epoch sealed long ago.
func (a *actor) show(key string) string {
	var e vnode.Epoch
	if n, _ := fmt.Sscanf(key, "segment/%d", &e); n != 1 || a.w.fault != anyEpoch || e <= a.w.truth[len(a.w.truth)-1].Epoch {
		return key
	}
	if a.unsealed == nil {
		a.unsealed = map[string]string{}
	}
	shown := backend.SegmentRef{Instance: "node-0", ID: a.w.newID()}.Key()
	a.unsealed[shown] = key
	return shown
}

// land makes a creation stand, if its name is free, and takes note of it.
func (w *world) land(c creation) error {
	if err := w.store.Create(context.Background(), c.key, c.data); err != nil {
		return err
	}
	var seq, k uint64
	if n, _ := fmt.Sscanf(c.key, "ledger/floor/%d", &k); n == 1 {
		f, err := backend.DecodeFloor(k, c.data)
		if err != nil || f.Seq < w.floor {
			panic(violation(fmt.Sprintf("floor %d falls from %d to %d: %v", k, w.floor, f.Seq, err)))
		}
		w.floor = f.Seq
		return nil
	}
	if n, _ := fmt.Sscanf(c.key, "ledger/%d", &seq); n != 1 {
		return nil
	}
	if seq < uint64(len(w.truth)) {
		w.done["revived"]++
		return nil
	}
	w.truth = append(w.truth, c.rec)
	w.named = append(w.named, keysOf(c.rec.Segments))
	w.checkNames(c.rec)
	return nil
}

// checkNames checks I9 for a new record.
func (w *world) checkNames(r *backend.Record) {
	for _, s := range append(w.pinnedBy(r), w.named[r.Seq]...) {
		if _, err := w.store.Get(context.Background(), s, backend.Range{}); err != nil {
			panic(violation(fmt.Sprintf("I9: record %d names %s, which is gone", r.Seq, s)))
		}
	}
}

// checkDelete checks I9 for a deleted object.
func (w *world) checkDelete(key string) {
	var seq uint64
	if n, _ := fmt.Sscanf(key, "ledger/%d", &seq); n == 1 && seq >= w.floor {
		panic(violation(fmt.Sprintf("I9: record %d is deleted, the floor is %d", seq, w.floor)))
	}
	for i, keys := range w.named[w.floor:] {
		if slices.Contains(keys, key) {
			panic(violation(fmt.Sprintf("I9: %s is deleted, record %d names it, the floor is %d", key, w.floor+uint64(i), w.floor)))
		}
	}
	if slices.Contains(w.pinnedBy(w.truth[len(w.truth)-1]), key) {
		panic(violation(fmt.Sprintf("I9: %s is deleted, a pin keeps it", key)))
	}
}

func keysOf(segments []backend.SegmentRef) []string {
	var keys []string
	for _, s := range segments {
		keys = append(keys, s.Key())
	}
	return keys
}

// pinnedBy lists what the pins of a record keep.
func (w *world) pinnedBy(r *backend.Record) []string {
	var keys []string
	for _, p := range r.Pins {
		keys = append(append(keys, recordKey(p.Seq)), w.named[p.Seq]...)
	}
	return keys
}

// believe checks that a record that the ledger showed is the one in force at its sequence.
func (w *world) believe(r *backend.Record, where string) *backend.Record {
	if r.Seq >= uint64(len(w.truth)) || w.truth[r.Seq].Nonce != r.Nonce {
		panic(violation(fmt.Sprintf("I1: %s believes in record %d, which is not the true one", where, r.Seq)))
	}
	return r
}

// allow reports whether there is no error, and lets those pass that are injected or expected.
func (a *actor) allow(err error, expected ...error) bool {
	if err == nil {
		return true
	}
	if a.w.fault == writersBlind || a.w.fault == searchesBlind {
		panic(errCrashed) // who does not see the floors errs; worse is who goes on
	}
	for _, e := range append(expected, errInjected, backend.ErrUnknown) {
		if errors.Is(err, e) {
			return false
		}
	}
	panic(violation(fmt.Sprintf("I9, I10: unexpected error: %v", err)))
}

func (a *actor) newest(from *backend.Record) *backend.Record {
	known := uint64(len(a.w.truth) - 1)
	r, err := a.ledger.Newest(context.Background(), from)
	a.allow(err)
	if r.Seq < known {
		panic(violation(fmt.Sprintf("I1: a search found record %d, %d stood when it began", r.Seq, known)))
	}
	return a.w.believe(r, "a search")
}

// append repeats a record until its outcome is known, or gives up: then the writer steps down.
func (a *actor) append(rec *backend.Record) (*backend.Record, backend.Outcome) {
	a.rec = rec
	defer func() { a.rec = nil }()
	for range 6 {
		outcome, stands, err := a.ledger.Append(context.Background(), rec)
		a.w.done["append "+outcome.String()]++
		switch outcome {
		case backend.Won, backend.Lost:
			return a.w.believe(stands, "a writer"), outcome
		case backend.Void:
			return nil, outcome
		}
		a.allow(err)
	}
	return nil, backend.Unknown
}

// rebase returns the record to go on from after an append, nil to step down.
func (a *actor) rebase(stands *backend.Record, outcome backend.Outcome) *backend.Record {
	switch {
	case outcome == backend.Won || outcome == backend.Lost && a.w.rng.IntN(2) == 0:
		return stands
	case outcome == backend.Unknown:
		return nil
	}
	return a.newest(nil)
}

func (a *actor) capture(e vnode.Epoch) (backend.SegmentRef, bool) {
	s := backend.SegmentRef{Epoch: e, Instance: "node-0", ID: a.w.newID(), From: e - 1, Through: e, Vnodes: vnode.Set{1}}
	return s, a.Create(context.Background(), s.Key(), nil) == nil
}

// newID draws a UUID from the seed.
func (w *world) newID() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(w.rng.Uint32())
	}
	return id
}

func (a *actor) writer() {
	rec := a.newest(nil)
	for range 2 + a.w.rng.IntN(10) {
		e := rec.Epoch + 1
		segment, ok := a.capture(e)
		if !ok || e > a.w.emitted+3 {
			a.step()
			continue
		}
		for range a.w.rng.IntN(3) {
			a.step()
		}
		n := rec.Next(vnode.Member{Instance: "node-0"}, time.Time{})
		n.Epoch, n.Emitted, n.Segments = e, max(rec.Emitted, a.w.emitted), append(n.Segments, segment)
		a.fold(n, rec.Epoch)
		if a.w.rng.IntN(4) == 0 {
			a.raise(n, rec)
		}
		stands, outcome := a.append(n)
		if rec = a.rebase(stands, outcome); rec == nil {
			return
		}
	}
}

// raise lets a writer raise the floor, whether or not the last one is published.
func (a *actor) raise(n, rec *backend.Record) {
	waiting := uint64(math.MaxUint64)
	for _, r := range a.w.truth {
		if r.Epoch > rec.Emitted && r.Seq <= rec.Seq {
			waiting = r.Seq
			break
		}
	}
	if seq, ok := backend.PlanFloor(rec, retain, 1, waiting); ok && backend.RaiseFloor(n, seq) {
		a.w.done["raised by a writer"]++
	}
}

// fold puts a waiting compaction into a seal that follows an epoch.
func (a *actor) fold(n *backend.Record, sealed vnode.Epoch) {
	w := a.w
	if len(w.folds) == 0 || w.rng.Float64() > .7 {
		return
	}
	f := w.folds[0]
	w.folds = w.folds[1:]
	same := func(a, b backend.SegmentRef) bool { return a.ID == b.ID }
	if w.fault != lateFold && f.base.Epoch <= sealed || f.base.Epoch > n.Epoch ||
		len(n.Segments) < len(f.folded) || !slices.EqualFunc(n.Segments[:len(f.folded)], f.folded, same) {
		return
	}
	n.Segments = append([]backend.SegmentRef{f.base}, n.Segments[len(f.folded):]...)
	w.done["folded"]++
}

func (a *actor) compactor() {
	for range 3 {
		a.compact(a.newest(nil))
	}
}

func (a *actor) compact(rec *backend.Record) {
	if len(rec.Segments) < 2 {
		return
	}
	folded := rec.Segments[:2+a.w.rng.IntN(len(rec.Segments)-1)]
	base, ok := a.capture(rec.Epoch + 1)
	if a.w.fault == lateFold {
		base, ok = a.capture(rec.Epoch)
	}
	if !ok {
		return
	}
	base.From, base.Through = 0, folded[len(folded)-1].Through
	a.step()
	a.w.folds = append(a.w.folds, fold{folded, base})
}

func (a *actor) collector() {
	a.collects = true
	c := backend.NewCollector(a.ledger, backend.CollectorConfig{Deletes: 1 + a.w.rng.IntN(12), Sweep: 1 + a.w.rng.IntN(4)})
	var rec *backend.Record
	for range 1 + a.w.rng.IntN(6) {
		rec = a.newest(rec)
		a.collect(c, rec)
		to, worth := a.nextFloor(rec)
		n := rec.Next(vnode.Member{Instance: "node-0"}, time.Time{})
		if !worth || !backend.RaiseFloor(n, to) {
			continue
		}
		if stands, outcome := a.append(n); outcome == backend.Won {
			rec = stands
			a.collect(c, rec)
		}
	}
}

// collect makes one pass.
func (a *actor) collect(c *backend.Collector, rec *backend.Record) {
	_, err := c.Run(context.Background(), rec)
	a.allow(err)
}

// nextFloor plans on a record that the world's fault falsifies.
func (a *actor) nextFloor(rec *backend.Record) (uint64, bool) {
	shown := *rec
	if a.w.fault == emissionIgnored {
		shown.Emitted = math.MaxInt64
	}
	to, worth, err := a.ledger.NextFloor(context.Background(), &shown, backend.Retention{Records: retain, Step: 1})
	return to, a.allow(err, backend.ErrCollected) && worth
}

func (a *actor) pinner() {
	rec := a.newest(nil)
	back := min(rec.Seq, uint64(a.w.rng.IntN(2*retain+1)))
	old, err := a.ledger.Read(context.Background(), rec.Seq-back)
	if !a.allow(err, backend.ErrCollected) {
		return
	}
	a.w.believe(old, "a reader")
	for rec != nil {
		n := rec.Next(vnode.Member{Instance: "pinner"}, time.Time{})
		n.Pins = nil
		if a.w.rng.Float64() < .6 {
			n.Pins = slices.Clone(rec.Pins)
			floor := n.Floor
			if a.w.fault == pinBelow {
				n.Floor = backend.Floor{}
			}
			name := fmt.Sprint(a.w.rng.IntN(3))
			if err := backend.WithoutPin(n, name); err == nil {
				a.w.done["pin dropped"]++
			}
			err := backend.WithPin(n, name, old)
			if n.Floor = floor; !a.allow(err, backend.ErrCollected, backend.ErrUnsealed) {
				a.w.done["pin refused"]++
				return
			}
		}
		stands, outcome := a.append(n)
		if outcome == backend.Won {
			a.w.done["pinned"]++
			return
		}
		rec = a.rebase(stands, outcome)
	}
}

// reader reads all that a record names.
func (a *actor) reader() {
	rec := a.newest(nil)
	for range a.w.rng.IntN(20) {
		a.step()
	}
	for _, s := range rec.Segments {
		if !a.read(rec, s) {
			a.w.done["reader passed by"]++
			return
		}
	}
	for r, err := range a.ledger.History(context.Background(), rec) {
		if !a.allow(err, backend.ErrCollected) {
			return
		}
		a.w.believe(r, "a reader of history")
	}
	for _, p := range rec.Pins {
		r, err := a.ledger.Pinned(context.Background(), rec, p)
		if !a.allow(err, backend.ErrCollected) {
			continue
		}
		a.w.believe(r, "a reader of a pin")
		for _, s := range r.Segments {
			if a.read(r, s) {
				a.w.done["read of a pin"]++
			}
		}
	}
}

// read reports whether a segment is there; if not, the floor must have passed by.
func (a *actor) read(by *backend.Record, s backend.SegmentRef) bool {
	_, err := a.Get(context.Background(), s.Key(), backend.Range{})
	if errors.Is(err, backend.ErrNotFound) {
		err = a.ledger.Absent(context.Background(), s.Key(), by)
	}
	return a.allow(err, backend.ErrCollected)
}

// merger emits epochs in order, each from the record that sealed it.
func (a *actor) merger() {
	for range 4 {
		rec := a.newest(nil)
		e := a.w.emitted + 1
		if rec.Epoch < e {
			continue
		}
		sealed := rec
		for r, err := range a.ledger.History(context.Background(), rec) {
			if !a.allow(err, backend.ErrCollected) || r.Epoch < e {
				break
			}
			sealed = r
		}
		there := sealed.Epoch == e
		for _, s := range sealed.Segments {
			there = there && a.read(sealed, s)
		}
		if !there && a.w.emitted < e {
			panic(violation(fmt.Sprintf("I6: epoch %d is collected and was never emitted", e)))
		}
		if there && a.w.emitted < e {
			a.w.emitted = e
			a.w.done["emitted"]++
		}
	}
}

// start adds an actor.
func (w *world) start(run func(*actor)) {
	a := &actor{w: w, sleeper: w.rng.IntN(4) == 0}
	a.ledger = w.root.Fork(a)
	a.next, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != errCrashed {
				panic(r)
			}
		}()
		a.pause = func() bool { return yield(struct{}{}) }
		run(a)
	})
	w.actors = append(w.actors, a)
}

func (w *world) startAny() {
	kinds := []func(*actor){
		(*actor).writer, (*actor).writer, (*actor).writer, (*actor).collector, (*actor).collector,
		(*actor).pinner, (*actor).reader, (*actor).reader, (*actor).merger, (*actor).merger, (*actor).compactor, (*actor).compactor,
	}
	if w.fault == pinBelow {
		kinds = append(kinds, (*actor).pinner, (*actor).pinner, (*actor).pinner)
	}
	w.start(kinds[w.rng.IntN(len(kinds))])
}

// loseHint makes the hint lag, vanish, or say nothing.
func (w *world) loseHint() {
	hints := []string{
		"", "rubbish", fmt.Sprintf("%020d 0\n", w.rng.IntN(len(w.truth))),
		fmt.Sprintf("%020d %d\n", uint64(math.MaxUint64), uint64(math.MaxUint64)), fmt.Sprintf("%020d 1\n", len(w.truth)-1),
	}
	if h := hints[w.rng.IntN(len(hints))]; h != "" {
		_ = w.store.Put(context.Background(), "ledger/head", []byte(h))
	} else {
		_ = w.store.Delete(context.Background(), "ledger/head")
	}
	w.done["hint lost"]++
}

// run plays a seed and returns the violation that it met.
func (w *world) run(steps int) (found string) {
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(violation)
			if !ok {
				panic(r)
			}
			found = string(v)
		}
		for _, a := range w.actors {
			a.stop()
		}
	}()
	w.start((*actor).writer)
	for range steps {
		switch luck := w.rng.Float64(); {
		case len(w.actors) == 0 || luck < .08 && len(w.actors) < 12:
			w.startAny()
		case luck < .09:
			w.loseHint()
		case luck < .10 && len(w.actors) > 8:
			i := w.rng.IntN(len(w.actors))
			a := w.actors[i]
			w.actors = slices.Delete(w.actors, i, i+1)
			a.stop()
			w.done["crash"]++
		case luck < .105 && len(w.late) > 0:
			i := w.rng.IntN(len(w.late))
			c := w.late[i]
			w.late = slices.Delete(w.late, i, i+1)
			_ = w.land(c)
		default:
			w.advance()
		}
	}
	return ""
}

// advance lets an actor go on. Sleepers seldom do.
func (w *world) advance() {
	i := w.rng.IntN(len(w.actors))
	for tries := 0; w.actors[i].sleeper && tries < 5; tries++ {
		i = w.rng.IntN(len(w.actors))
	}
	a := w.actors[i]
	for range 1 + w.rng.IntN(4) {
		if _, more := a.next(); !more {
			w.actors = slices.Delete(w.actors, i, i+1)
			return
		}
	}
}

// universe makes worlds that begin with the same genesis record.
type universe struct {
	store   *memObjects
	ledger  *backend.Ledger
	genesis *backend.Record
}

func newUniverse(t testing.TB) *universe {
	t.Helper()
	store := newMemObjects()
	l, genesis, err := backend.OpenLedger(context.Background(), store, backend.Identity{Capacity: 1, App: "sim"})
	if err != nil {
		t.Fatal(err)
	}
	return &universe{store, l, genesis}
}

func (u *universe) world(seed uint64, f fault, done map[string]int) *world {
	store := newMemObjects()
	for key, data := range u.store.objects {
		store.objects[key] = data
	}
	return &world{
		rng: rand.New(rand.NewPCG(seed, 0)), fault: f, store: store, root: u.ledger,
		truth: []*backend.Record{u.genesis}, named: [][]string{nil}, done: done,
	}
}

// play plays seeds on several goroutines until one meets a violation, and returns it and what was done.
func play(t *testing.T, seeds uint64, f fault) (string, map[string]int) {
	const players = 4
	var g sync.WaitGroup
	var found atomic.Pointer[string]
	done := make([]map[string]int, players)
	for p := range players {
		done[p] = map[string]int{}
		u := newUniverse(t)
		g.Go(func() {
			for seed := uint64(p); seed < seeds && found.Load() == nil; seed += players {
				if v := u.world(seed, f, done[p]).run(500); v != "" {
					v = fmt.Sprintf("seed %d: %s", seed, v)
					found.Store(&v)
				}
			}
		})
	}
	g.Wait()
	sum := map[string]int{}
	for _, d := range done {
		for what, n := range d {
			sum[what] += n
		}
	}
	if v := found.Load(); v != nil {
		return *v, sum
	}
	return "", sum
}

// seedsWanted is the number of seeds to play, a twentieth with the race detector; SHEAF_SEEDS asks for more.
func seedsWanted(t *testing.T) uint64 {
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("SHEAF_SEEDS"), "2000"), 10, 64)
	if err != nil {
		t.Fatalf("SHEAF_SEEDS: %v", err)
	}
	if raceEnabled {
		n /= 20
	}
	return n
}

// I1, I6, I9: whoever sleeps, crashes or loses an answer, nobody believes in a record that is not in force, nothing that
// a retained record or a pin reaches is deleted, and nothing is collected before it was emitted.
func TestCollectionIsSafeInAnyOrder(t *testing.T) {
	seeds := seedsWanted(t)
	found, done := play(t, seeds, none)
	if found != "" {
		t.Fatal(found)
	}
	t.Logf("%d seeds: %v", seeds, done)
	for _, what := range []string{
		"append won", "append lost", "append void", "append unknown", "late", "lost put", "lost answer", "revived", "folded",
		"pinned", "pin refused", "pin dropped", "read of a pin", "emitted", "crash", "hint lost", "raised by a writer", "reader passed by", "deleted ledger", "deleted segment",
	} {
		if done[what] < int(seeds)/400 {
			t.Errorf("%d seeds: %q happened %d times: the seeds do no real work", seeds, what, done[what])
		}
	}
}

// The checker can fail: without any one of the rules it does.
func TestCollectionWithoutARuleIsCaught(t *testing.T) {
	for _, f := range []fault{writersBlind, searchesBlind, anyEpoch, emissionIgnored, lateFold, pinBelow, floorGap} {
		t.Run(string(f), func(t *testing.T) {
			found, _ := play(t, 5000, f)
			if found == "" {
				t.Fatalf("5000 seeds and no violation, though %s", f)
			}
			t.Log(found)
		})
	}
}
