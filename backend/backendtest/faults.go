package backendtest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"

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

// ErrCrashed is the answer to every request after [Faults.Crash].
var ErrCrashed = errors.New("the process of this store has crashed")

// Rule says which requests go wrong, and how. The first rule that applies to a request decides it.
type Rule struct {
	Op    Op      // empty: every kind
	Key   string  // the key or, for List, the prefix; one that ends in "*" matches what begins so; empty: all
	Skip  int     // how many matching requests pass before the rule applies
	Times int     // how many requests it then applies to; 0: all
	Rate  float64 // the share of those, drawn from the seed; 0: all

	// Hold keeps the request until [Fault.Release], the end of its context, or a crash; released it goes on, to Err if set.
	Hold bool
	// Err is the answer. Its default, if the rule does not hold, is [backend.ErrUnknown].
	Err error
	// After lets the request reach the store first: it takes effect, and only its answer is held or replaced.
	After bool
}

// Fault is a rule at work.
type Fault struct {
	rule    Rule
	index   int
	arrived chan struct{} // closed when the rule first applies
	release chan struct{} // closed by Release

	// Guarded by the store's mutex.
	matched int
	applied int
	removed bool
	draws   map[string]uint64 // by op and key
}

// Entry is one request in the journal.
type Entry struct {
	Op    Op
	Key   string
	Bytes int   // written or read; for List, keys
	Err   error // the answer
	Fault bool  // a rule or a crash made it
}

// Faults is a store over another that fails as its rules say and keeps a journal. It is safe for concurrent use. What
// a rate hits depends on the seed, the rule, the key and how often the rule met it, not on the order of goroutines.
type Faults struct {
	store   backend.Objects
	seed    uint64
	crashed chan struct{}

	mu      sync.Mutex // guards faults and what is in them, and journal
	faults  []*Fault
	journal []Entry
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
	if r.Err == nil && !r.Hold {
		r.Err = backend.ErrUnknown
	}
	fault := &Fault{
		rule: r, index: len(f.faults), draws: map[string]uint64{},
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

// Journal returns a copy of the requests so far, in the order of their answers.
func (f *Faults) Journal() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Entry(nil), f.journal...)
}

// Counts returns the number of answered requests by kind.
func (f *Faults) Counts() map[Op]int {
	counts := map[Op]int{}
	for _, e := range f.Journal() {
		counts[e.Op]++
	}
	return counts
}

// Arrived returns a channel that is closed when the rule first applies to a request: with Hold and After, when the
// request has taken effect and is held.
func (f *Fault) Arrived() <-chan struct{} { return f.arrived }

// Release lets go of the requests that the rule holds, and of all later ones. It is called once.
func (f *Fault) Release() { close(f.release) }

// Create implements [backend.Objects].
func (f *Faults) Create(ctx context.Context, key string, data []byte) error {
	return f.do(ctx, Create, key, func() (int, error) { return len(data), f.store.Create(ctx, key, data) })
}

// Put implements [backend.Objects].
func (f *Faults) Put(ctx context.Context, key string, data []byte) error {
	return f.do(ctx, Put, key, func() (int, error) { return len(data), f.store.Put(ctx, key, data) })
}

// Get implements [backend.Objects].
func (f *Faults) Get(ctx context.Context, key string, part backend.Range) (data []byte, err error) {
	err = f.do(ctx, Get, key, func() (int, error) {
		data, err = f.store.Get(ctx, key, part)
		return len(data), err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Delete implements [backend.Objects].
func (f *Faults) Delete(ctx context.Context, key string) error {
	return f.do(ctx, Delete, key, func() (int, error) { return 0, f.store.Delete(ctx, key) })
}

// List implements [backend.Objects].
func (f *Faults) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	return f.do(ctx, List, prefix, func() (n int, err error) {
		err = f.store.List(ctx, prefix, func(key string, size int64) bool {
			n++
			return yield(key, size)
		})
		return n, err
	})
}

// do answers one request: from the store, from the rule that applies, or with a crash.
func (f *Faults) do(ctx context.Context, op Op, key string, request func() (int, error)) error {
	e := Entry{Op: op, Key: key}
	fault, crashed := f.applies(op, key)
	switch {
	case crashed:
		e.Err, e.Fault = fmt.Errorf("%s %s: %w", op, key, ErrCrashed), true
	case fault == nil:
		e.Bytes, e.Err = request()
	case fault.rule.After:
		e.Bytes, e.Err = request()
		f.meet(ctx, fault, &e)
	default:
		if f.meet(ctx, fault, &e); e.Err == nil {
			e.Bytes, e.Err = request()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = append(f.journal, e)
	return e.Err
}

// meet lets a fault have its way with the answer.
func (f *Faults) meet(ctx context.Context, fault *Fault, e *Entry) {
	err := fault.rule.Err
	f.mark(fault)
	if fault.rule.Hold {
		select {
		case <-fault.release:
		case <-f.crashed:
			err = ErrCrashed
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", backend.ErrUnknown, ctx.Err())
		}
	}
	if err != nil {
		e.Err, e.Fault = fmt.Errorf("%s %s: %w", e.Op, e.Key, err), true
	}
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
