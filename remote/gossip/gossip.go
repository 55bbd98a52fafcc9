package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/remote"
)

func init() { remote.RegisterGossip(open) } //nolint:gochecknoinits // linking by import

func open(cfg remote.GossipConfig) (remote.Membership, error) {
	g, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return g, nil
}

const (
	// joinTime is how long Join and the first list wait for seeds that do not answer.
	joinTime = 3 * time.Second
	// sayTime is how long Update and each of the two steps of Leave wait for what they say to be sent. What was not by
	// then is sent later, or travels with the next full exchange.
	sayTime = time.Second
	// probeInterval is how often one of the others is asked for a sign of life.
	probeInterval = 500 * time.Millisecond
)

// Gossip is a membership by gossip.
type Gossip struct {
	cfg     remote.GossipConfig
	keys    *keys // nil: without
	log     *zap.Logger
	members *members
	tasks   sync.WaitGroup // its goroutines
	failures

	turn sync.Mutex // held by what changes memberlist: it must not be told to leave once it is shut down

	mu      sync.Mutex // guards what follows; taken within turn
	self    remote.Member
	list    *memberlist.Memberlist // nil before Join
	address string
	cancel  context.CancelFunc
	ended   bool
}

var (
	_ remote.Membership = (*Gossip)(nil)
	_ remote.Reporter   = (*Gossip)(nil)
)

// New returns a membership that joins nothing yet. It reports every problem of the config, among them a
// [remote.ExposedError].
func New(cfg remote.GossipConfig) (*Gossip, error) {
	keys, err := openKeys(cfg.KeyFile)
	if err := errors.Join(check(cfg), err); err != nil {
		return nil, err
	}
	cfg.Seeds = slices.Clone(cfg.Seeds)
	g := &Gossip{cfg: cfg, keys: keys, log: cfg.Log}
	if g.log == nil {
		g.log = zap.NewNop()
	}
	g.members = newMembers(identityOf(cfg), g.log)
	return g, nil
}

// Join implements [remote.Membership]. It waits for the seeds, but not long and not for all: without any, the instance is
// the first of its cluster. A [MetaSizeError] says that self is described at too great length.
func (g *Gossip) Join(ctx context.Context, self remote.Member, changed func([]remote.Member)) error {
	joined, err := g.begin(ctx, self, changed)
	if err != nil {
		return fmt.Errorf("join the gossip of %s: %w", g.cfg.Cluster, err)
	}
	<-joined.Done()
	if err := ctx.Err(); err != nil {
		return errors.Join(err, g.Close())
	}
	if _, _, err := g.joined(); err != nil {
		return err
	}
	return nil
}

// begin starts everything. The context that it returns is done when the seeds were called.
func (g *Gossip) begin(ctx context.Context, self remote.Member, changed func([]remote.Member)) (context.Context, error) {
	if self.Instance == "" || self.Incarnation == uuid.Nil {
		return nil, errors.New("self needs an instance and an incarnation")
	}
	meta, err := encodeMeta(g.members.own, self)
	if err != nil {
		return nil, err
	}
	where, err := g.where(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return nil, remote.ErrMembershipEnded
	case g.list != nil:
		return nil, errors.New("it was joined before")
	}
	log := bridge(g.log, g.failures.undecrypted)
	s, err := listen(where, log)
	if err != nil {
		return nil, err
	}
	g.members.say(meta)
	list, err := memberlist.Create(g.settings(nameOf(self), s, log))
	if err != nil {
		return nil, errors.Join(err, s.Shutdown())
	}
	s.watch(list.GetHealthScore)
	g.list, g.self, g.address = list, self, s.advertise.String()
	ctx, g.cancel = context.WithCancel(ctx)
	joined, met := context.WithTimeout(ctx, joinTime)
	g.tasks.Go(func() { g.seek(ctx, list, s.advertise, met) })
	g.tasks.Go(func() { g.tell(ctx, joined, changed) })
	g.tasks.Go(func() { g.watch(ctx) })
	g.tasks.Go(func() { g.end(ctx, list, s) })
	return joined, nil
}

// settings are those of a local network, tuned to notice a death in about four seconds and a change in a tenth of one.
func (g *Gossip) settings(name string, s *sockets, log *log.Logger) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.Transport, c.Logger = name, g.cfg.Cluster, s, log
	c.ProbeInterval, c.ProbeTimeout = probeInterval, probeInterval/2
	c.DisableTcpPingsForNode = s.probe
	c.GossipInterval, c.RetransmitMult = 100*time.Millisecond, 4
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
	c.PushPullInterval = 5 * time.Second
	c.EnableCompression = false // what is sent is small
	c.Delegate, c.Events, c.Alive, c.Merge = g.members, g.members, g.members, g.members
	if g.keys != nil {
		c.Keyring = g.keys.ring
	}
	return c
}

// tell calls changed whenever the list is another than before.
func (g *Gossip) tell(ctx, joined context.Context, changed func([]remote.Member)) {
	<-joined.Done()
	for last := []remote.Member(nil); ; {
		select {
		case <-ctx.Done():
			return
		case <-g.members.news:
		}
		if now := g.members.all(); !slices.Equal(now, last) {
			last = now
			changed(slices.Clone(now))
		}
	}
}

// end shuts memberlist down.
func (g *Gossip) end(ctx context.Context, list *memberlist.Memberlist, s *sockets) {
	<-ctx.Done()
	g.turn.Lock()
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	err := list.Shutdown()
	g.turn.Unlock()
	if err != nil {
		g.log.Warn("gossip was not shut down", zap.Error(err))
	}
	s.settle()
}

// joined returns what is told to whom, or why nothing is.
func (g *Gossip) joined() (*memberlist.Memberlist, remote.Member, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return nil, g.self, remote.ErrMembershipEnded
	case g.list == nil:
		return nil, g.self, errors.New("gossip was not joined")
	}
	return g.list, g.self, nil
}

// Update implements [remote.Membership]. It waits until the change was sent, a second at most.
func (g *Gossip) Update(self remote.Member) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	return g.update(self, sayTime)
}

// update is called with the turn.
func (g *Gossip) update(self remote.Member, wait time.Duration) error {
	list, was, err := g.joined()
	switch {
	case err != nil:
		return err
	case self == was:
		return nil
	case self.Instance != was.Instance || self.Incarnation != was.Incarnation:
		return fmt.Errorf("update of %s %s, but %s %s joined", self.Instance, self.Incarnation, was.Instance, was.Incarnation)
	}
	meta, err := encodeMeta(g.members.own, self)
	if err != nil {
		return err
	}
	g.members.say(meta)
	g.mu.Lock()
	g.self = self
	g.mu.Unlock()
	if err := list.UpdateNode(wait); err != nil { // only that it takes longer
		g.log.Debug("an update waits to be sent", zap.Error(err))
	}
	return nil
}

// Leave implements [remote.Membership]. The others are told first that self is leaving, then that it left; together it
// takes two seconds at most, and as a rule half a one.
func (g *Gossip) Leave(ctx context.Context) error {
	g.turn.Lock()
	if list, self, err := g.joined(); err == nil && ctx.Err() == nil {
		self.Leaving = true
		g.leave(ctx, list, self)
	}
	g.turn.Unlock()
	return g.Close()
}

func (g *Gossip) leave(ctx context.Context, list *memberlist.Memberlist, self remote.Member) {
	err := g.update(self, within(ctx))
	if err == nil && ctx.Err() == nil {
		err = list.Leave(within(ctx))
	}
	if err != nil {
		g.log.Warn("the others may take this leave for a crash", zap.Error(err))
	}
}

// within is how long one step of a leave may take.
func within(ctx context.Context) time.Duration {
	wait := sayTime
	if by, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(by))
	}
	return max(wait, time.Millisecond) // none would be for ever
}

// Close implements [remote.Membership].
func (g *Gossip) Close() error {
	g.mu.Lock()
	g.ended = true
	if g.cancel != nil {
		g.cancel()
	}
	g.mu.Unlock()
	g.tasks.Wait()
	return nil
}

// Address returns the "host:port" that the others call, which they can be told as a seed; empty before Join.
func (g *Gossip) Address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.address
}

// Refused counts what peers said and was refused, by the kind of [remote.RefusedError]. It is said again and again.
func (g *Gossip) Refused() map[string]uint64 {
	g.members.mu.Lock()
	defer g.members.mu.Unlock()
	return maps.Clone(g.members.refused)
}
