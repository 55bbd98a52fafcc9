package backendtest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

// Op names a kind of request.
type Op string

// The kinds of requests.
const (
	Create Op = "create"
	Put    Op = "put"
	Get    Op = "get"
	Delete Op = "delete"
	List   Op = "list"
)

// Answers of rules, beside the errors of [backend.Objects].
var (
	// ErrCrashed is the answer to every request after [Faults.Crash].
	ErrCrashed = errors.New("the process of this store has crashed")
	// ErrConflict is a store's 409: another conditional request for the key is under way. Nothing can be told from it.
	ErrConflict = fmt.Errorf("conflicting conditional request: %w", backend.ErrUnknown)
	// ErrThrottled is a store's 429 or 503.
	ErrThrottled = fmt.Errorf("slow down: %w", backend.ErrUnknown)
)

// Rule says which requests go wrong, and how. The first rule that applies to a request decides it.
type Rule struct {
	Op    Op      // empty: every kind
	Key   string  // the key or, for List, the prefix; one that ends in "*" matches what begins so; empty: all
	Skip  int     // how many matching requests pass before the rule applies
	Times int     // how many requests it then applies to; 0: all
	Rate  float64 // the share of those, drawn from the seed; 0: all

	// Delay keeps the request for that long, Hold until [Fault.Release]: it hangs if nobody calls that. The end of its
	// context and a crash end both; else it goes on, to Err if set.
	Delay time.Duration
	Hold  bool
	// Crash ends the process of the store at this request (see [Faults.Crash]).
	Crash bool
	// Torn cuts the answer of a Get in half. Stale makes List answer as if nothing had been created or deleted since the
	// rule was added. Neither is an error.
	Torn, Stale bool
	// Err is the answer. Its default, if the rule does nothing of the above, is [backend.ErrUnknown].
	Err error
	// After lets the request reach the store first: it takes effect, and what the rule does befalls its answer alone.
	After bool
}

// answers reports whether the rule leaves the answer to the store.
func (r Rule) answers() bool { return r.Hold || r.Delay > 0 || r.Torn || r.Stale }

// Fault is a rule at work.
type Fault struct {
	rule    Rule
	index   int
	arrived chan struct{} // closed when the rule first applies
	release chan struct{} // closed by Release

	// Guarded by the store's mutex.
	begun   int // entries of the journal when it was added
	matched int
	applied int
	removed bool
	draws   map[string]uint64 // by op and key
}

// Faults is a store over another that fails as its rules say and keeps a journal. It is safe for concurrent use. What
// a rate hits depends on the seed, the rule, the key and how often the rule met it, not on the order of goroutines.
type Faults struct {
	store   backend.Objects
	seed    uint64
	crashed chan struct{}

	mu      sync.Mutex // guards faults and what is in them, and journal
	faults  []*Fault
	journal Journal
}

var _ backend.Objects = (*Faults)(nil)

// NewFaults puts a store without rules over another.
func NewFaults(store backend.Objects, seed uint64) *Faults {
	return &Faults{store: store, seed: seed, crashed: make(chan struct{})}
}

// Add puts a rule in force, behind those that are.
func (f *Faults) Add(r Rule) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.Crash:
		r.Err = ErrCrashed
	case r.Err == nil && !r.answers():
		r.Err = backend.ErrUnknown
	}
	fault := &Fault{
		rule: r, index: len(f.faults), begun: len(f.journal), draws: map[string]uint64{},
		arrived: make(chan struct{}), release: make(chan struct{}),
	}
	f.faults = append(f.faults, fault)
	return fault
}

// Remove takes a rule out of force. Requests that it holds stay held until [Fault.Release].
func (f *Faults) Remove(fault *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault.removed = true
}

// Crash fails every request from now on, without effect, and those that are held.
func (f *Faults) Crash() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.hasCrashed() {
		close(f.crashed)
	}
}

// Arrived returns a channel that is closed when the rule first applies to a request: with Hold and After, when the
// request has taken effect and is held.
func (f *Fault) Arrived() <-chan struct{} { return f.arrived }

// Release lets go of the requests that the rule holds, and of all later ones. It is called once.
func (f *Fault) Release() { close(f.release) }

// Create implements [backend.Objects].
func (f *Faults) Create(ctx context.Context, key string, data []byte) error {
	return f.do(ctx, Create, key, func(*Fault) (int, error) { return len(data), f.store.Create(ctx, key, data) })
}

// Put implements [backend.Objects].
func (f *Faults) Put(ctx context.Context, key string, data []byte) error {
	return f.do(ctx, Put, key, func(*Fault) (int, error) { return len(data), f.store.Put(ctx, key, data) })
}

// Get implements [backend.Objects].
func (f *Faults) Get(ctx context.Context, key string, part backend.Range) (data []byte, err error) {
	err = f.do(ctx, Get, key, func(fault *Fault) (int, error) {
		data, err = f.store.Get(ctx, key, part)
		if fault != nil && fault.rule.Torn {
			data = data[:len(data)/2]
		}
		return len(data), err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Delete implements [backend.Objects].
func (f *Faults) Delete(ctx context.Context, key string) error {
	return f.do(ctx, Delete, key, func(*Fault) (int, error) { return 0, f.store.Delete(ctx, key) })
}

// List implements [backend.Objects].
func (f *Faults) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	return f.do(ctx, List, prefix, func(fault *Fault) (n int, err error) {
		offer := func(key string, size int64) bool {
			n++
			return yield(key, size)
		}
		if fault != nil && fault.rule.Stale {
			err = f.listStale(ctx, prefix, fault.begun, offer)
		} else {
			err = f.store.List(ctx, prefix, offer)
		}
		return n, err
	})
}

// listStale lists a store as it was when the journal had some entries.
func (f *Faults) listStale(ctx context.Context, prefix string, entries int, yield func(string, int64) bool) error {
	was := map[string]bool{} // by key created or deleted since
	for _, e := range f.Journal()[entries:] {
		if _, known := was[e.Key]; !known && e.Err == nil && (e.Op == Create || e.Op == Delete) {
			was[e.Key] = e.Op == Delete
		}
	}
	sizes := map[string]int64{}
	err := f.store.List(ctx, prefix, func(key string, size int64) bool {
		sizes[key] = size
		return true
	})
	for key, there := range was {
		if !there {
			delete(sizes, key)
		} else if strings.HasPrefix(key, prefix) {
			sizes[key] = max(sizes[key], 0)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(sizes)) {
		if err != nil || !yield(key, sizes[key]) {
			break
		}
	}
	return err
}

// do answers one request: from the store, from the rule that applies, or with a crash.
func (f *Faults) do(ctx context.Context, op Op, key string, request func(*Fault) (int, error)) error {
	e := Entry{Op: op, Key: key}
	fault, crashed := f.applies(op, key)
	switch {
	case crashed:
		e.Err, e.Fault = fmt.Errorf("%s %s: %w", op, key, ErrCrashed), true
	case fault == nil:
		e.Bytes, e.Err = request(nil)
	case fault.rule.After:
		e.Bytes, e.Err = request(fault)
		f.meet(ctx, fault, &e)
	default:
		if f.meet(ctx, fault, &e); e.Err == nil {
			e.Bytes, e.Err = request(fault)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = append(f.journal, e)
	return e.Err
}

// meet lets a fault have its way with the answer.
func (f *Faults) meet(ctx context.Context, fault *Fault, e *Entry) {
	f.mark(fault)
	if fault.rule.Crash {
		f.Crash()
	}
	err := f.wait(ctx, fault)
	if err == nil {
		err = fault.rule.Err
	}
	if err != nil {
		e.Err, e.Fault = fmt.Errorf("%s %s: %w", e.Op, e.Key, err), true
	}
}

// wait keeps a request as long as its rule says.
func (f *Faults) wait(ctx context.Context, fault *Fault) error {
	var over <-chan time.Time
	if fault.rule.Delay > 0 {
		timer := time.NewTimer(fault.rule.Delay)
		defer timer.Stop()
		over = timer.C
	}
	var release <-chan struct{}
	if fault.rule.Hold {
		release = fault.release
	}
	for over != nil || release != nil {
		select {
		case <-over:
			over = nil
		case <-release:
			release = nil
		case <-f.crashed:
			return ErrCrashed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", backend.ErrUnknown, ctx.Err())
		}
	}
	return nil
}

func (f *Faults) mark(fault *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-fault.arrived:
	default:
		close(fault.arrived)
	}
}

// applies returns the rule that decides a request, if any, and whether the store has crashed.
func (f *Faults) applies(op Op, key string) (*Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hasCrashed() {
		return nil, true
	}
	for _, fault := range f.faults {
		if fault.hits(f.seed, op, key) {
			return fault, false
		}
	}
	return nil, false
}

func (f *Faults) hasCrashed() bool {
	select {
	case <-f.crashed:
		return true
	default:
		return false
	}
}

// hits counts a request and reports whether the rule applies to it.
func (f *Fault) hits(seed uint64, op Op, key string) bool {
	r := f.rule
	if f.removed || !r.matches(op, key) {
		return false
	}
	f.matched++
	if f.matched <= r.Skip || r.Times > 0 && f.applied >= r.Times {
		return false
	}
	if r.Rate > 0 && f.draw(seed, op, key) >= r.Rate {
		return false
	}
	f.applied++
	return true
}

func (r Rule) matches(op Op, key string) bool {
	if r.Op != "" && r.Op != op {
		return false
	}
	if begin, found := strings.CutSuffix(r.Key, "*"); found {
		return strings.HasPrefix(key, begin)
	}
	return r.Key == "" || r.Key == key
}

// draw returns a number in [0, 1) for the next request of this kind and key.
func (f *Fault) draw(seed uint64, op Op, key string) float64 {
	id := string(op) + " " + key
	f.draws[id]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %s", f.index, f.draws[id], id)
	return rand.New(rand.NewPCG(seed, h.Sum64())).Float64()
}
