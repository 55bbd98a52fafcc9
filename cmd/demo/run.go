package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/blob"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

func runCommand(args []string, s streams) error {
	o, err := parseOptions(args, s)
	if err != nil {
		return err
	}
	config, err := o.place.open()
	if err != nil {
		return err
	}
	if len(config.SeedPeers) > 0 {
		return fmt.Errorf("%s: seed_peers names other members: start each of them with demo node", o.config)
	}
	return newRun(o, config, alone(), s)
}

// newRun runs from the flags of a command line to its result.
func newRun(o options, config backend.Config, at seat, s streams) error {
	alive, fail := context.WithCancelCause(context.Background())
	ctx, release := untilStopped(alive)
	defer release()
	people := isTerminal(s.notes)
	s.notes = &oneByOne{w: s.notes}
	r := &run{
		options: o, streams: s, seat: at, job: jobs()[o.job], alive: alive, fail: fail, log: newLog(s.notes, people, o.level),
		config: sheaf.Config{State: config, Epoch: o.epoch},
	}
	r.config.Log = r.log
	return r.do(ctx)
}

// run is one run from its flags to its result: alone, or as a member of a cluster.
type run struct {
	options options
	streams streams
	seat    seat
	job     job
	config  sheaf.Config
	alive   context.Context // ends when something fails that no repetition mends; a signal does not end it
	fail    func(error)     // ends alive, and with it the context of do
	log     *zap.Logger

	input   *flights.Input
	resumed *flights.EpochHead // where it began; nil: at the first row
	newest  atomic.Pointer[shown]
	took    time.Duration
}

// do opens input and --out, and counts.
func (r *run) do(ctx context.Context) (err error) {
	if r.input, err = openInput(r.options.input); err != nil {
		return err
	}
	defer r.input.Close()
	made, err := newSettings(r.options.job, r.options.sources, r.input)
	if err != nil {
		return err
	}
	if err := made.check(ctx, r.config.State); err != nil {
		return err
	}
	out, err := r.openOut(ctx)
	if err != nil {
		return err
	}
	err = r.count(ctx, made, out)
	if out != nil {
		err = errors.Join(err, out.Close())
	}
	return err
}

func openInput(path string) (*flights.Input, error) {
	if path == "" {
		return flights.Sample()
	}
	return flights.Open(path)
}

func (r *run) openOut(ctx context.Context) (*blob.Bucket, error) {
	if r.options.out == "" || !r.seat.merges() {
		return nil, nil
	}
	url, err := r.options.outURL()
	if err != nil {
		return nil, err
	}
	bucket, err := backend.OpenURL(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	return bucket, nil
}

// count runs the job over the input, closes it and prints its result.
func (r *run) count(ctx context.Context, made settings, out *blob.Bucket) error {
	in, err := r.open(ctx, out)
	if errors.Is(err, errCounted) {
		return errors.Join(r.resume(ctx), r.show())
	}
	if err != nil {
		return err
	}
	began := time.Now()
	end := r.narrate(in)
	err = r.drive(ctx, in, made)
	r.took = time.Since(began)
	left := r.seat.elastic && wasStopped(err)
	err = r.close(in, err)
	end()
	switch {
	case left && err == nil:
		_, err = fmt.Fprintln(r.streams.notes, "demo: left: what it had is with the others, or sealed if there are none")
		return err
	case err != nil && !wasStopped(err):
		return err
	case err == nil && r.seat.elastic: // another may have emitted the last result
		err = r.look(ctx)
	}
	return errors.Join(err, r.show())
}

// look makes the result of the newest sealed epoch the one that is shown.
func (r *run) look(ctx context.Context) error {
	err := readState(ctx, r.config.State, func(state *reader) error {
		if state.newest.Epoch == 0 {
			return nil
		}
		last, err := r.job.sealed(ctx, state.objects, state.newest)
		if err == nil {
			r.newest.Store(last)
		}
		return err
	})
	if unbegun(err) {
		return nil
	}
	return err
}

// open opens the state.
func (r *run) open(ctx context.Context, out *blob.Bucket) (instance, error) {
	o := opening{out: out, slow: r.options.slow, newest: &r.newest, fail: r.fail, log: r.log}
	if r.seat.alone() {
		return r.job.open(ctx, r.config, o)
	}
	switch counted, err := r.counted(ctx); {
	case err != nil:
		return nil, err
	case counted:
		return nil, errCounted
	}
	ctx, stop := r.untilCounted(ctx)
	defer stop()
	in, err := r.job.open(ctx, r.config, o)
	if err != nil && errors.Is(context.Cause(ctx), errCounted) {
		return nil, errCounted
	}
	return in, err
}

// drive attaches the sources that are read here and waits until the ends of all sources are sealed.
func (r *run) drive(ctx context.Context, in instance, made settings) error {
	if err := r.resume(ctx); err != nil {
		return err
	}
	if err := made.keep(ctx, in.Bucket(), r.resumed != nil); err != nil {
		return err
	}
	var ends []<-chan struct{}
	for i, part := range flights.Partitions(r.input, r.options.sources, r.options.pace()) {
		if !r.seat.reads(i) {
			continue
		}
		end, err := in.Attach(ctx, part.Name(), source{part, r.fail, r.log})
		if err != nil {
			return err
		}
		ends = append(ends, end)
	}
	stop := r.follow(in)
	defer stop()
	for _, end := range ends {
		select {
		case <-end:
		case <-in.Done():
			return in.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return r.awaitOthers(ctx, in)
}

// resume finds out where the state stands before the first source is attached, and says so. What is in memory is new.
func (r *run) resume(ctx context.Context) error {
	err := readState(ctx, r.config.State, func(state *reader) (err error) {
		if state.newest.Epoch == 0 {
			return nil
		}
		head := headOf(state.newest)
		r.resumed = &head
		fmt.Fprintf(r.streams.notes, "demo: resumed from epoch %d, which holds %s rows\n", head.Epoch, flights.Count(int64(head.Records)))
		last, err := r.job.sealed(ctx, state.objects, state.newest)
		r.newest.CompareAndSwap(nil, last)
		return err
	})
	if unbegun(err) {
		return nil
	}
	return err
}

// unbegun reports whether a state could not be read since nothing was ever written to it.
func unbegun(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, backend.ErrEmpty)
}

// close seals what was read and ends the instance, also after a signal, which makes a member of an elastic cluster leave it.
// After any other failure, before it or meanwhile, it ends as after a crash: the next run reads again what is not sealed.
func (r *run) close(in instance, failure error) error {
	if failure != nil && !wasStopped(failure) {
		r.fail(failure)
	}
	ctx, release := r.closing()
	defer release()
	err := in.Close(ctx)
	if cause := context.Cause(r.alive); cause != nil {
		return cause
	}
	if r.seat.elastic && wasStopped(failure) && err == nil {
		return nil
	}
	return errors.Join(failure, err)
}

// show prints the last result, where results are.
func (r *run) show() error {
	if !r.seat.merges() {
		return nil
	}
	last := r.newest.Load()
	if last == nil {
		return errors.New("no epoch was sealed: there is no result")
	}
	if r.options.json {
		return json.NewEncoder(r.streams.out).Encode(last.report(r.resumed))
	}
	if err := last.print(r.streams.out); err != nil {
		return err
	}
	rows := last.head.Records
	if r.resumed != nil {
		rows -= r.resumed.Records
	}
	if rows == 0 {
		_, err := fmt.Fprintf(r.streams.out, "\nnothing was left to read; epoch %d holds %s rows\n", last.head.Epoch, flights.Count(int64(last.head.Records)))
		return err
	}
	_, err := fmt.Fprintf(r.streams.out, "\n%s rows in %.2f s, %s; epoch %d holds %s\n", flights.Count(int64(rows)), r.took.Seconds(),
		flights.Rate(rows, r.took), last.head.Epoch, flights.Count(int64(last.head.Records)))
	return err
}
