package actors

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// troubles keeps the problems of the moment. Each is logged when it begins and when it ends, and is an event of the
// timeline then.
type troubles struct {
	ctx  context.Context // the instance's: what fails after it is not told
	log  *zap.Logger
	line *Timeline
	any  atomic.Bool // there may be problems
	mu   sync.Mutex  // guards now
	now  map[string]*Problem
}

func newTroubles(ctx context.Context, log *zap.Logger, line *Timeline) *troubles {
	return &troubles{ctx: ctx, log: log, line: line, now: map[string]*Problem{}}
}

// failed notes that doing something failed and will be tried again.
func (t *troubles) failed(doing string, err error) {
	if t.note(doing, err) {
		t.log.Warn("failed, trying again", zap.String("doing", doing), zap.Error(err))
	}
}

// note is failed for who logs it; true: it is the first failure in a row.
func (t *troubles) note(doing string, err error) bool {
	if t.ctx.Err() != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.now[doing]
	if p == nil {
		p = &Problem{Doing: doing, Since: time.Now()}
		t.now[doing] = p
		t.any.Store(true)
		t.line.add(Event{At: p.Since, Step: StepRetry, Detail: doing + ": " + err.Error()})
	}
	p.Err = err
	p.Times++
	return p.Times == 1
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
		now := time.Now()
		t.line.add(Event{At: now, Took: now.Sub(p.Since), Step: StepRecover, Detail: fmt.Sprintf("%s: well again after %d failures", doing, p.Times)})
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
