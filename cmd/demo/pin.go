package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

func pinCommand(args []string, s streams) error {
	var where place
	f := newFlags("pin", "Keeps an epoch of a state under a name: demo export --epoch reads it, however many epochs follow.")
	where.register(f)
	name := f.String("name", "", "`name` of the pin")
	epoch := f.Uint64("epoch", 0, "a retained epoch `N`; default: the newest sealed one")
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	if err := wrongFlags(f, where.required(), pinName(*name)); err != nil {
		return err
	}
	return amend(where, "pin", func(ctx context.Context, r *reader, n, newest *backend.Record) error {
		pinned, err := r.recordOf(ctx, newest, vnode.Epoch(*epoch))
		if err != nil {
			return err
		}
		return backend.WithPin(n, *name, pinned)
	}, func(rec *backend.Record) error {
		for _, p := range rec.Pins {
			if p.Name == *name {
				_, err := fmt.Fprintf(s.out, "pinned epoch %d as %s\n", p.Epoch, p.Name)
				return err
			}
		}
		return nil
	})
}

func unpinCommand(args []string, s streams) error {
	var where place
	f := newFlags("unpin", "Drops a pin of a state. The next gc, or the next run, deletes what it alone kept.")
	where.register(f)
	name := f.String("name", "", "`name` of the pin")
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	if err := wrongFlags(f, where.required(), pinName(*name)); err != nil {
		return err
	}
	return amend(where, "unpin", func(_ context.Context, _ *reader, n, _ *backend.Record) error {
		return backend.WithoutPin(n, *name)
	}, func(*backend.Record) error {
		_, err := fmt.Fprintf(s.out, "dropped pin %s\n", *name)
		return err
	})
}

func pinName(name string) error {
	if name == "" {
		return errors.New("--name is missing: say how the pin is called")
	}
	return backend.CheckPinName(name)
}

// amend appends a record to a state, beside whoever runs it, and tells of it.
func amend(where place, tool string, change func(ctx context.Context, r *reader, n, newest *backend.Record) error, tell func(*backend.Record) error) error {
	ctx := context.Background()
	writer, err := newWriter(tool)
	if err != nil {
		return err
	}
	return where.beside(ctx, func(r *reader) error {
		rec, err := r.ledger.Amend(ctx, writer, r.newest, func(n, newest *backend.Record) error { return change(ctx, r, n, newest) })
		if err != nil {
			return err
		}
		return tell(rec)
	})
}

// newWriter names a tool as the writer of a record.
func newWriter(tool string) (vnode.Member, error) {
	id, err := uuid.NewV7()
	return vnode.Member{Instance: "demo-" + tool, Incarnation: id}, err
}
