package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// meters are an instance's [Counts] while they grow.
type meters struct {
	rejected, panics, replayed   atomic.Uint64
	slices, sliceBytes           atomic.Uint64
	folds, foldsLate, foldBytes  atomic.Uint64
	passes, oldRecords, oldParts atomic.Uint64
	applied                      []atomic.Uint64 // by vnode, each counted in its vnode's turn
}

// counts reads what follows before what it follows, so that less is never more.
func (m *meters) counts() Counts {
	c := Counts{
		Rejected: m.rejected.Load(), Replayed: m.replayed.Load(), Panics: m.panics.Load(),
		Slices: m.slices.Load(), SliceBytes: m.sliceBytes.Load(),
		FoldsLate: m.foldsLate.Load(), FoldBytes: m.foldBytes.Load(),
		OldRecords: m.oldRecords.Load(), OldSegments: m.oldParts.Load(),
	}
	for v := range m.applied {
		c.Applied += m.applied[v].Load()
	}
	c.Folds, c.Passes = m.folds.Load(), m.passes.Load()
	return c
}

// fold counts a fold that was put.
func (m *meters) fold(f *backend.Fold) {
	m.foldBytes.Add(uint64(f.Ref.Size))
	m.folds.Add(1)
}

// pass counts a pass of the collector.
func (m *meters) pass(r backend.Report) {
	m.oldRecords.Add(uint64(r.Records))
	m.oldParts.Add(uint64(r.Segments))
	m.passes.Add(1)
}

// stopwatch times the phases of epochs: of the open attempt, and of the emissions that follow.
type stopwatch struct {
	mu        sync.Mutex // guards what follows
	of        int        // vnodes that capture
	open      AttemptStatus
	attempt   vnode.Attempt // of open
	times     SealStatus    // of open, as far as it is
	seal      SealStatus
	emit      EmitStatus
	sealed    map[vnode.Epoch]time.Time // and not emitted: at most as many as may wait for the sinks
	merged    map[vnode.Epoch]time.Time // given to the first sink
	emittedAt time.Time                 // the newest emission
	counts    AttemptCounts
}

func newStopwatch() *stopwatch {
	return &stopwatch{sealed: map[vnode.Epoch]time.Time{}, merged: map[vnode.Epoch]time.Time{}}
}

// begin starts an attempt of so many vnodes; the one before, if it is open, is abandoned.
func (w *stopwatch) begin(a vnode.Attempt, of int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
	now := time.Now()
	w.counts.Opened++
	w.of, w.attempt, w.times = of, a, SealStatus{Epoch: vnode.Epoch(a.Number)}
	w.open = AttemptStatus{Epoch: vnode.Epoch(a.Number), Opened: now, Phase: PhaseBarrier, Since: now}
}

// end ends the open attempt, if there is one, without a seal.
func (w *stopwatch) end() {
	if w.open.Epoch != 0 {
		w.counts.Abandoned++
		w.open = AttemptStatus{}
	}
}

// abandon says that the open attempt is given up.
func (w *stopwatch) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
}

// captured says that n vnodes' captures of an attempt are in.
func (w *stopwatch) captured(a vnode.Attempt, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a != w.attempt || w.open.Epoch == 0 {
		return
	}
	w.open.Captured = n
	if w.open.Phase == PhaseBarrier {
		w.times.Barrier = w.turn(PhaseCapture)
	}
	if n == w.of {
		w.times.Capture = w.turn(PhaseWrite)
	}
}

// written says that the segment of an attempt stands.
func (w *stopwatch) written(a vnode.Attempt, size int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a == w.attempt && w.open.Phase == PhaseWrite {
		w.times.Bytes, w.times.Write = size, w.turn(PhaseAppend)
	}
}

// turn begins the next phase and returns how long the one before took.
func (w *stopwatch) turn(next Phase) time.Duration {
	now := time.Now()
	took := now.Sub(w.open.Since)
	w.open.Phase, w.open.Since = next, now
	return took
}

// stands says that a record seals an attempt, which may be one of an earlier process.
func (w *stopwatch) stands(a vnode.Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a == w.attempt && w.open.Phase == PhaseAppend {
		w.times.Append = w.turn("")
		w.seal, w.open = w.times, AttemptStatus{}
	}
	w.sealed[vnode.Epoch(a.Number)] = time.Now()
	w.counts.Sealed++
}

// waits says that an epoch sealed before this start is to be emitted.
func (w *stopwatch) waits(e vnode.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealed[e] = time.Now()
}

// gives says that the result of an epoch is given to the first sink, maybe not for the first time.
func (w *stopwatch) gives(e vnode.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, again := w.merged[e]; !again {
		w.merged[e] = time.Now()
	}
}

// taken says that the sinks took an epoch.
func (w *stopwatch) taken(e vnode.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, from := time.Now(), w.sealed[e]
	if w.emittedAt.After(from) {
		from = w.emittedAt
	}
	if merged, given := w.merged[e]; given {
		w.emit = EmitStatus{Epoch: e, Merge: merged.Sub(from), Emit: now.Sub(merged)}
	}
	delete(w.sealed, e)
	delete(w.merged, e)
	w.emittedAt = now
	w.counts.Emitted++
}

// tell writes what the watch knows into a status.
func (w *stopwatch) tell(st *Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st.Attempt, st.LastSeal, st.LastEmit, st.Counts.AttemptCounts = w.open, w.seal, w.emit, w.counts
}
