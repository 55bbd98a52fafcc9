package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf/backend"
)

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// newFlags returns the flags of a command. About says what it does, in one or more sentences.
func newFlags(name, about string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: demo %s [flags]\n\n%s\n\n", name, about)
		f.VisitAll(func(each *flag.Flag) { writeFlag(f.Output(), each) })
	}
	return f
}

func writeFlag(w io.Writer, f *flag.Flag) {
	value, about := flag.UnquoteUsage(f)
	if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" {
		about += " (default " + f.DefValue + ")"
	}
	fmt.Fprintf(w, "  --%s\n        %s\n", strings.TrimSpace(f.Name+" "+value), about)
}

// parse reads the flags of a command line, which has nothing else. Asked for help it prints that and returns
// [flag.ErrHelp].
func parse(f *flag.FlagSet, args []string, help io.Writer) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(help)
		f.Usage()
		return err
	case err == nil && f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if err != nil {
		return &usageError{fmt.Errorf("%s: %w; see demo help %s", f.Name(), err, f.Name())}
	}
	return nil
}

// wrongFlags is a usageError for everything that is wrong with a command's flags; nil if nothing is.
func wrongFlags(f *flag.FlagSet, errs ...error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	return &usageError{fmt.Errorf("%s: %w\nsee demo help %s", f.Name(), err, f.Name())}
}

// given reports whether a command line has a flag.
func given(f *flag.FlagSet, name string) (there bool) {
	f.Visit(func(each *flag.Flag) { there = there || each.Name == name })
	return there
}

// notEmpty is an error for each flag that names a place or a file and is set to nothing.
func notEmpty(f *flag.FlagSet) error {
	var errs []error
	f.Visit(func(each *flag.Flag) {
		if slices.Contains([]string{"config", "state", "input", "out", "dir"}, each.Name) && each.Value.String() == "" {
			errs = append(errs, fmt.Errorf("--%s is empty", each.Name))
		}
	})
	return errors.Join(errs...)
}

// place is where a state is, as the flags say it.
type place struct{ config, state string }

func (p *place) register(f *flag.FlagSet) {
	f.StringVar(&p.config, "config", "", "TOML `file` that says where the state is")
	f.StringVar(&p.state, "state", "", "`directory` or URL of the state, in place of what --config says")
}

// required is an error unless a place is given.
func (p *place) required() error {
	if p.config == "" && p.state == "" {
		return errors.New("--state is missing: say which directory or URL")
	}
	return nil
}

// open returns the config of the state; in memory if no place is given.
func (p *place) open() (backend.Config, error) {
	var c backend.Config
	if p.config != "" {
		var err error
		if c, err = backend.Load(p.config); err != nil {
			return c, err
		}
	}
	switch {
	case p.state == "":
	case isURL(p.state):
		c.Backend, c.Path, c.URL, c.InstanceID = backend.KindObjectStore, "", p.state, c.Instance()
	default:
		c.Backend, c.Path, c.URL = backend.KindLocal, p.state, ""
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("state: %w", err)
	}
	return c, nil
}

// isURL tells a URL from a path.
func isURL(place string) bool { return strings.Contains(place, "://") }
