package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/vnode"
)

// watch shows an elastic cluster as the ledger has it: one line where people look, and above it what happened. Where
// nobody looks it says only what happened. It belongs to one goroutine.
type watch struct {
	config backend.Config
	notes  io.Writer
	live   bool // a line that changes
	began  time.Time
	before uint64 // rows that were sealed before

	store         *backend.Store // nil: there was none yet
	ledger        *backend.Ledger
	first, newest *backend.Record // of this run; nil: none yet
	stood         uint64          // the term before this run
}

func newWatch(ctx context.Context, c *cluster) *watch {
	w := &watch{config: c.run.config.State, notes: c.run.streams.notes, began: time.Now()}
	w.live = !c.options.verbose && isTerminal(w.notes)
	if c.run.resumed != nil {
		w.before = c.run.resumed.Records
	}
	if rec := w.read(ctx); rec != nil {
		w.stood = rec.Term
	}
	return w
}

// look reads what is new and shows it.
func (w *watch) look(ctx context.Context, places []*spot) {
	rec := w.read(ctx)
	if rec == nil || rec.Term <= w.stood {
		return
	}
	if w.newest == nil {
		w.first = rec
	}
	if w.newest == nil || rec.Term != w.newest.Term {
		w.say("%s coordinates: term %d, %s", rec.Coordinator.Instance, rec.Term, shares(rec, nil))
	} else if rec.Assignment.Version != w.newest.Assignment.Version && names(rec) != names(w.newest) {
		w.say("members: %s", shares(rec, nil))
	}
	w.newest = rec
	if !w.live {
		return
	}
	rows := headOf(rec).Records
	fmt.Fprintf(w.notes, "\r\x1b[K%s; epoch %d, term %d, %d takeovers; %s rows, %s", shares(rec, places), rec.Epoch, rec.Term, w.takeovers(),
		flights.Count(int64(rows)), flights.Rate(rows-min(w.before, rows), time.Since(w.began)))
}

// read is the newest record; nil if it cannot be read now.
func (w *watch) read(ctx context.Context) (rec *backend.Record) {
	var err error
	if w.store == nil {
		if w.store, err = w.config.OpenReader(ctx); err != nil {
			w.store = nil
			return nil
		}
	}
	if w.ledger == nil {
		if w.ledger, rec, err = backend.OpenReader(ctx, w.store.Objects()); err != nil {
			w.ledger = nil
		}
		return rec
	}
	if rec, err = w.ledger.Newest(ctx, w.newest); err != nil {
		return nil
	}
	return rec
}

// shares says how many vnodes each member owns. A star is the coordinator's; of those who are no members it says so.
func shares(rec *backend.Record, places []*spot) string {
	owned := make([]int, len(rec.Assignment.Members))
	for _, o := range rec.Assignment.Owners {
		if o != vnode.Unowned {
			owned[o]++
		}
	}
	var all []string
	for i, m := range rec.Assignment.Members {
		star := ""
		if m == rec.Coordinator {
			star = "*"
		}
		all = append(all, fmt.Sprintf("%s%s %d", m.Instance, star, owned[i]))
	}
	text := strings.Join(all, ", ")
	for _, s := range places {
		switch id := s.config.InstanceID; {
		case s.child == nil:
			text += fmt.Sprintf(" (%s away)", id)
		case s.asleep:
			text += fmt.Sprintf(" (%s stopped)", id)
		case rec.Assignment.Index(id) < 0:
			text += fmt.Sprintf(" (%s joins)", id)
		}
	}
	return text
}

// names lists the members of a record.
func names(rec *backend.Record) string { return fmt.Sprint(rec.Assignment.Members) }

// say says what happened, above the line that changes.
func (w *watch) say(format string, args ...any) {
	if w.live {
		fmt.Fprint(w.notes, "\r\x1b[K")
	}
	fmt.Fprintf(w.notes, "demo: %6.1f s  %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
}

// end clears the line and lets go of the store.
func (w *watch) end() {
	if w.live {
		fmt.Fprint(w.notes, "\r\x1b[K")
	}
	if w.store != nil {
		_ = w.store.Close() // it was only read
	}
}

// coordinator is the id of the newest one known; empty if none is.
func (w *watch) coordinator() string {
	if w.newest == nil {
		return ""
	}
	return w.newest.Coordinator.Instance
}

// takeovers counts the terms behind the first of this run.
func (w *watch) takeovers() uint64 { return w.since(func(r *backend.Record) uint64 { return r.Term }) }

// changes counts the assignments behind the first of this run.
func (w *watch) changes() uint64 {
	return w.since(func(r *backend.Record) uint64 { return r.Assignment.Version })
}

func (w *watch) records() uint64 { return w.since(func(r *backend.Record) uint64 { return r.Seq }) }

func (w *watch) since(count func(*backend.Record) uint64) uint64 {
	if w.newest == nil {
		return 0
	}
	return count(w.newest) - count(w.first)
}
