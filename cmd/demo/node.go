package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

const aboutNode = `Counts the flights of an input as one member of a cluster over one object store, as run does alone. All members are
given the same flags, each a config of its own. A member ends when the ends of all sources are sealed, whoever reads them.

With static discovery source flights-<i> is read by member i mod N, of N members in the order of their ids; the merger's
instance, else the one of the lowest id, writes to --out and prints the result. Started again after a crash, with the same
config, a member goes on where the last sealed epoch ended; until then the others wait for it.

With dynamic discovery members come and go, and --out is a place that all of them can write to. SIGTERM or SIGINT makes
one hand over what it has to the others and leave, with exit code 0.`

func nodeCommand(args []string, s streams) error {
	o, err := parseNode(args, s)
	if err != nil {
		return err
	}
	config, at, err := o.member()
	if err != nil {
		return err
	}
	return newRun(o, config, at, s)
}

func parseNode(args []string, s streams) (options, error) {
	var o options
	f := newFlags("node", aboutNode)
	f.StringVar(&o.config, "config", "", "TOML `file` of this member; cmd/demo/configs has some")
	f.StringVar(&o.state, "state", "", "`directory` or URL of the state, in place of what --config says")
	o.work.register(f, "`rows` that this member reads in a second; 0 is no limit")
	o.registerNotes(f)
	f.TextVar(&o.since, "since", time.Time{}, "RFC 3339 `time` since which rows come in, --rate in a second in all:\n"+
		"what has come is read at once, also again; default: all is there, and --rate holds for this member")
	f.DurationVar(&o.report, "report", 0, "`time` from one line to the next that says as JSON where this member stands; 0 is never")
	if err := parse(f, args, s.out); err != nil {
		return o, err
	}
	var missing error
	if o.config == "" {
		missing = errors.New("--config is missing: say which member this is")
	}
	var paceless error
	if !o.since.IsZero() && o.rate == 0 {
		paceless = errors.New("--since without --rate: say how many rows come in a second")
	}
	return o, wrongFlags(f, o.validate(), notEmpty(f), missing, paceless)
}

// member returns the config of a member, and its seat.
func (p *place) member() (backend.Config, seat, error) {
	c, err := backend.Load(p.config)
	if err == nil && p.state != "" {
		c.URL, err = urlOf(p.state)
	}
	if err != nil {
		return c, seat{}, err
	}
	at, err := seatOf(c)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return c, at, fmt.Errorf("%s: %w", p.config, err)
	}
	return c, at, nil
}

// Times of a member.
const (
	lookTime = 50 * time.Millisecond // from one look at the others' sources to the next
	pollTime = 2 * time.Second       // from one look at the ledger to the next while the others are not heard
	sealTime = 10 * time.Second      // for the other members to seal what this one leaves
	leftTime = 30 * time.Second      // for those of an elastic cluster to take over what it has
)

// errCounted says that all rows were counted before this member came.
var errCounted = errors.New("the ends of all sources are sealed")

// errGone is why a member that ends does not seal what it read.
var errGone = errors.New("the other members did not seal it in time: the next start reads again what is not sealed")

// untilCounted returns a context that also ends, with errCounted, when nothing is left for this member to do: then the
// others may have ended, and nobody lets it in. Stop ends that watch, and not the context.
func (r *run) untilCounted(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stopped, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(pollTime)
		defer tick.Stop()
		for {
			if counted, err := r.counted(ctx); err == nil && counted {
				cancel(errCounted)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-stopped:
				return
			case <-tick.C:
			}
		}
	}()
	return ctx, func() {
		close(stopped)
		<-over
	}
}

// counted reports whether the newest record seals the ends of all sources, and, where results are emitted, says that they
// were.
func (r *run) counted(ctx context.Context) (all bool, err error) {
	err = readState(ctx, r.config.State, func(state *reader) error {
		all = r.ended(state.newest.Cuts) && (!r.seat.merges() || state.newest.Emitted == state.newest.Epoch)
		return nil
	})
	if unbegun(err) {
		return false, nil
	}
	return all, err
}

// ended reports whether all sources have ended.
func (r *run) ended(cuts []backend.Cut) bool {
	ended := map[string]bool{}
	for _, c := range cuts {
		ended[c.Source] = c.Ended
	}
	for i := range r.options.sources {
		if !ended[flights.SourceName(i)] {
			return false
		}
	}
	return true
}

// awaitOthers waits until the ends of the sources that others read are sealed too, and the results are emitted.
func (r *run) awaitOthers(ctx context.Context, in instance) error {
	if r.seat.alone() {
		return nil
	}
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		if r.over(ctx, in) {
			return nil
		}
		select {
		case <-tick.C:
		case <-in.Done():
			return in.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// over reports whether nothing is left for an instance to do.
func (r *run) over(ctx context.Context, in instance) bool {
	switch s := in.Status(); {
	case !r.ended(in.Cuts()):
		return false
	case r.seat.elastic: // whoever emits
		all, err := r.counted(ctx)
		return err == nil && all
	default:
		return !r.seat.merges() || s.Emitted >= s.Epoch
	}
}

// closing is the time for an end: alone, what it takes.
func (r *run) closing() (context.Context, context.CancelFunc) {
	switch {
	case r.seat.alone():
		return context.WithCancel(r.alive)
	case r.seat.elastic:
		return context.WithTimeoutCause(r.alive, leftTime, errGone)
	}
	return context.WithTimeoutCause(r.alive, sealTime, errGone)
}
