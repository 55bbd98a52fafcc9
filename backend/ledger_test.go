package backend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

func boardIdentity() backend.Identity {
	return backend.Identity{Capacity: 2, App: "board", KeyCodec: "string", StateCodec: "cbor", ResultCodec: "cbor"}
}

func recordKey(seq uint64) string { return fmt.Sprintf("ledger/%020d", seq) }

func openLedger(t *testing.T, store backend.Objects) (*backend.Ledger, *backend.Record) {
	t.Helper()
	l, newest, err := backend.OpenLedger(t.Context(), store, boardIdentity())
	if err != nil {
		t.Fatalf("open ledger: %v", err)
	}
	return l, newest
}

func next(r *backend.Record) *backend.Record {
	return r.Next(vnode.Member{Instance: "node-0"}, time.Unix(1, 0))
}

// win appends a record that must win.
func win(t *testing.T, l *backend.Ledger, rec *backend.Record) *backend.Record {
	t.Helper()
	outcome, stands, err := l.Append(t.Context(), rec)
	if err != nil || outcome != backend.Won || stands != rec {
		t.Fatalf("append record %d: got %v, %v, want won", rec.Seq, outcome, err)
	}
	return rec
}

// grow appends n records.
func grow(t *testing.T, l *backend.Ledger, rec *backend.Record, n int) *backend.Record {
	t.Helper()
	for range n {
		rec = win(t, l, next(rec))
	}
	return rec
}

// collectBelow raises the floor to seq and collects.
func collectBelow(t *testing.T, l *backend.Ledger, rec *backend.Record, seq uint64) *backend.Record {
	t.Helper()
	n := next(rec)
	if !backend.RaiseFloor(n, seq) {
		t.Fatalf("record %d does not raise the floor from %d to %d", n.Seq, rec.Floor.Seq, seq)
	}
	win(t, l, n)
	if _, err := backend.NewCollector(l, backend.CollectorConfig{Deletes: 1000}).Run(t.Context(), n); err != nil {
		t.Fatalf("collect below %d: %v", seq, err)
	}
	return n
}

func TestOpenBeginsAnEmptyStoreOnce(t *testing.T) {
	store := newMemObjects()
	var g sync.WaitGroup
	nonces := make([]uuid.UUID, 8)
	for i := range nonces {
		g.Go(func() {
			_, newest, err := backend.OpenLedger(t.Context(), store, boardIdentity())
			if err != nil {
				t.Errorf("open ledger: %v", err)
				return
			}
			nonces[i] = newest.Nonce
		})
	}
	g.Wait()
	if len(slices.Compact(nonces)) != 1 {
		t.Errorf("racing openers read genesis records %v, want one", nonces)
	}
	_, genesis := openLedger(t, store)
	if genesis.Seq != 0 || len(genesis.Tips) != 2 || !slices.Equal(genesis.Assignment.Owners, []int{vnode.Unowned, vnode.Unowned}) {
		t.Errorf("genesis record: got %+v, want one in which nothing happened", genesis)
	}
}

func TestReaderCreatesNothing(t *testing.T) {
	store := newMemObjects()
	if _, _, err := backend.OpenReader(t.Context(), store); !errors.Is(err, backend.ErrEmpty) {
		t.Errorf("read an empty store: got %v, want ErrEmpty", err)
	}
	if keys := store.keys(""); len(keys) != 0 {
		t.Errorf("a reader created %v", keys)
	}
	openLedger(t, store)
	if _, r, err := backend.OpenReader(t.Context(), store); err != nil || r.Identity.App != "board" {
		t.Errorf("read a store: got %v, %v", r, err)
	}
}

// I10: every setting that differs is named.
func TestForeignStoreIsRefused(t *testing.T) {
	store := newMemObjects()
	openLedger(t, store)
	other := backend.Identity{Capacity: 7, App: "other", KeyCodec: "int", StateCodec: "json", ResultCodec: "json"}
	_, _, err := backend.OpenLedger(t.Context(), store, other)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("open with another identity: got %v, want several errors", err)
	}
	var keys []string
	for _, err := range joined.Unwrap() {
		var foreign *backend.ForeignError
		if errors.As(err, &foreign) {
			keys = append(keys, foreign.Key)
		}
	}
	if want := []string{"vnode_capacity", "app", "key_codec", "state_codec", "result_codec"}; !slices.Equal(keys, want) {
		t.Errorf("open with another identity names %v, want %v", keys, want)
	}
}

// I10: a store that lost its beginning is never begun anew.
func TestStoreWithoutItsGenesisIsNotBegunAnew(t *testing.T) {
	cases := map[string]struct {
		prepare func(*memObjects)
		missing string
	}{
		"a record":    {func(m *memObjects) { delete(m.objects, recordKey(0)) }, recordKey(0)},
		"a segment":   {func(m *memObjects) { clear(m.objects); m.objects["segment/00000000000000000001/x"] = nil }, recordKey(0)},
		"only a hint": {func(m *memObjects) { clear(m.objects); m.objects["ledger/head"] = []byte("00000000000000000003 0\n") }, recordKey(0)},
		"a floor": {func(m *memObjects) {
			clear(m.objects)
			m.objects["ledger/floor/1"] = backend.EncodeFloor(backend.Floor{K: 1, Seq: 5})
		}, recordKey(5)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store := newMemObjects()
			l, genesis := openLedger(t, store)
			grow(t, l, genesis, 2)
			c.prepare(store)
			before := store.keys("")
			_, _, err := backend.OpenLedger(t.Context(), store, boardIdentity())
			var missing *backend.MissingError
			if !errors.As(err, &missing) || missing.Object != c.missing {
				t.Errorf("store of %v: got %v, want a MissingError of %s", before, err, c.missing)
			}
			if after := store.keys(""); !slices.Equal(before, after) {
				t.Errorf("store of %v holds %v after it was refused", before, after)
			}
		})
	}
}

func TestOpenRetriesGenesisOfUnknownOutcome(t *testing.T) {
	store := newMemObjects()
	tries := 0
	store.before = func(op, key string) error {
		if op != "create" {
			return nil
		}
		if tries++; tries < 3 {
			return backend.ErrUnknown
		}
		return nil
	}
	openLedger(t, store)
	store = newMemObjects()
	store.before = func(op, _ string) error {
		if op == "create" {
			return backend.ErrUnknown
		}
		return nil
	}
	if _, _, err := backend.OpenLedger(t.Context(), store, boardIdentity()); !errors.Is(err, backend.ErrUnknown) {
		t.Errorf("genesis of unknown outcome: got %v, want ErrUnknown", err)
	}
}

// The newest record is found from any hint or none, with a bounded number of gets and no listing.
func TestNewestIsFoundFromAnyHint(t *testing.T) {
	const bound = 40
	store := newMemObjects()
	l, rec := openLedger(t, store)
	for range 5 {
		rec = grow(t, l, rec, 200)
		rec = collectBelow(t, l, rec, rec.Seq-100)
	}
	rec = grow(t, l, rec, 60)
	hints := map[string]string{
		"newest": fmt.Sprintf("%020d 5\n", rec.Seq), "behind": fmt.Sprintf("%020d 5\n", rec.Seq-16),
		"far behind": fmt.Sprintf("%020d 4\n", rec.Seq-140), "collected": fmt.Sprintf("%020d 1\n", 7), "ahead": fmt.Sprintf("%020d 9\n", rec.Seq+9),
		"rubbish": "rubbish", "empty": "", "largest": "18446744073709551615 18446744073709551615\n",
	}
	check := func(name string) {
		t.Helper()
		var err error
		var got *backend.Record
		lists := store.calls["list"]
		gets := store.count("get", func() { got, err = l.Fork(store).Newest(t.Context(), nil) })
		if err != nil || got.Nonce != rec.Nonce {
			t.Fatalf("hint %s: got record %v, %v, want %d", name, got, err, rec.Seq)
		}
		if gets > bound || store.calls["list"] != lists {
			t.Errorf("hint %s: %d gets and %d listings, want at most %d and none", name, gets, store.calls["list"]-lists, bound)
		}
		t.Logf("hint %s: %d gets", name, gets)
	}
	for name, hint := range hints {
		store.objects["ledger/head"] = []byte(hint)
		check(name)
	}
	delete(store.objects, "ledger/head")
	check("lost")
}

func TestAppendAndSearchAreCheap(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	rec = collectBelow(t, l, grow(t, l, rec, 20), 10)
	creates, puts := store.calls["create"], store.calls["put"]
	gets := store.count("get", func() { rec = grow(t, l, rec, 16) })
	if gets != 16 || store.calls["create"]-creates != 16 || store.calls["put"] != puts {
		t.Errorf("16 appends: %d gets, %d creates and %d puts, want 16, 16 and none", gets, store.calls["create"]-creates, store.calls["put"]-puts)
	}
	gets = store.count("get", func() {
		if got, err := l.Newest(t.Context(), rec); got != rec || err != nil {
			t.Errorf("search from the newest record: got %v, %v, want itself", got, err)
		}
	})
	if gets != 2 {
		t.Errorf("search from the newest record: %d gets, want 2", gets)
	}
}

// The hint costs a put for every 64 records, which no append waits for.
func TestHintIsPutSeldom(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	for range 200 {
		rec = grow(t, l, rec, 1)
		if err := l.Hint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []byte("00000000000000000192 0\n"); !bytes.Equal(store.objects["ledger/head"], want) || store.calls["put"] != 3 {
		t.Errorf("hint: got %q by %d puts for 200 records, want %q by 3", store.objects["ledger/head"], store.calls["put"], want)
	}
}

func TestCloseLeavesTheHint(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	grow(t, l, rec, 5)
	for range 2 {
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []byte("00000000000000000005 0\n"); !bytes.Equal(store.objects["ledger/head"], want) || store.calls["put"] != 1 {
		t.Errorf("hint: got %q by %d puts, want %q by one", store.objects["ledger/head"], store.calls["put"], want)
	}
}

func TestAppendTellsWhoWon(t *testing.T) {
	store := newMemObjects()
	a, rec := openLedger(t, store)
	b := a.Fork(store)
	mine, theirs := next(rec), next(rec)
	win(t, a, mine)
	win(t, a, mine) // repeated, it is still mine
	outcome, winner, err := b.Append(t.Context(), theirs)
	if outcome != backend.Lost || err != nil || winner.Nonce != mine.Nonce {
		t.Fatalf("second record 1: got %v, %v, %v, want lost to the first", outcome, winner, err)
	}
	win(t, b, next(winner))
}

// No answer is not a failure: what is repeated is the same record, until one stands.
func TestUnknownOutcomeIsRepeated(t *testing.T) {
	land := func(m *memObjects, key string, data []byte) { m.objects[key] = data }
	for name, c := range map[string]struct {
		during func(store *memObjects, key string, own, other []byte)
		first  backend.Outcome
		second backend.Outcome
	}{
		"landed":        {func(m *memObjects, key string, own, _ []byte) { land(m, key, own) }, backend.Won, backend.Won},
		"lost":          {func(*memObjects, string, []byte, []byte) {}, backend.Unknown, backend.Won},
		"another stood": {func(m *memObjects, key string, _, other []byte) { land(m, key, other) }, backend.Lost, backend.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemObjects()
			l, genesis := openLedger(t, store)
			rec := next(genesis)
			own, other := mustEncode(t, newCodec(t), rec), mustEncode(t, newCodec(t), next(genesis))
			store.before = func(op, key string) error {
				if op != "create" {
					return nil
				}
				store.before = nil
				c.during(store, key, own, other)
				return backend.ErrUnknown
			}
			outcome, _, err := l.Append(t.Context(), rec)
			if outcome != c.first || (err != nil) != (outcome == backend.Unknown) || err != nil && !errors.Is(err, backend.ErrUnknown) {
				t.Errorf("first try: got %v, %v, want %v", outcome, err, c.first)
			}
			if outcome, _, err = l.Append(t.Context(), rec); outcome != c.second || err != nil {
				t.Errorf("second try: got %v, %v, want %v", outcome, err, c.second)
			}
		})
	}
}

// A record of which the floors could not be asked may be in force or void: the outcome is unknown.
func TestUncheckedCreationIsUnknown(t *testing.T) {
	store := newMemObjects()
	l, genesis := openLedger(t, store)
	rec := next(genesis)
	broken := errors.New("broken")
	store.before = func(op, key string) error {
		if op == "get" && strings.HasPrefix(key, "ledger/floor/") {
			return broken
		}
		return nil
	}
	outcome, _, err := l.Append(t.Context(), rec)
	if outcome != backend.Unknown || !errors.Is(err, backend.ErrUnknown) || !errors.Is(err, broken) {
		t.Errorf("append without floors: got %v, %v, want unknown", outcome, err)
	}
	store.before = nil
	win(t, l, rec)
}

func TestFailedCreateIsNoDoubt(t *testing.T) {
	store := newMemObjects()
	l, genesis := openLedger(t, store)
	store.before = func(op, _ string) error {
		if op == "create" {
			return backend.ErrFull
		}
		return nil
	}
	outcome, _, err := l.Append(t.Context(), next(genesis))
	if outcome != backend.Unknown || !errors.Is(err, backend.ErrFull) || errors.Is(err, backend.ErrUnknown) {
		t.Errorf("append to a full store: got %v, %v, want ErrFull alone", outcome, err)
	}
	if outcome, _, err := l.Append(t.Context(), next(genesis.Bare())); outcome != backend.Unknown || err == nil || !strings.Contains(err.Error(), "which record it follows") {
		t.Errorf("append what follows no record: got %v, %v, want an error that says so", outcome, err)
	}
}

// I9: whoever sleeps while its sequence is collected gets no verdict, and what it revived fools nobody.
func TestSleepingWriterIsVoid(t *testing.T) {
	store := newMemObjects()
	awake, rec := openLedger(t, store)
	rec = grow(t, awake, rec, 5)
	asleep := next(rec)
	rec = collectBelow(t, awake, grow(t, awake, rec, 30), 20)
	sleeper := awake.Fork(store)
	if outcome, stands, err := sleeper.Append(t.Context(), asleep); outcome != backend.Void || stands != nil || err != nil {
		t.Fatalf("append record 6 above floor 20: got %v, %v, %v, want void", outcome, stands, err)
	}
	if outcome, _, err := sleeper.Append(t.Context(), next(asleep.Bare())); outcome == backend.Won {
		t.Errorf("append record 7 above floor 20: got %v, %v", outcome, err)
	}
	store.objects["ledger/head"] = fmt.Appendf(nil, "%020d 0\n", asleep.Seq)
	for from, start := range map[string]*backend.Record{"the hint": nil, "the revived record": asleep} {
		got, err := awake.Fork(store).Newest(t.Context(), start)
		if err != nil || got.Nonce != rec.Nonce {
			t.Errorf("search from %s: got %v, %v, want record %d", from, got, err, rec.Seq)
		}
	}
	if _, err := awake.Fork(store).Read(t.Context(), asleep.Seq); !errors.Is(err, backend.ErrCollected) {
		t.Errorf("read the revived record: got %v, want ErrCollected", err)
	}
}

// I9: a sleeper may raise a floor of its own invention in a name set free; it is not believed either.
func TestSleepersFloorIsNotBelieved(t *testing.T) {
	store := newMemObjects()
	awake, rec := openLedger(t, store)
	rec = grow(t, awake, rec, 5)
	asleep := next(rec)
	backend.RaiseFloor(asleep, 3)
	rec = collectBelow(t, awake, grow(t, awake, rec, 30), 20)
	if outcome, _, err := awake.Fork(store).Append(t.Context(), asleep); outcome != backend.Void {
		t.Errorf("append record 6 with floor 3 above floor 20: got %v, %v, want void", outcome, err)
	}
	store.objects["ledger/head"] = fmt.Appendf(nil, "%020d 1\n", asleep.Seq)
	if got, err := awake.Fork(store).Newest(t.Context(), nil); err != nil || got.Nonce != rec.Nonce {
		t.Errorf("search from the revived record: got %v, %v, want record %d", got, err, rec.Seq)
	}
}

// A floor can be raised again before the last one is published: then that is made good first, or who follows the floors
// would stop at the gap.
func TestFloorsHaveNoGaps(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	rec = grow(t, l, rec, 20)
	for floor := uint64(4); floor <= 12; floor += 4 {
		rec = next(rec)
		backend.RaiseFloor(rec, floor)
		win(t, l.Fork(store), rec)
	}
	if got, want := store.keys("ledger/floor/"), []string{"ledger/floor/1", "ledger/floor/2"}; !slices.Equal(got, want) {
		t.Errorf("floors published before the third was raised: got %v, want %v", got, want)
	}
	twice := next(rec)
	backend.RaiseFloor(twice, 13)
	backend.RaiseFloor(twice, 14)
	if _, _, err := l.Append(t.Context(), twice); err == nil || !strings.Contains(err.Error(), "names floor 5, the record before it floor 3") {
		t.Errorf("append a record that raises the floor twice: got %v, want an error that says so", err)
	}
}

func TestRaiseFloorNeverLowers(t *testing.T) {
	rec := &backend.Record{Seq: 10, Floor: backend.Floor{K: 2, Seq: 5}}
	for _, seq := range []uint64{0, 4, 5, 10, 11} {
		if backend.RaiseFloor(rec, seq) || rec.Floor != (backend.Floor{K: 2, Seq: 5}) {
			t.Errorf("record 10 with floor 5: raised to %d", seq)
		}
	}
	if !backend.RaiseFloor(rec, 9) || rec.Floor != (backend.Floor{K: 3, Seq: 9}) {
		t.Errorf("record 10 raised to 9: got %+v", rec.Floor)
	}
}

// I10: a record that must be there and is not is missing, not collected.
func TestReadTellsMissingFromCollected(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	rec = collectBelow(t, l, grow(t, l, rec, 20), 10)
	if err := l.Close(t.Context()); err != nil { // what is damaged hides what is newer, but for the hint
		t.Fatal(err)
	}
	store.alter(recordKey(15), func(data []byte) []byte { data[40] ^= 1; return data })
	delete(store.objects, recordKey(12))
	var missing *backend.MissingError
	var corrupt *backend.CorruptError
	for seq, ok := range map[uint64]func(error) bool{
		9:  func(err error) bool { return errors.Is(err, backend.ErrCollected) },
		11: func(err error) bool { return err == nil },
		12: func(err error) bool { return errors.As(err, &missing) && missing.Object == recordKey(12) },
		15: func(err error) bool { return errors.As(err, &corrupt) && corrupt.Object == recordKey(15) },
		99: func(err error) bool { return errors.Is(err, backend.ErrNotFound) },
	} {
		if r, err := l.Fork(store).Read(t.Context(), seq); !ok(err) {
			t.Errorf("read record %d of %d above floor 10: got %v, %v", seq, rec.Seq, r, err)
		}
	}
}

func history(ctx context.Context, l *backend.Ledger, newest *backend.Record) (seqs []uint64, err error) {
	for r, err := range l.History(ctx, newest) {
		if err != nil {
			return seqs, err
		}
		seqs = append(seqs, r.Seq)
	}
	return seqs, nil
}

func TestHistoryGoesDownToTheFloor(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	rec = collectBelow(t, l, grow(t, l, rec, 5), 3)
	if got, err := history(t.Context(), l, rec); err != nil || !slices.Equal(got, []uint64{6, 5, 4, 3}) {
		t.Errorf("history of record 6 with floor 3: got %v, %v", got, err)
	}
}

// I1, I10: the chain of digests holds every record in its place.
func TestHistoryNamesABrokenRecord(t *testing.T) {
	store := newMemObjects()
	l, rec := openLedger(t, store)
	third := grow(t, l, rec, 3)
	forged := next(third)
	rec = grow(t, l, third, 3)
	stood := store.objects[recordKey(4)]

	store.objects[recordKey(4)] = mustEncode(t, newCodec(t), forged)
	got, err := history(t.Context(), l, rec)
	var corrupt *backend.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Object != recordKey(4) || !slices.Equal(got, []uint64{6, 5}) {
		t.Errorf("history over a forged record 4: got %v, %v, want a CorruptError behind record 5", got, err)
	}
	delete(store.objects, recordKey(4))
	var missing *backend.MissingError
	if _, err := history(t.Context(), l, rec); !errors.As(err, &missing) || missing.Object != recordKey(4) {
		t.Errorf("history over a missing record 4: got %v, want a MissingError", err)
	}
	store.objects[recordKey(4)] = stood
	collectBelow(t, l, rec, 5)
	if got, err := history(t.Context(), l, rec); !errors.Is(err, backend.ErrCollected) || !slices.Equal(got, []uint64{6, 5}) {
		t.Errorf("history while the floor rose to 5: got %v, %v, want ErrCollected behind record 5", got, err)
	}
}

// I9, I10: a reader that slept is told to go on from the newest record.
func TestAbsentObjectIsExplained(t *testing.T) {
	store := newMemObjects()
	l, genesis := openLedger(t, store)
	rec := grow(t, l, genesis, 9)
	var missing *backend.MissingError
	if err := l.Absent(t.Context(), "segment/x", rec); !errors.As(err, &missing) || missing.Object != "segment/x" || missing.NamedBy != recordKey(9) {
		t.Errorf("absent and retained: got %v, want a MissingError", err)
	}
	collectBelow(t, l, grow(t, l, rec, 9), 10)
	if err := l.Absent(t.Context(), "segment/x", rec); !errors.Is(err, backend.ErrCollected) {
		t.Errorf("absent and below the floor: got %v, want ErrCollected", err)
	}
}

// I10: damage of what a search needs is an error that names the object.
func TestDamageStopsTheSearch(t *testing.T) {
	for _, key := range []string{recordKey(11), "ledger/floor/1"} {
		store := newMemObjects()
		l, rec := openLedger(t, store)
		collectBelow(t, l, grow(t, l, rec, 10), 5)
		store.alter(key, func(data []byte) []byte { return data[:len(data)-1] })
		_, err := l.Fork(store).Newest(t.Context(), nil)
		var corrupt *backend.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Object != key {
			t.Errorf("search with %s truncated: got %v, want a CorruptError that names it", key, err)
		}
	}
}

// collectedMeanwhile is a store in which others collect just before a key is read.
type collectedMeanwhile struct {
	*memObjects
	key     string
	collect func()
}

func (c *collectedMeanwhile) Get(ctx context.Context, key string, part backend.Range) ([]byte, error) {
	if key == c.key {
		c.key = ""
		c.collect()
	}
	return c.memObjects.Get(ctx, key, part)
}

// I9: a sleeper that has to publish the floor before its own finds that record collected: it is void, not in trouble.
func TestSleeperWhoseFloorWasPublishedIsVoid(t *testing.T) {
	store := newMemObjects()
	awake, rec := openLedger(t, store)
	rec = next(grow(t, awake, rec, 20))
	backend.RaiseFloor(rec, 4)
	win(t, awake, rec)
	asleep := next(rec)
	backend.RaiseFloor(asleep, 8)
	sleeper := awake.Fork(&collectedMeanwhile{store, recordKey(rec.Seq), func() {
		collectBelow(t, awake, grow(t, awake, rec, 20), 30)
	}})
	if outcome, _, err := sleeper.Append(t.Context(), asleep); outcome != backend.Void || err != nil {
		t.Errorf("append record %d above floor 30: got %v, %v, want void", asleep.Seq, outcome, err)
	}
}
