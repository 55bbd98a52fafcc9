package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

// crowd is the processes of an elastic cluster. They have places on this machine: where one was killed another comes,
// alternately with the same id and with a new one. It belongs to one goroutine.
type crowd struct {
	cluster *cluster
	dir     string // of the configs
	places  []*spot
	ids     int // that were given
	agenda  agenda
	ends    chan *child
	watch   *watch
	over    bool // a member has seen the end: nobody is harmed or started any more

	kills, stops, led int // led: those that hit the coordinator
}

// spot is a place of a member.
type spot struct {
	config backend.Config // of the one that is there, or comes
	child  *child         // nil: nobody is there
	asleep bool
}

// newCrowd makes places for n members over a store. All gossip with all.
func newCrowd(ctx context.Context, c *cluster, dir string, n int) (*crowd, error) {
	gossip, err := freeAddresses(ctx, n)
	if err != nil {
		return nil, err
	}
	crowd := &crowd{cluster: c, dir: dir, ends: make(chan *child), watch: newWatch(ctx, c)}
	for _, address := range gossip {
		config := elasticConfig(c.run.config.State.URL, crowd.newID(), address, gossip)
		crowd.places = append(crowd.places, &spot{config: config})
	}
	return crowd, nil
}

// elasticConfig is the config of a member on loopback that gossips at an address.
func elasticConfig(url, id, gossip string, seeds []string) backend.Config {
	c := backend.ObjectStore(url, id)
	c.Discovery, c.SeedPeers = backend.DiscoveryDynamic, seeds
	c.Cluster.Listen, c.Cluster.Gossip.Listen = "127.0.0.1:0", gossip
	return c
}

func (w *crowd) newID() string {
	w.ids++
	return "n" + strconv.Itoa(w.ids-1)
}

// live starts everybody, harms them as they are to be harmed, and returns when all have ended.
func (w *crowd) live(ctx context.Context) error {
	gone := make(chan struct{})
	defer close(gone)
	for _, s := range w.places {
		if err := w.start(s, gone); err != nil {
			return err
		}
	}
	for _, h := range w.cluster.options.harms {
		w.agenda.in(h.every, func() error { return w.harm(h, gone) })
	}
	look := time.NewTicker(liveTime)
	defer look.Stop()
	defer w.watch.end()
	for w.running() > 0 || len(w.agenda.all) > 0 {
		select {
		case m := <-w.ends:
			if err := w.ended(m); err != nil {
				return err
			}
		case <-w.agenda.next():
			if err := w.agenda.run(); err != nil {
				return err
			}
		case <-look.C:
			w.watch.look(ctx, w.places)
		case <-ctx.Done():
			return w.stop(context.Cause(ctx))
		}
	}
	w.watch.look(ctx, nil)
	return nil
}

// start starts the process of a place.
func (w *crowd) start(s *spot, gone <-chan struct{}) error {
	path, err := writeConfig(w.dir, s.config)
	if err != nil {
		return err
	}
	c := w.cluster
	m, err := startChild(s.config.InstanceID, c.args(path), c.run.streams.notes, c.options.verbose)
	if err != nil {
		return err
	}
	s.child, s.asleep = m, false
	c.members = append(c.members, m)
	go func() {
		<-m.done
		select {
		case w.ends <- m:
		case <-gone:
		}
	}()
	return nil
}

// ended takes note of a process that has ended. The first that ended well has seen the end of all sources: the others
// see it too.
func (w *crowd) ended(m *child) error {
	for _, s := range w.places {
		if s.child != m {
			continue // it was killed
		}
		if err := m.failure(); err != nil {
			return err
		}
		s.child = nil
		w.finish()
	}
	return nil
}

func (w *crowd) finish() {
	w.over = true
	w.agenda.clear()
	w.wakeAll()
}

func (w *crowd) wakeAll() {
	for _, s := range w.places {
		if s.child != nil && s.asleep {
			s.child.wake()
			s.asleep = false
		}
	}
}

// stop passes a signal on, and waits for those that get it.
func (w *crowd) stop(why error) error {
	w.finish()
	w.cluster.stop(why)
	return errors.Join(why, w.cluster.awaitStopped())
}

func (w *crowd) running() (n int) {
	for _, s := range w.places {
		if s.child != nil {
			n++
		}
	}
	return n
}

// harm does it to a random member that is awake, if another is.
func (w *crowd) harm(h harm, gone <-chan struct{}) error {
	again := func() error { return w.harm(h, gone) }
	var awake []*spot
	for _, s := range w.places {
		if s.child != nil && !s.asleep {
			awake = append(awake, s)
		}
	}
	if len(awake) < min(2, len(w.places)) {
		w.agenda.in(soonestHarm, again)
		return nil
	}
	victim := awake[rand.IntN(len(awake))]
	if w.watch.coordinator() == victim.config.InstanceID {
		w.led++
	}
	if h.what == stopping {
		w.stops++
		w.agenda.in((stopFactor+1)*h.every, again)
		w.pause(victim, stopFactor*h.every)
		return nil
	}
	w.agenda.in(h.every, again)
	w.kill(victim, time.Duration(rand.Float64()*float64(h.every)/2), gone)
	return nil
}

// kill kills a member, and has another process come in its place after some time.
func (w *crowd) kill(s *spot, away time.Duration, gone <-chan struct{}) {
	w.kills++
	was := s.config.InstanceID
	s.child.kill()
	s.child = nil
	if w.kills%2 == 0 {
		s.config.InstanceID = w.newID()
	}
	w.watch.say("%s is killed; %s comes after %.1f s", was, s.config.InstanceID, away.Seconds())
	w.agenda.in(away, func() error { return w.start(s, gone) })
}

// pause stops a member for some time.
func (w *crowd) pause(s *spot, d time.Duration) {
	m := s.child
	m.sleep()
	s.asleep = true
	w.watch.say("%s is stopped for %v", m.id, d)
	w.agenda.in(d, func() error {
		if s.child == m && s.asleep {
			m.wake()
			s.asleep = false
			w.watch.say("%s goes on", m.id)
		}
		return nil
	})
}

// spared is an error for each harm that was asked for and came to nobody.
func (w *crowd) spared() error {
	came := map[string]int{killing: w.kills, stopping: w.stops}
	var errs []error
	for _, h := range w.cluster.options.harms {
		if came[h.what] == 0 {
			errs = append(errs, fmt.Errorf("--chaos %q: it came to nobody: all was counted after %.1f s; set a lower --rate, or take a longer --input",
				h, time.Since(w.cluster.began).Seconds()))
		}
	}
	return errors.Join(errs...)
}

// sum says what was done to the members, and what came of it.
func (w *crowd) sum() string {
	return fmt.Sprintf("%d kills and %d stops, %d of them of the coordinator; %d takeovers, %d changes of the assignment, %d records",
		w.kills, w.stops, w.led, w.watch.takeovers(), w.watch.changes(), w.watch.records())
}
