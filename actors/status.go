package actors

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/vnode"
)

// Status is what an instance knows of itself at one moment.
type Status struct {
	Member   vnode.Member
	Term     uint64
	Record   uint64      // sequence of the newest known record
	Epoch    vnode.Epoch // newest sealed
	Emitted  vnode.Epoch // newest that the sinks took
	Waiting  int         // sealed epochs that wait for the sinks
	Segments int         // live ones
	Bytes    int64       // of live segments
	Restored int         // vnodes that have their slice, of Owned
	Owned    int

	Sources   []SourceStatus   // by name
	Producers []ProducerStatus // by name
	// Problems are what goes wrong now and is tried again, oldest first.
	Problems []Problem
	// Held says what holds producers back now: the names of the bounds that are reached.
	Held []string

	Rejected uint64 // events that the dead-letter hook was given
	Panics   uint64 // restarts of vnodes after a panic of the app
}

// SourceStatus is where a source stands.
type SourceStatus struct {
	Name     string
	Read     uint64 // position of the newest event read
	Sealed   uint64
	InFlight int64 // bytes sent and not applied
	Ended    bool
}

// ProducerStatus is where a plain producer stands.
type ProducerStatus struct {
	Name     string
	Sent     uint64 // position of the newest event
	Unsealed int64  // bytes kept for a replay
}

// Problem is something that failed and is being tried again.
type Problem struct {
	Doing string
	Err   error
	Since time.Time
	Times int
}

// troubles keeps the problems of the moment. Each is logged when it begins and when it ends.
type troubles struct {
	ctx context.Context // the instance's: what fails after it is not told
	log *zap.Logger
	any atomic.Bool // there may be problems
	mu  sync.Mutex  // guards now
	now map[string]*Problem
}

func newTroubles(ctx context.Context, log *zap.Logger) *troubles {
	return &troubles{ctx: ctx, log: log, now: map[string]*Problem{}}
}

// failed notes that doing something failed and will be tried again.
func (t *troubles) failed(doing string, err error) {
	if t.ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.now[doing]
	if p == nil {
		p = &Problem{Doing: doing, Since: time.Now()}
		t.now[doing] = p
		t.any.Store(true)
		t.log.Warn("failed, trying again", zap.String("doing", doing), zap.Error(err))
	}
	p.Err = err
	p.Times++
}

// fine notes that doing something went well.
func (t *troubles) fine(doing string) {
	if !t.any.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.now[doing]; p != nil {
		t.log.Info("went well again", zap.String("doing", doing), zap.Int("after failures", p.Times))
		delete(t.now, doing)
		t.any.Store(len(t.now) > 0)
	}
}

func (t *troubles) list() []Problem {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Problem
	for _, p := range t.now {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Problem) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Doing, b.Doing)) })
	return out
}
