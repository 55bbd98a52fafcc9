package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// Errors of the [Ledger].
var (
	// ErrEmpty says that nothing was ever stored here.
	ErrEmpty = errors.New("the store is empty")
	// ErrCollected says that what was asked for is below the floor, and no pin keeps it: it may be gone, and is not to be
	// believed if not.
	ErrCollected = errors.New("collected: it is below the floor")
)

// genesisTries bounds how often a genesis record is tried whose outcome stays unknown.
const genesisTries = 3

// Ledger is the chain of records in a store. It keeps no record itself: who needs the newest holds it, and asks
// [Ledger.Newest] whether it still is. It is safe for concurrent use.
type Ledger struct {
	objects Objects
	codec   *recordCodec

	mu     sync.Mutex // guards what follows; not held while the store is asked
	top    Floor      // the highest floor seen published; it only rises
	won    head       // of the newest record created here
	hinted uint64     // the sequence last tried as the hint
}

// OpenLedger opens the ledger of a store and returns its newest record, the genesis record if the store is empty.
// It refuses another identity's store with a [ForeignError] for each setting that differs. The identity's format need
// not be set.
func OpenLedger(ctx context.Context, objects Objects, identity Identity) (*Ledger, *Record, error) {
	identity.Format = ledgerFormat
	l, err := newLedger(objects)
	if err != nil {
		return nil, nil, err
	}
	newest, err := l.Newest(ctx, nil)
	if errors.Is(err, ErrEmpty) {
		newest, err = l.begin(ctx, identity)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open ledger: %w", err)
	}
	if err := newest.Identity.refuse(identity); err != nil {
		return nil, nil, err
	}
	return l, newest, nil
}

// OpenReader opens the ledger of any app's store as it stands. It returns [ErrEmpty] where there is none.
func OpenReader(ctx context.Context, objects Objects) (*Ledger, *Record, error) {
	l, err := newLedger(objects)
	if err != nil {
		return nil, nil, err
	}
	newest, err := l.Newest(ctx, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("open ledger: %w", err)
	}
	return l, newest, nil
}

func newLedger(objects Objects) (*Ledger, error) {
	codec, err := newRecordCodec()
	if err != nil {
		return nil, err
	}
	return &Ledger{objects: objects, codec: codec}, nil
}

// begin creates the genesis record and searches again: whose it is that stands then does not matter, and if its name is
// below a floor by now, the search says so.
func (l *Ledger) begin(ctx context.Context, identity Identity) (*Record, error) {
	data, _, err := l.codec.encode(genesis(identity))
	if err != nil {
		return nil, err
	}
	for range genesisTries {
		createErr := l.objects.Create(ctx, recordKey(0), data)
		if createErr != nil && !errors.Is(createErr, ErrExists) && !errors.Is(createErr, ErrUnknown) {
			return nil, fmt.Errorf("create genesis record: %w", createErr)
		}
		newest, err := l.Newest(ctx, nil)
		if !errors.Is(err, ErrEmpty) {
			return newest, err
		}
	}
	return nil, fmt.Errorf("create genesis record: %w", ErrUnknown)
}

// genesis is the record of a store in which nothing has happened.
func genesis(identity Identity) *Record {
	r := &Record{
		Identity:   identity,
		Nonce:      uuid.New(),
		Time:       time.Now(),
		Assignment: vnode.Assignment{Owners: make([]int, max(0, identity.Capacity))},
		Tips:       make([]vnode.SliceID, max(0, identity.Capacity)),
	}
	for i := range r.Assignment.Owners {
		r.Assignment.Owners[i] = vnode.Unowned
	}
	return r
}

// refuse returns an error for each setting in which a program's identity differs from the store's.
func (store Identity) refuse(want Identity) error {
	settings := []struct{ key, store, want string }{
		{"vnode_capacity", fmt.Sprint(store.Capacity), fmt.Sprint(want.Capacity)},
		{"app", store.App, want.App},
		{"key_codec", store.KeyCodec, want.KeyCodec},
		{"state_codec", store.StateCodec, want.StateCodec},
		{"result_codec", store.ResultCodec, want.ResultCodec},
	}
	var errs []error
	for _, s := range settings {
		if s.store != s.want {
			errs = append(errs, &ForeignError{Key: s.key, Store: s.store, Want: s.want})
		}
	}
	return errors.Join(errs...)
}

// get reads one record, whatever the floor says about it.
func (l *Ledger) get(ctx context.Context, seq uint64) (*Record, error) {
	data, err := l.objects.Get(ctx, recordKey(seq), Range{})
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	return l.codec.decode(seq, data)
}

// Read returns the record with that sequence number. It returns [ErrCollected] for one below the floor, [ErrNotFound]
// for one above the newest, and a [MissingError] for one that must be there and is not.
func (l *Ledger) Read(ctx context.Context, seq uint64) (*Record, error) {
	taken := false // a search has seen a record at or above seq
	for {
		r, err := l.get(ctx, seq)
		if err == nil {
			return l.retained(ctx, r)
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		newest, searchErr := l.Newest(ctx, nil)
		switch {
		case searchErr != nil:
			return nil, searchErr
		case seq > newest.Seq:
			return nil, err
		case seq < newest.Floor.Seq:
			return nil, fmt.Errorf("read record %d: %w", seq, ErrCollected)
		case taken:
			return nil, &MissingError{Object: recordKey(seq), NamedBy: recordKey(newest.Seq)}
		}
		taken = true
	}
}

// retained returns r unless it is below the floor, where it may be one that a sleeper wrote in a name set free.
func (l *Ledger) retained(ctx context.Context, r *Record) (*Record, error) {
	floor, err := l.lastFloor(ctx, r.Floor.K)
	if err != nil {
		return nil, err
	}
	if r.Seq < floor.Seq {
		return nil, fmt.Errorf("read record %d: %w", r.Seq, ErrCollected)
	}
	return r, nil
}

// History yields newest, which the ledger returned or created, and then what came before it, down to its floor. Each
// record is checked to be the one that the next follows. It ends with an error: [ErrCollected] if the floor rose
// meanwhile, a [MissingError] or [CorruptError] if the chain is broken.
func (l *Ledger) History(ctx context.Context, newest *Record) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for r := newest; yield(r, nil) && r.Seq > newest.Floor.Seq; {
			before, err := l.before(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			r = before
		}
	}
}

// Retained yields everything that collection leaves while newest is the newest record: its history, and then the records
// below its floor that its pins keep, the newest first. Each one that cannot be read is an error, as of [Ledger.Pinned].
func (l *Ledger) Retained(ctx context.Context, newest *Record) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for r, err := range l.History(ctx, newest) {
			if !yield(r, err) {
				return
			}
		}
		pins := slices.SortedFunc(slices.Values(newest.Pins), func(a, b Pin) int { return cmp.Compare(b.Seq, a.Seq) })
		pins = slices.CompactFunc(pins, func(a, b Pin) bool { return a.Seq == b.Seq })
		for _, p := range pins {
			if p.Seq < newest.Floor.Seq && !yield(l.Pinned(ctx, newest, p)) {
				return
			}
		}
	}
}

// before returns the record that r follows.
func (l *Ledger) before(ctx context.Context, r *Record) (*Record, error) {
	key := recordKey(r.Seq - 1)
	before, err := l.get(ctx, r.Seq-1)
	switch {
	case err == nil && before.digest == r.Prev:
		return before, nil
	case err == nil:
		err = corrupt(key, "it is not the record that record %d follows", r.Seq)
	case errors.Is(err, ErrNotFound):
		err = &MissingError{Object: key, NamedBy: recordKey(r.Seq)}
	default:
		return nil, err
	}
	return nil, l.explain(ctx, r.Seq-1, err)
}

// Absent says why an object is absent that by names, a record that the ledger returned: [ErrCollected] if the floor
// has passed by, which the caller answers by going on from the newest record, else a [MissingError] (I9, I10).
func (l *Ledger) Absent(ctx context.Context, key string, by *Record) error {
	return l.explain(ctx, by.Seq, &MissingError{Object: key, NamedBy: recordKey(by.Seq)})
}

// explain returns [ErrCollected] if the newest record does not keep the record at seq from collection, else err.
func (l *Ledger) explain(ctx context.Context, seq uint64, err error) error {
	newest, searchErr := l.Newest(ctx, nil)
	switch {
	case searchErr != nil:
		return errors.Join(err, searchErr)
	case !newest.keeps(seq):
		return fmt.Errorf("read record %d: %w", seq, ErrCollected)
	}
	return err
}
