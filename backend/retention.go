package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheaf-go/sheaf/vnode"
)

// Retention says what collection leaves. The zero value works.
type Retention struct {
	Records int // kept, the newest included; default 64
	// Step is the number of records that a raise of the floor must free, since a floor's object is kept for ever;
	// default half of Records.
	Step int
}

func (r Retention) withDefaults() Retention {
	if r.Records <= 0 {
		r.Records = 64
	}
	if r.Step <= 0 {
		r.Step = max(1, r.Records/2)
	}
	return r
}

// PlanFloor returns the sequence to which the record after newest may raise the floor, and false if it is not worth an
// object. It keeps retain records, and never passes waiting, the first record of the oldest epoch sealed but not emitted;
// if none waits, waiting is any sequence above the newest.
func PlanFloor(newest *Record, retain, step int, waiting uint64) (uint64, bool) {
	if newest.Seq+1 < uint64(retain) {
		return 0, false
	}
	seq := min(newest.Seq+1-uint64(retain), newest.Seq, waiting)
	return seq, seq >= newest.Floor.Seq+uint64(max(step, 1))
}

// NextFloor plans like [PlanFloor] for who does not know which epochs wait for their emission: it reads the records
// that sealed them.
func (l *Ledger) NextFloor(ctx context.Context, newest *Record, r Retention) (uint64, bool, error) {
	r = r.withDefaults()
	waiting := newest.Seq + 1
	if _, worth := PlanFloor(newest, r.Records, r.Step, waiting); !worth {
		return 0, false, nil
	}
	for rec, err := range l.History(ctx, newest) {
		switch {
		case err != nil:
			return 0, false, fmt.Errorf("look for epochs that wait for their emission: %w", err)
		case rec.Epoch <= newest.Emitted:
			to, worth := PlanFloor(newest, r.Records, r.Step, waiting)
			return to, worth, nil
		}
		waiting = rec.Seq
	}
	to, worth := PlanFloor(newest, r.Records, r.Step, waiting)
	return to, worth, nil
}

// Collected says what [Ledger.Collect] did.
type Collected struct {
	Report
	Passes int
	Newest *Record // its floor is the one collected below
}

// Collect brings the collection of a store up to date, beside whoever runs it or where nobody does (I9): it finishes
// what an earlier one left, raises the floor if that is worth it, and deletes what is below, in as many passes as that
// takes. Wherever it ends early, with an error or a crash, the next call goes on.
func (l *Ledger) Collect(ctx context.Context, writer vnode.Member, r Retention, config CollectorConfig) (Collected, error) {
	c := NewCollector(l, config)
	var done Collected
	newest, err := l.Newest(ctx, nil)
	if err != nil {
		return done, fmt.Errorf("collect: %w", err)
	}
	if err := done.finish(ctx, c, newest); err != nil {
		return done, err
	}
	to, worth, err := l.NextFloor(ctx, newest, r)
	if err != nil || !worth {
		return done, err
	}
	newest, err = l.Amend(ctx, writer, newest, func(n, _ *Record) error {
		if !RaiseFloor(n, to) {
			return ErrCollected
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrCollected): // another collector is further
		return done, nil
	case err != nil:
		return done, fmt.Errorf("raise the floor to record %d: %w", to, err)
	}
	return done, done.finish(ctx, c, newest)
}

// finish makes passes until one leaves nothing.
func (d *Collected) finish(ctx context.Context, c *Collector, newest *Record) error {
	for d.Newest = newest; ; {
		report, err := c.Run(ctx, newest)
		d.Add(report)
		d.Passes++
		if err != nil || report.Left == 0 {
			return err
		}
	}
}
