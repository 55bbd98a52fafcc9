package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

const aboutGC = `Deletes what no retained record and no pin of a state reaches, beside whoever runs it. It raises the floor first, if
that frees at least half as many records as it keeps. Ended early, it leaves the rest to the next.`

func gcCommand(args []string, s streams) error {
	var where place
	f := newFlags("gc", aboutGC)
	where.register(f)
	retain := f.Int("retain", 64, "`records` to keep, the newest included; epochs that were not emitted stay besides")
	dry := f.Bool("dry-run", false, "show what would be deleted and change nothing")
	asJSON := f.Bool("json", false, "print it as JSON")
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	var few error
	if *retain < 2 {
		few = fmt.Errorf("--retain %d: want 2 or more", *retain)
	}
	if err := wrongFlags(f, where.required(), few); err != nil {
		return err
	}
	ctx := context.Background()
	if *dry {
		return where.read(ctx, func(r *reader) error {
			ledger, _, err := backend.OpenReader(ctx, backend.Pretend(r.objects))
			if err != nil {
				return err
			}
			return collect(ctx, ledger, *retain, true, *asJSON, s.out)
		})
	}
	return where.beside(ctx, func(r *reader) error { return collect(ctx, r.ledger, *retain, false, *asJSON, s.out) })
}

// collection is what was deleted, or would be, for people and scripts.
type collection struct {
	DryRun   bool  `json:"dry_run"`
	Records  int   `json:"records"`
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
	Left     int   `json:"left"` // could not be deleted
	Passes   int   `json:"passes"`
	Floor    floor `json:"floor"`
}

func collect(ctx context.Context, ledger *backend.Ledger, retain int, dry, asJSON bool, w io.Writer) error {
	writer, err := newWriter("gc")
	if err != nil {
		return err
	}
	done, err := ledger.Collect(ctx, writer, backend.Retention{Records: retain}, backend.CollectorConfig{})
	if done.Newest == nil {
		return err
	}
	c := collection{
		DryRun: dry, Records: done.Records, Segments: done.Segments, Bytes: done.Bytes, Left: done.Left, Passes: done.Passes,
		Floor: newFloor(done.Newest),
	}
	return errors.Join(err, c.write(w, asJSON))
}

func (c *collection) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(c)
	}
	what := "deleted"
	if c.DryRun {
		what = "would delete"
	}
	_, err := fmt.Fprintf(w, "%s %s records and %s segments, %s bytes; the floor is record %d\n", what,
		flights.Count(int64(c.Records)), flights.Count(int64(c.Segments)), flights.Count(c.Bytes), c.Floor.Record)
	return err
}
