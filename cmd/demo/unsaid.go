package main

import (
	"context"
	"fmt"
	"os"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// passing counts with a state of its own, which goes if all went well: nobody is left then who has it.
func (o clusterOptions) passing(s streams) (err error) {
	if o.state, err = os.MkdirTemp("", "sheaf-demo-state-"); err != nil {
		return err
	}
	fmt.Fprintf(s.notes, "demo: without --state it is in %s, which is removed in the end if all went well\n", o.state)
	if err = o.do(s); err == nil {
		return os.RemoveAll(o.state)
	}
	if os.Remove(o.state) != nil { // something is in it
		fmt.Fprintf(s.notes, "demo: %s stays: with --state a run goes on there\n", o.state)
	}
	return err
}

// chooseSources has an elastic cluster read as many sources as its state was made with, and a new one as many as members.
func (c *cluster) chooseSources(ctx context.Context) error {
	if !c.options.dynamic || c.options.said.sources {
		return nil
	}
	was, err := settingsOf(ctx, c.run.config.State)
	if err != nil {
		return err
	}
	c.options.sources = c.options.instances
	if was != nil {
		c.options.sources = was.Sources
	}
	return nil
}

// choosePace makes the rows that are left last long enough for the chaos, and says so.
func (c *cluster) choosePace(in *flights.Input) error {
	o := &c.options
	if len(o.harms) == 0 || o.said.rate {
		return nil
	}
	left, err := in.Count()
	if err != nil {
		return err
	}
	if c.run.resumed != nil {
		left -= min(left, c.run.resumed.Records)
	}
	if left == 0 {
		return nil
	}
	lasts := timeFor(o.harms)
	o.rate = max(o.instances, int(float64(left)/lasts.Seconds()))
	fmt.Fprintf(c.run.streams.notes, "demo: reads %s rows a second: without --rate %s rows are to last %v for --chaos %q\n",
		flights.Count(int64(o.rate)), flights.Count(int64(left)), lasts, o.chaos)
	return nil
}
