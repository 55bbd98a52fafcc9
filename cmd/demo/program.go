package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"
	"go.uber.org/zap"
	"gocloud.dev/blob"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
	"github.com/sheaf-go/sheaf/merger"
)

// job is a program whose types its users need not know.
type job interface {
	// open runs the job on a store.
	open(ctx context.Context, cfg sheaf.Config, o opening) (instance, error)
	// sealed returns the result of a record's sealed epoch.
	sealed(ctx context.Context, objects backend.Objects, rec *backend.Record) (*shown, error)
	// export writes all keys of a record's sealed epoch as JSON lines.
	export(ctx context.Context, objects backend.Objects, rec *backend.Record, w io.Writer) error
	// checker checks the files of a run over rows of an input, dealt to a number of sources.
	checker(rows []flights.Flight, sources, capacity int) checker
}

// checker holds the files of a run against the input.
type checker interface {
	Check(dir fs.FS) error
	Files() int
	Complete() bool
}

// opening says where the results of a job go: to out, unless that is nil, and then to newest, each held back for some time
// before. An error that no repetition mends goes to fail.
type opening struct {
	out    *blob.Bucket
	slow   time.Duration
	newest *atomic.Pointer[shown]
	fail   func(error)
	log    *zap.Logger
}

// instance is what a run needs of a [sheaf.Instance].
type instance interface {
	Attach(ctx context.Context, name string, s sheaf.Source[flights.Flight]) (<-chan struct{}, error)
	Status() sheaf.Status
	Cuts() []sheaf.Cut
	Timeline() []sheaf.Event
	Bucket() *blob.Bucket
	Done() <-chan struct{}
	Err() error
	Close(ctx context.Context) error
}

// shown is a result that can be shown.
type shown struct {
	head   flights.EpochHead
	value  any
	print  func(w io.Writer) error              // for people
	report func(resumed *flights.EpochHead) any // for --json
}

// program is a job with its types.
type program[K sheaf.Key, S, R any, F flights.EpochFile] struct {
	app    func(capacity int) sheaf.App[K, flights.Flight, S, R]
	file   func(epoch uint64, cut map[string]uint64, r R) F
	print  func(w io.Writer, r R) error
	report func(file F, resumed *flights.EpochHead) any
	check  func(rows []flights.Flight, sources, capacity int) *flightstest.Checker[F]
}

func (p *program[K, S, R, F]) checker(rows []flights.Flight, sources, capacity int) checker {
	return p.check(rows, sources, capacity)
}

func (p *program[K, S, R, F]) open(ctx context.Context, cfg sheaf.Config, o opening) (instance, error) {
	var sinks []sheaf.Sink[R]
	if o.slow > 0 {
		sinks = append(sinks, sheaf.SinkFunc[R](func(ctx context.Context, _ sheaf.Result[R]) error { return hold(ctx, o.slow) }))
	}
	if o.out != nil {
		sinks = append(sinks, failing[R]{p.objects(o.out, o.log), o.fail})
	}
	sinks = append(sinks, sheaf.SinkFunc[R](func(_ context.Context, r sheaf.Result[R]) error {
		o.newest.Store(p.show(r))
		return nil
	}))
	in, err := sheaf.Open(ctx, cfg, p.app(cfg.State.Capacity()), sinks...)
	if err != nil {
		return nil, err
	}
	return in, nil
}

func (p *program[K, S, R, F]) fileOf(r sheaf.Result[R]) F {
	return p.file(uint64(r.Epoch), r.Cuts, r.Value)
}

// objects is the sink that writes each epoch's file. What it is about to write, once more too, it logs.
func (p *program[K, S, R, F]) objects(bucket *blob.Bucket, log *zap.Logger) sheaf.Sink[R] {
	name := func(r sheaf.Result[R]) string { return flights.EpochFileName(uint64(r.Epoch)) }
	return merger.NewObjectSink(bucket, name, func(r sheaf.Result[R]) ([]byte, error) {
		text, err := flights.MarshalEpochFile(p.fileOf(r))
		log.Info("emits", zap.Uint64("epoch", uint64(r.Epoch)), zap.Uint64("digest", xxh3.Hash(text)))
		return text, err
	})
}

func (p *program[K, S, R, F]) show(r sheaf.Result[R]) *shown {
	return &shown{
		head:   flights.NewEpochHead(uint64(r.Epoch), r.Cuts),
		value:  r.Value,
		print:  func(w io.Writer) error { return p.print(w, r.Value) },
		report: func(resumed *flights.EpochHead) any { return p.report(p.fileOf(r), resumed) },
	}
}

func (p *program[K, S, R, F]) sealed(ctx context.Context, objects backend.Objects, rec *backend.Record) (*shown, error) {
	partials, err := backend.Restorer{Objects: objects, Record: rec}.Partials(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the result of epoch %d: %w", rec.Epoch, err)
	}
	app := p.app(rec.Identity.Capacity)
	var all R
	for v, encoded := range partials {
		var part R
		if err := app.ResultCodec.Decode(encoded, &part); err != nil {
			return nil, fmt.Errorf("read the result of epoch %d: vnode %d: %w", rec.Epoch, v, err)
		}
		app.Merge(&all, part)
	}
	return p.show(sheaf.Result[R]{Epoch: rec.Epoch, Cuts: cutOf(rec), Value: all}), nil
}

// failing ends the run if an epoch's object stands with other bytes: no repetition mends that.
type failing[R any] struct {
	sink sheaf.Sink[R]
	fail func(error)
}

// Emit gives the result to the sink.
func (f failing[R]) Emit(ctx context.Context, r sheaf.Result[R]) error {
	err := f.sink.Emit(ctx, r)
	if errors.Is(err, merger.ErrConflict) {
		f.fail(fmt.Errorf("write to --out: %w", err))
	}
	return err
}

// hold waits.
func hold(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
