package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"

	"go.uber.org/zap/zapcore"
	"gocloud.dev/blob"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
)

// prove compares what a cluster came to with what one process comes to, and each emitted file with the input, and says so.
func (c *cluster) prove(ctx context.Context) error {
	alone, err := c.single(ctx)
	if err != nil {
		return fmt.Errorf("verify: count in a single process: %w", err)
	}
	got := c.run.newest.Load()
	if !maps.Equal(got.head.Cut, alone.head.Cut) || !reflect.DeepEqual(got.value, alone.value) {
		return fmt.Errorf("verify: epoch %d is not what a single process comes to: it holds %d rows, cut %v, against %d, %v, and the results are the same: %t",
			got.head.Epoch, got.head.Records, got.head.Cut, alone.head.Records, alone.head.Cut, reflect.DeepEqual(got.value, alone.value))
	}
	files, err := c.files(ctx)
	if err != nil {
		return fmt.Errorf("verify: --out: %w", err)
	}
	w := c.run.streams.out
	if c.options.json {
		w = c.run.streams.notes
	}
	_, err = fmt.Fprintf(w, "verified: epoch %d of %s rows is what a single process comes to%s\n", got.head.Epoch, flights.Count(int64(got.head.Records)), files)
	return err
}

// single counts in this process, in memory.
func (c *cluster) single(ctx context.Context) (*shown, error) {
	alive, fail := context.WithCancelCause(ctx)
	defer fail(context.Canceled)
	o := options{work: work{input: c.options.input, job: c.options.job, sources: c.options.sources, epoch: c.options.epoch}, level: zapcore.WarnLevel}
	r := &run{
		options: o, streams: streams{io.Discard, io.Discard}, seat: alone(), job: c.run.job, alive: alive, fail: fail,
		log: newLog(c.run.streams.notes, false, o.level), config: sheaf.Config{State: backend.InProcess(), Epoch: o.epoch},
	}
	if err := r.do(alive); err != nil {
		return nil, err
	}
	return r.newest.Load(), nil
}

// files checks the files of --out, and says how many there are.
func (c *cluster) files(ctx context.Context) (string, error) {
	if c.options.out == "" {
		return "", nil
	}
	in, err := openInput(c.options.input)
	if err != nil {
		return "", err
	}
	rows, err := flightstest.Load(in)
	if err := errors.Join(err, in.Close()); err != nil {
		return "", err
	}
	url, err := c.options.outURL()
	if err != nil {
		return "", err
	}
	out, err := backend.OpenURL(ctx, url)
	if err != nil {
		return "", err
	}
	out.SetIOFSCallback(func() (context.Context, *blob.ReaderOptions) { return ctx, nil })
	files := c.run.job.checker(rows, c.options.sources, c.run.config.State.Capacity())
	err = files.Check(out)
	if err == nil && !files.Complete() {
		err = errors.New("the newest file does not hold all rows")
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return "", err
	}
	return fmt.Sprintf(", and each of %d files holds exactly the rows of its cut", files.Files()), nil
}
