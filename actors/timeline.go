package actors

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Step says what kind of thing an [Event] was.
type Step string

// The steps of a timeline.
const (
	StepOpen     Step = "open"      // the store was opened, and its lock taken
	StepProbe    Step = "probe"     // it was found to honour create-if-absent
	StepFind     Step = "find"      // the newest record was found, or the genesis record created
	StepTakeOver Step = "take over" // a record names this incarnation: it is in force
	StepMiss     Step = "miss"      // a member cannot be reached any more
	StepRestore  Step = "restore"   // vnodes were given their sealed slices
	StepReady    Step = "ready"     // every vnode has its slice
	StepAttach   Step = "attach"    // a source goes on behind its sealed position
	StepMove     Step = "move"      // vnodes stopped here, to go on at another member
	StepReplay   Step = "replay"    // a source or producer gave vnodes events again that they had lost
	StepEmit     Step = "emit"      // an epoch sealed before this start was emitted
	StepRetry    Step = "retry"     // something failed and is being tried again
	StepRecover  Step = "recover"   // it went well again
	StepEnd      Step = "end"       // the instance ended
)

// Event is one thing that an instance did to recover: at its start, or when something failed.
type Event struct {
	N    uint64        // its number, from 1: a gap between two events is what was forgotten
	At   time.Time     // when it was over
	Took time.Duration // 0: no time of note
	Step Step
	// Detail says what, for people: names, epochs, numbers of slices, bytes and requests.
	Detail string
}

// String is the event on one line, without its time.
func (e Event) String() string {
	if e.Took == 0 {
		return fmt.Sprintf("%-9s  %s", e.Step, e.Detail)
	}
	return fmt.Sprintf("%-9s  %s, in %v", e.Step, e.Detail, e.Took.Round(10*time.Microsecond))
}

const (
	firstEvents = 64  // of the start: they are kept for ever
	lastEvents  = 192 // the newest of those behind them
)

// Timeline keeps the first events of an instance and the newest ones, and logs each. What is between is forgotten.
type Timeline struct {
	log *zap.Logger

	mu    sync.Mutex // guards what follows
	n     uint64     // of the newest event
	first []Event
	last  []Event // a ring
	next  int     // in last, once that is full
}

// NewTimeline returns an empty timeline that logs to log.
func NewTimeline(log *zap.Logger) *Timeline { return &Timeline{log: log} }

// Note adds an event that is over now and began at some time; the zero time: it took none of note.
func (t *Timeline) Note(began time.Time, step Step, format string, args ...any) {
	t.NoteAt(began, time.Now(), step, format, args...)
}

// NoteAt adds an event that was over at some time.
func (t *Timeline) NoteAt(began, over time.Time, step Step, format string, args ...any) {
	e := Event{At: over, Step: step, Detail: fmt.Sprintf(format, args...)}
	if !began.IsZero() {
		e.Took = over.Sub(began)
	}
	t.add(e)
	t.log.Info(string(step), zap.String("detail", e.Detail), zap.Duration("took", e.Took))
}

// add adds an event that somebody else logs.
func (t *Timeline) add(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	e.N = t.n
	switch {
	case len(t.first) < firstEvents:
		t.first = append(t.first, e)
	case len(t.last) < lastEvents:
		t.last = append(t.last, e)
	default:
		t.last[t.next] = e
		t.next = (t.next + 1) % lastEvents
	}
}

// Events returns a copy of what is kept, oldest first.
func (t *Timeline) Events() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Event, 0, len(t.first)+len(t.last))
	out = append(out, t.first...)
	out = append(out, t.last[t.next:]...)
	return append(out, t.last[:t.next]...)
}
