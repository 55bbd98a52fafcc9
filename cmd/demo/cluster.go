package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

const aboutCluster = `Counts the flights of an input as run does, with several processes on this machine: it writes their configs, starts
demo node for each, shows how they come on, and prints the result when the input is done. A process that ends early is
not started again, but ends them all, as after a crash. Run again on the same state, with any number of instances that
own all vnodes between them, it goes on where the last sealed epoch ended. Without --state it has a temporary directory,
which is removed in the end if all went well.

With --dynamic the processes form an elastic cluster. With --chaos some of them are killed or stopped meanwhile, and
others come in their place. Then what is to be seen is who is a member, who owns how many vnodes, and who coordinates,
with a star; and in the end the result is compared with that of a single process, and each file of --out with the rows
that it says it holds. A difference is a failure, and so is --chaos that came to nobody before all was counted.`

// mostInstances is how many processes one machine is asked for.
const mostInstances = 64

type clusterOptions struct {
	options
	instances int
	dynamic   bool
	chaos     string
	harms     []harm // of chaos
	said      struct{ sources, rate bool }
}

func clusterCommand(args []string, s streams) error {
	o, err := parseCluster(args, s)
	switch {
	case err != nil:
		return err
	case o.state == "":
		return o.passing(s)
	}
	return o.do(s)
}

// do counts with the processes that the flags ask for.
func (o clusterOptions) do(s streams) error {
	url, err := urlOf(o.state)
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	alive, fail := context.WithCancelCause(context.Background())
	ctx, release := untilStopped(alive)
	defer release()
	defer fail(context.Canceled)
	c := &cluster{options: o, run: run{options: o.options, streams: s, seat: alone(), job: jobs()[o.job], alive: alive}}
	c.run.config = sheaf.Config{State: backend.ObjectStore(url, "reader")}
	return c.do(ctx)
}

func parseCluster(args []string, s streams) (clusterOptions, error) {
	var o clusterOptions
	f := newFlags("cluster", aboutCluster)
	f.IntVar(&o.instances, "instances", 3, "`number` of processes")
	f.StringVar(&o.state, "state", "", "`directory` or URL of the state that they share; default: a temporary directory")
	f.BoolVar(&o.dynamic, "dynamic", false, "let them come and go: an elastic cluster")
	f.StringVar(&o.chaos, "chaos", "", aboutChaos)
	o.work.register(f, "`rows` that all of them together read in a second; 0 is no limit; --chaos without it chooses a pace")
	f.Lookup("sources").Usage += "; with --dynamic the default is what the state has, or one for each instance"
	f.BoolVar(&o.json, "json", false, "print the last result as JSON, and nothing else")
	f.BoolVar(&o.verbose, "verbose", false, "print what the processes say, with --verbose themselves")
	if err := parse(f, args, s.out); err != nil {
		return o, err
	}
	o.said.sources, o.said.rate = given(f, "sources"), given(f, "rate")
	harms, err := parseChaos(o.chaos)
	o.harms = harms
	errs := []error{o.validate(), notEmpty(f), err}
	if len(harms) > 0 && !o.dynamic {
		errs = append(errs, errors.New("--chaos: only an elastic cluster goes on: add --dynamic"))
	}
	if o.instances < 1 || o.instances > mostInstances {
		errs = append(errs, fmt.Errorf("--instances %d: want 1 to %d", o.instances, mostInstances))
	}
	if o.rate > 0 && o.rate < o.instances {
		errs = append(errs, fmt.Errorf("--rate %d: want at least a row for each of %d instances", o.rate, o.instances))
	}
	return o, wrongFlags(f, errs...)
}

// cluster is a run by several processes of this machine.
type cluster struct {
	options clusterOptions
	run     run // what it has in common with a run of one process
	members []*child
	began   time.Time
	spared  error // chaos that was asked for and came to nobody
}

// do counts with the processes and prints the result that stands in the state in the end.
func (c *cluster) do(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sheaf-demo-")
	if err != nil {
		return err
	}
	err = c.count(ctx, dir)
	if removed := os.RemoveAll(dir); err == nil {
		err = removed
	}
	if err != nil && !wasStopped(err) {
		return err
	}
	if err = errors.Join(err, c.show()); err != nil || !c.options.dynamic {
		return err
	}
	return errors.Join(c.prove(ctx), c.spared)
}

// check refuses before a process is started what each of them would refuse.
func (c *cluster) check(ctx context.Context) error {
	if err := c.run.config.State.Validate(); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if !c.run.config.State.IsDurable() {
		return fmt.Errorf("--state %s: it is in the memory of one process", c.options.state)
	}
	in, err := openInput(c.options.input)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := c.chooseSources(ctx); err != nil {
		return err
	}
	made, err := newSettings(c.options.job, c.options.sources, in)
	if err != nil {
		return err
	}
	if err := made.check(ctx, c.run.config.State); err != nil {
		return err
	}
	if err := c.run.resume(ctx); err != nil {
		return err
	}
	return c.choosePace(in)
}

// count starts the processes and waits for them.
func (c *cluster) count(ctx context.Context, dir string) (err error) {
	c.began = time.Now()
	defer c.kill()
	defer func() { c.run.took = time.Since(c.began) }()
	if !c.options.dynamic {
		return c.fixed(ctx, dir)
	}
	crowd, err := newCrowd(ctx, c, dir, c.options.instances)
	if err != nil {
		return err
	}
	err = crowd.live(ctx)
	crowd.watch.say("%s", crowd.sum())
	c.spared = crowd.spared()
	return err
}

// fixed runs a cluster whose members are always the same.
func (c *cluster) fixed(ctx context.Context, dir string) error {
	configs, err := clusterConfigs(ctx, c.run.config.State.URL, c.options.instances)
	if err != nil {
		return err
	}
	for i := range configs {
		path, err := writeConfig(dir, configs[i])
		if err != nil {
			return err
		}
		m, err := startChild(configs[i].InstanceID, c.args(path), c.run.streams.notes, c.options.verbose)
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
	}
	stop := c.watch()
	defer stop()
	return c.wait(ctx)
}

// args is the command line of a member.
func (c *cluster) args(config string) []string {
	o := c.options
	args := []string{
		"node", "--config", config, "--job", o.job, "--sources", strconv.Itoa(o.sources), "--epoch", o.epoch.String(),
		"--slow", o.slow.String(), "--report", liveTime.String(),
	}
	for name, value := range map[string]string{"--input": o.input, "--out": o.out} {
		if value != "" {
			args = append(args, name, value)
		}
	}
	if o.rate > 0 {
		args = append(args, "--rate", strconv.Itoa(o.rate/o.instances))
	}
	if o.verbose {
		args = append(args, "--verbose")
	}
	return append(args, "--json") // what the merger prints is not shown
}

// wait waits until all members have ended. One that ends badly before it was asked to ends the cluster.
func (c *cluster) wait(ctx context.Context) error {
	ends := make(chan *child, len(c.members))
	for _, m := range c.members {
		go func() {
			<-m.done
			ends <- m
		}()
	}
	for range c.members {
		select {
		case m := <-ends:
			if err := m.failure(); err != nil {
				return err
			}
		case <-ctx.Done():
			why := context.Cause(ctx)
			c.stop(why)
			return errors.Join(why, c.awaitStopped())
		}
	}
	return nil
}

// stop passes a signal on.
func (c *cluster) stop(why error) {
	var stopped *stoppedError
	for _, m := range c.members {
		if errors.As(why, &stopped) {
			m.signal(stopped.signal)
		}
	}
}

// awaitStopped waits for members that were told to stop. They need some time to seal what they read.
func (c *cluster) awaitStopped() error {
	most := 2 * sealTime
	if c.options.dynamic {
		most = 2 * leftTime
	}
	patience := time.NewTimer(most)
	defer patience.Stop()
	for _, m := range c.members {
		select {
		case <-m.done:
		case <-patience.C:
			return fmt.Errorf("member %s did not stop in %v and was killed: the next run reads again what is not sealed", m.id, most)
		}
	}
	return nil
}

// kill ends what still runs, as a crash would.
func (c *cluster) kill() {
	for _, m := range c.members {
		m.kill()
	}
}

// show prints the result of the newest sealed epoch.
func (c *cluster) show() error {
	if err := c.run.look(context.Background()); err != nil {
		return err
	}
	return c.run.show()
}

// clusterConfigs returns the configs of n members on loopback that share a store. The last owns the vnodes that no other
// lists, the first merges.
func clusterConfigs(ctx context.Context, url string, n int) ([]backend.Config, error) {
	addresses, err := freeAddresses(ctx, n)
	if err != nil {
		return nil, err
	}
	configs := make([]backend.Config, n)
	for i := range configs {
		c := backend.ObjectStore(url, fmt.Sprintf("n%d", i))
		c.Cluster.Listen, c.MergerInstance = addresses[i], "n0"
		for k, address := range addresses {
			c.SeedPeers = append(c.SeedPeers, fmt.Sprintf("n%d=%s", k, address))
		}
		if i < n-1 {
			c.Vnodes = backend.ListVnodes(backend.VnodeRange{First: c.Capacity() * i / n, Last: c.Capacity()*(i+1)/n - 1})
		}
		configs[i] = c
	}
	return configs, nil
}

// freeAddresses returns addresses on loopback whose ports nobody has, outside of the range that connections are given: a
// member that is away finds its port free when it comes back.
func freeAddresses(ctx context.Context, n int) (addresses []string, err error) {
	const first, ports, tries = 20_000, 12_000, 1000
	var held []net.Listener // all at once, so that no port is found twice
	for try := 0; len(held) < n && try < tries; try++ {
		if l, busy := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(ports))); busy == nil {
			held = append(held, l)
		}
	}
	for _, l := range held {
		addresses = append(addresses, l.Addr().String())
		err = errors.Join(err, l.Close())
	}
	if err == nil && len(addresses) < n {
		err = fmt.Errorf("%d free ports on loopback were found, %d are needed", len(addresses), n)
	}
	return addresses, err
}

func writeConfig(dir string, c backend.Config) (path string, err error) {
	text, err := c.Encode()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, c.InstanceID+".toml")
	return path, os.WriteFile(path, text, 0o600)
}

// watch shows how the members come on, until stop is called.
func (c *cluster) watch() (stop func()) {
	if c.options.verbose || !isTerminal(c.run.streams.notes) {
		return func() {}
	}
	var before uint64
	if c.run.resumed != nil {
		before = c.run.resumed.Records
	}
	return every(liveTime, func() {
		var epoch uint64
		states, read := "", map[string]uint64{}
		for _, m := range c.members {
			state, at := m.state()
			states += fmt.Sprintf("%s %s, ", m.id, state)
			epoch = max(epoch, at.Epoch)
			for source, rows := range at.Read {
				read[source] = max(read[source], rows)
			}
		}
		rows := flights.NewEpochHead(epoch, read).Records
		fmt.Fprintf(c.run.streams.notes, "\r\x1b[K%sepoch %d, %s rows, %s", states, epoch, flights.Count(int64(rows)),
			flights.Rate(rows-min(before, rows), time.Since(c.began)))
	}, func() { fmt.Fprint(c.run.streams.notes, "\r\x1b[K") })
}
