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
)

// options are what the flags of a run say.
type options struct {
	place
	input   string
	job     string
	sources int
	epoch   time.Duration
	rate    int
	out     string
	json    bool
	verbose bool
	level   zapcore.Level // of what is logged
}

// mostSources is how many sources' names a state remembers.
const mostSources = 1024

const aboutRun = `Counts the flights of an input and prints the result of the last epoch. Row i belongs to the source
flights-<i mod N>. Run again on the same state, after a crash too, it goes on where the last sealed epoch ended.`

// parseOptions reads the flags of a run. The error is a usageError with everything that is wrong, or [flag.ErrHelp].
func parseOptions(args []string, s streams) (options, error) {
	var o options
	f := newFlags("run", aboutRun)
	o.register(f)
	f.StringVar(&o.input, "input", "", "`F.csv or F.csv.zst` to count; default: the built-in sample, January 2001")
	f.StringVar(&o.job, "job", "board", "what to count, a `name`: "+jobNames()+", flights by airport or by route and day")
	f.IntVar(&o.sources, "sources", 1, "`number` of sources that the rows are dealt to")
	f.DurationVar(&o.epoch, "epoch", time.Second, "`time` from one epoch to the next")
	f.IntVar(&o.rate, "rate", 0, "`rows` to read in a second; 0 is no limit")
	f.StringVar(&o.out, "out", "", "`directory` or URL to which each epoch's result is written, as epoch-<20 digits>.json")
	f.BoolVar(&o.json, "json", false, "print the last result as JSON, and nothing else")
	f.BoolVar(&o.verbose, "verbose", false, "say what was opened, found, restored, retried and replayed, how long it took, and what it asked of the store")
	o.level = zapcore.WarnLevel
	f.TextVar(&o.level, "log", o.level, "`level` from which on to log: debug, info, warn, error")
	if err := parse(f, args, s.out); err != nil {
		return o, err
	}
	return o, wrongFlags(f, o.validate(given(f)))
}

// given returns the flags that the command line sets.
func given(f *flag.FlagSet) map[string]bool {
	set := map[string]bool{}
	f.Visit(func(each *flag.Flag) { set[each.Name] = true })
	return set
}

func (o *options) validate(given map[string]bool) error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, known := jobs()[o.job]
	wrong(!known, "--job %s: want %s", o.job, jobNames())
	wrong(o.sources < 1 || o.sources > mostSources, "--sources %d: want 1 to %d", o.sources, mostSources)
	wrong(o.epoch < time.Millisecond, "--epoch %v: want 1ms or more", o.epoch)
	wrong(o.rate < 0, "--rate %d: want rows per second, or 0 for no limit", o.rate)
	for name, value := range map[string]string{"config": o.config, "state": o.state, "input": o.input, "out": o.out} {
		wrong(given[name] && value == "", "--%s is empty", name)
	}
	return errors.Join(errs...)
}

// outURL returns the URL of --out.
func (o *options) outURL() (string, error) {
	if isURL(o.out) {
		return o.out, nil
	}
	dir, err := filepath.Abs(o.out)
	if err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	path := filepath.ToSlash(dir)
	return (&url.URL{Scheme: "file", Path: cmp.Or(path, "/")}).String(), nil
}
