package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// ClusterConfig is how an instance meets the others.
type ClusterConfig struct {
	Name        string
	Members     []remote.Member // all of a static cluster, this one among them, by instance
	Coordinator string          // the member that coordinates, merges and emits
	Claim       backend.Claim   // of this one
	Elastic     *ElasticConfig  // nil for a static cluster; then Members, Coordinator and Claim say nothing
	Client      bool            // this is none of the members: it sends and reads
	App         string          // which app, with its codecs: those of another are strangers
	Transport   remote.TransportConfig
	// Open makes the transport.
	Open func(remote.TransportConfig) (remote.Transport, error)
}

// peers is what an instance knows of the others that are connected to it.
type peers struct {
	addresses sync.Map // of member's id to where it is now
	lives     lives
	places    places
	dialing   sync.Mutex // held from finding out whom to dial to dialing: a list that is older must not come later

	mu sync.Mutex // guards up
	up map[string]remote.Hello
}

func (p *peers) set(h remote.Hello, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		p.up[h.Member.Instance] = h
	} else if p.up[h.Member.Instance].Member == h.Member {
		delete(p.up, h.Member.Instance)
	}
}

func (p *peers) upOf(id string) (remote.Hello, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, up := p.up[id]
	return h, up
}

// anyMember reports whether an instance is connected that is no client.
func (p *peers) anyMember() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.up {
		if !h.Client {
			return true
		}
	}
	return false
}

func (p *peers) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.up))
}

// origins remembers from which instance each source or producer last sent, so that it can be answered.
type seenOrigins struct {
	names sync.Map // of name to seenOrigin
}

type seenOrigin struct {
	generation uint64
	instance   string
}

func (s *seenOrigins) note(h *vnode.Header, instance string) {
	now := seenOrigin{h.Generation, instance}
	old, known := s.names.Load(h.Origin)
	if !known || (old != now && h.Generation >= old.(seenOrigin).generation) {
		s.names.Store(h.Origin, now)
	}
}

// forget drops the names that a record does not know any more (I8).
func (s *seenOrigins) forget(w *vnode.View) {
	s.names.Range(func(name, x any) bool {
		_, producer := w.Generations[name.(string)]
		if !producer && !w.HasSource(name.(string)) && x.(seenOrigin).generation <= w.LastGeneration {
			s.names.Delete(name)
		}
		return true
	})
}

// handler is the [remote.Handler] of an instance.
type handler[K vnode.Key, E, S, R any] struct {
	in   *Instance[K, E, S, R]
	self vnode.Member // its address is the transport's to know
}

var _ remote.Handler = handler[string, int, int, int]{}

// errStarting refuses a peer before there is anybody to hear it.
var errStarting = errors.New("it is starting")

// Self implements [remote.Handler].
func (h handler[K, E, S, R]) Self() remote.Hello {
	c := h.in.cfg.Cluster
	hello := remote.Hello{
		Cluster: c.Name, Lowest: WireFormat, Highest: WireFormat, Member: h.self,
		Capacity: h.in.capacity(), App: c.App, Client: c.Client,
	}
	if k := h.in.newest.Load(); k != nil {
		hello.Version, hello.Term = k.view.Assignment.Version, k.rec.Term
	}
	return hello
}

// Check implements [remote.Handler].
func (h handler[K, E, S, R]) Check(peer remote.Hello) error {
	self := h.Self()
	switch {
	case !h.in.hears.Load():
		return errStarting
	case peer.Capacity != self.Capacity:
		return fmt.Errorf("vnode_capacity is %d here and %d there", self.Capacity, peer.Capacity)
	case peer.App != self.App:
		return fmt.Errorf("the app is %q here and %q there", self.App, peer.App)
	case peer.Client && self.Client:
		return errors.New("both are clients")
	case !peer.Client && !h.in.isMember(peer.Member.Instance):
		return fmt.Errorf("%q is no member: members are %v", peer.Member.Instance, h.in.memberIDs())
	}
	if k := h.in.newest.Load(); k != nil && !peer.Client && h.in.mayLiveAt(k, whole(peer).Member) {
		h.in.peers.lives.hear(whole(peer))
		h.in.livesAt(whole(peer).Member)
	}
	return nil
}

// Up implements [remote.Handler]: whoever comes is told where things stand. Who knows of a later term says so in its hello,
// and there alone: what it sends goes to the process that reigns now.
func (h handler[K, E, S, R]) Up(peer remote.Hello) {
	h.in.peers.lives.hear(whole(peer))
	h.in.peers.set(whole(peer), true)
	if peer.Client {
		h.in.inform(peer.Member.Instance)
	} else {
		h.in.greet(peer.Member.Instance)
	}
	if k := h.in.newest.Load(); k != nil && peer.Term > k.rec.Term && !h.in.isClient() {
		h.in.system.Root.Send(h.in.follower, doubt{})
	}
}

// Down implements [remote.Handler].
func (h handler[K, E, S, R]) Down(peer remote.Hello, _ error) {
	h.in.peers.set(whole(peer), false)
	if k := h.in.newest.Load(); k != nil && !peer.Client && k.rec.Assignment.Index(peer.Member.Instance) < 0 {
		h.in.transport.GiveUp(peer.Member.Instance)
	}
	h.in.tellNews() // one that is to leave may be alone now
}

// Receive implements [remote.Handler].
func (h handler[K, E, S, R]) Receive(from remote.Hello, data []byte, done func()) error {
	if h.in.elastic() {
		h.in.peers.lives.hear(whole(from))
	}
	return h.in.received(whole(from), data, done)
}

// whole puts the address into the member, as records have it.
func whole(h remote.Hello) remote.Hello {
	h.Member.Address = h.Address
	return h
}

// clustered reports whether the instance has a transport.
func (in *Instance[K, E, S, R]) clustered() bool { return in.transport != nil }

// isClient reports whether this is no member: it owns no vnode and has no store.
func (in *Instance[K, E, S, R]) isClient() bool {
	return in.cfg.Cluster != nil && in.cfg.Cluster.Client
}

// openTransport makes this instance one that others can reach. Until it hears, it refuses them.
func (in *Instance[K, E, S, R]) openTransport() (err error) {
	if in.cfg.Cluster == nil {
		return nil
	}
	in.peers.up, in.peers.lives.began = map[string]remote.Hello{}, time.Now()
	in.landings.most = 2 * in.capacity()
	if in.modes, err = newWireModes(); err != nil {
		return err
	}
	if in.records, err = backend.NewRecordWire(); err != nil {
		return err
	}
	cfg := in.cfg.Cluster.Transport
	cfg.Handler, cfg.Log = handler[K, E, S, R]{in, in.self}, in.cfg.Log
	if in.transport, err = in.cfg.Cluster.Open(cfg); err != nil {
		return fmt.Errorf("open the transport: %w", err)
	}
	in.self.Address = in.transport.Address()
	return nil
}

// hear lets the others come, and goes to them.
func (in *Instance[K, E, S, R]) hear() {
	if !in.clustered() {
		return
	}
	in.hears.Store(true)
	in.dialOthers()
}

// dialOthers keeps connections to the other members: at the address with which one came, or was admitted, since this
// start, else at the configured one.
func (in *Instance[K, E, S, R]) dialOthers() {
	in.peers.dialing.Lock()
	defer in.peers.dialing.Unlock()
	if in.elastic() || in.isClient() {
		in.transport.Dial(in.others())
		return
	}
	var others []remote.Member
	for _, m := range in.cfg.Cluster.Members {
		if m.Instance == in.self.Instance {
			continue
		}
		if address, known := in.peers.addresses.Load(m.Instance); known {
			m.Address = address.(string)
		}
		others = append(others, m)
	}
	in.transport.Dial(others)
}

// livesAt notes where a member is now.
func (in *Instance[K, E, S, R]) livesAt(m vnode.Member) {
	if m.Address == "" || m.Instance == in.self.Instance || !in.isMember(m.Instance) {
		return
	}
	if old, known := in.peers.addresses.Swap(m.Instance, m.Address); !known || old != m.Address {
		in.dialOthers()
	}
}

func (in *Instance[K, E, S, R]) closeTransport() error {
	if !in.clustered() {
		return nil
	}
	return in.transport.Close()
}

func (in *Instance[K, E, S, R]) memberIDs() []string {
	if in.cfg.Cluster == nil {
		return []string{in.self.Instance}
	}
	var ids []string
	for _, m := range in.cfg.Cluster.Members {
		ids = append(ids, m.Instance)
	}
	return ids
}

// isMember reports whether an instance may be a member. Of an elastic cluster any may, and a client learns who is.
func (in *Instance[K, E, S, R]) isMember(id string) bool {
	return in.elastic() || in.isClient() || slices.Contains(in.memberIDs(), id)
}

// mayLiveAt reports whether somebody who comes is to be answered where it says: it is in force, or nobody else of its id
// is connected.
func (in *Instance[K, E, S, R]) mayLiveAt(k *known, m vnode.Member) bool {
	if memberOf(k.rec, m.Instance) == m {
		return true
	}
	up, connected := in.peers.upOf(m.Instance)
	return in.elastic() && (!connected || up.Member == m)
}

// others are all instances that are worth a connection: the members of the newest record, those that the membership knows,
// those that came, and for a client those of its configuration.
func (in *Instance[K, E, S, R]) others() []remote.Member {
	at := map[string]string{}
	for _, m := range in.cfg.Cluster.Members {
		at[m.Instance] = m.Address
	}
	if list := in.present.Load(); list != nil {
		for id, m := range *list {
			at[id] = m.Address
		}
	}
	k := in.newest.Load()
	if k != nil {
		for _, m := range append([]vnode.Member{k.rec.Coordinator}, k.rec.Assignment.Members...) {
			if at[m.Instance] == "" || in.isClient() {
				at[m.Instance] = m.Address
			}
		}
	}
	in.peers.addresses.Range(func(id, address any) bool {
		_, known := at[id.(string)]
		recent, heard := in.peers.lives.recent(id.(string))
		if known || recent {
			at[id.(string)] = address.(string)
		} else if heard {
			in.peers.addresses.Delete(id)
		}
		return true
	})
	in.peers.lives.forget(at)
	delete(at, in.self.Instance)
	var out []remote.Member
	for _, id := range slices.Sorted(maps.Keys(at)) {
		if at[id] != "" {
			out = append(out, remote.Member{Instance: id, Address: at[id]})
		}
	}
	return out
}

// leadsByConfig reports whether this instance coordinates a static cluster.
func (in *Instance[K, E, S, R]) leadsByConfig() bool {
	return in.cfg.Cluster == nil || (!in.cfg.Cluster.Client && in.cfg.Cluster.Coordinator == in.self.Instance)
}

// greet tells a peer that has just come of the newest record, and of the open attempt, where the coordinator is.
func (in *Instance[K, E, S, R]) greet(peer string) {
	if !in.leads() {
		return
	}
	pid := farPID(peer)
	in.system.Root.Send(pid, in.newest.Load().rec)
	if b := in.beatNow(); b != nil {
		in.system.Root.Send(pid, *b)
	}
}

// inform tells a client where things stand, as far as this instance knows: it may be connected to no coordinator.
func (in *Instance[K, E, S, R]) inform(peer string) {
	if k := in.newest.Load(); k != nil && !in.leads() {
		in.system.Root.Send(farPID(peer), k.rec)
		return
	}
	in.greet(peer)
}

// tellPeers sends a message to every instance that is connected.
func (in *Instance[K, E, S, R]) tellPeers(message any) {
	if !in.clustered() {
		return
	}
	for _, id := range in.peers.all() {
		in.system.Root.Send(farPID(id), message)
	}
}

// correct tells an instance that still coordinates as it believes, but no record says so any more, of the newest one.
func (in *Instance[K, E, S, R]) correct(m vnode.Member) {
	k := in.newest.Load()
	if k != nil && m != k.rec.Coordinator && !in.isClient() {
		in.system.Root.Send(farPID(m.Instance), k.rec)
	}
}

// repeat sends again what may have been lost on its way to the coordinator.
func (in *Instance[K, E, S, R]) repeat() {
	if in.changed() > 0 || in.orphaned() {
		in.tell(want{})
	}
	in.sayAlive()
	in.asks.repeat(in.tell)
	if in.checkpointer != nil {
		in.system.Root.Send(in.checkpointer, remind{})
	}
}

// orphaned reports whether the newest attempt known is of a coordinator that is gone: what was captured for it, and
// counts as changed no more, may never have been sealed.
func (in *Instance[K, E, S, R]) orphaned() bool {
	a, k := in.open.Load(), in.newest.Load()
	return a != nil && k != nil && a.Term < k.rec.Term && a.Number > uint64(k.rec.Epoch)
}

// Messages between instances that say no more than their name.
type (
	greetMe struct{} // tell me where things stand
	alive   struct{}
)

func (in *Instance[K, E, S, R]) search(ctx context.Context) (*backend.Record, error) {
	if in.isClient() {
		for _, m := range in.others() { // it may not know yet who coordinates
			in.system.Root.Send(farPID(m.Instance), greetMe{})
		}
		return nil, nil
	}
	return in.ledger.Newest(ctx, in.newest.Load().rec)
}

// callTime is how long an incarnation may take to answer that it is alive.
const callTime = 2 * time.Second

func (in *Instance[K, E, S, R]) call(ctx context.Context, m vnode.Member) (vnode.Member, bool) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	hello, err := in.transport.Probe(ctx, m.Address)
	return whole(hello).Member, err == nil
}

// callThoseBefore makes sure that nobody is alive who has the id of this instance, or another that coordinates by
// another configuration.
func (in *Instance[K, E, S, R]) callThoseBefore(ctx context.Context, newest *backend.Record) error {
	for _, m := range []vnode.Member{memberOf(newest, in.self.Instance), newest.Coordinator} {
		other := m.Instance != in.self.Instance
		if m.Address == "" || m.Address == in.self.Address || (other && !(in.leadsByConfig() && in.isMember(m.Instance))) {
			continue
		}
		who, answered := in.call(ctx, m)
		switch {
		case !answered || who.Instance != m.Instance || who.Incarnation == in.self.Incarnation:
		case who.Instance == in.self.Instance:
			return &InUseError{Member: who}
		case who == m:
			return fmt.Errorf("instance %s coordinates at %s, and this one, %s, is configured to: merger_instance must be the same for all",
				who.Instance, who.Address, in.self.Instance)
		}
	}
	return nil
}

func memberOf(rec *backend.Record, id string) vnode.Member {
	m, _ := rec.Assignment.InForce(id)
	return m
}
