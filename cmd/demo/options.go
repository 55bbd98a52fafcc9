package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// options are what the flags of a run say, alone or as a member of a cluster.
type options struct {
	place
	work
	json    bool
	verbose bool
	level   zapcore.Level // of what is logged
	since   time.Time     // when the rows begin to come; zero: they are there
	report  time.Duration // from one report of progress in the log to the next; 0 is as the level says
}

// work is what to count, and how.
type work struct {
	input   string
	job     string
	sources int
	epoch   time.Duration
	rate    int
	out     string
	slow    time.Duration
}

func (w *work) register(f *flag.FlagSet, rate string) {
	f.StringVar(&w.input, "input", "", "`F.csv or F.csv.zst` to count; default: the built-in sample, January 2001")
	f.StringVar(&w.job, "job", "board", "what to count, a `name`: "+jobNames()+", flights by airport or by route and day")
	f.IntVar(&w.sources, "sources", 1, "`number` of sources that the rows are dealt to")
	f.DurationVar(&w.epoch, "epoch", time.Second, "`time` from one epoch to the next")
	f.IntVar(&w.rate, "rate", 0, rate)
	f.StringVar(&w.out, "out", "", "`directory` or URL to which each epoch's result is written, as epoch-<20 digits>.json")
	f.DurationVar(&w.slow, "slow", 0, "`time` that each result is held back, as by a receiver that is slow")
}

func (o *options) registerNotes(f *flag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print the last result as JSON, and nothing else")
	f.BoolVar(&o.verbose, "verbose", false, "say what was opened, found, restored, retried and replayed, how long it took, and what it asked of the store")
	o.level = zapcore.WarnLevel
	f.TextVar(&o.level, "log", o.level, "`level` from which on to log: debug, info, warn, error")
}

// pace is that of all sources together.
func (o *options) pace() *flights.Pace {
	if !o.since.IsZero() {
		return flights.NewArrivals(o.since, o.rate)
	}
	return flights.NewPace(o.rate)
}

// mostSources is how many sources' names a state remembers.
const mostSources = 1024

const aboutRun = `Counts the flights of an input and prints the result of the last epoch. Row i belongs to the source
flights-<i mod N>. Run again on the same state, after a crash too, it goes on where the last sealed epoch ended.`

// parseOptions reads the flags of a run. The error is a usageError with everything that is wrong, or [flag.ErrHelp].
func parseOptions(args []string, s streams) (options, error) {
	var o options
	f := newFlags("run", aboutRun)
	o.place.register(f)
	o.work.register(f, "`rows` to read in a second; 0 is no limit")
	o.registerNotes(f)
	if err := parse(f, args, s.out); err != nil {
		return o, err
	}
	return o, wrongFlags(f, o.validate(), notEmpty(f))
}

func (w *work) validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, known := jobs()[w.job]
	wrong(!known, "--job %s: want %s", w.job, jobNames())
	wrong(w.sources < 1 || w.sources > mostSources, "--sources %d: want 1 to %d", w.sources, mostSources)
	wrong(w.epoch < time.Millisecond, "--epoch %v: want 1ms or more", w.epoch)
	wrong(w.rate < 0, "--rate %d: want rows per second, or 0 for no limit", w.rate)
	wrong(w.slow < 0, "--slow %v: want a time", w.slow)
	return errors.Join(errs...)
}

// outURL returns the URL of --out.
func (w *work) outURL() (string, error) {
	url, err := urlOf(w.out)
	if err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	return url, nil
}

// urlOf returns the URL of a place that is one, or is a directory.
func urlOf(place string) (string, error) {
	if isURL(place) {
		return place, nil
	}
	dir, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	path := filepath.ToSlash(dir)
	return (&url.URL{Scheme: "file", Path: cmp.Or(path, "/")}).String(), nil
}
