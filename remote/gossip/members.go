package gossip

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/remote"
)

// maxNoted bounds what is remembered to have been logged; beyond it, refusals are only counted.
const maxNoted = 1024

// members is what memberlist told of the others. It calls back while it holds a lock of its own: the methods here copy,
// wait for nothing, and call nothing of it.
type members struct {
	own  identity
	log  *zap.Logger
	news chan struct{} // holds one, if something changed

	mu      sync.Mutex // guards what follows
	meta    []byte     // of self
	nodes   map[string]node
	former  map[string]former // by instance: those that were here, and did not leave on purpose
	refused map[string]uint64 // by kind
	noted   map[string]bool   // by name and kind
}

// node is a process that memberlist takes for alive.
type node struct {
	remote.Member
	at netip.AddrPort // of its gossip
}

// former is where a node was that is not reached any more.
type former struct {
	at    netip.AddrPort
	since time.Time
}

const (
	// formerFor is how long it is called again: memberlist forgets it, and it may know no seed that lives.
	formerFor = 24 * time.Hour
	maxFormer = 64 // the newest ones
)

var (
	_ memberlist.Delegate      = (*members)(nil)
	_ memberlist.EventDelegate = (*members)(nil)
	_ memberlist.AliveDelegate = (*members)(nil)
	_ memberlist.MergeDelegate = (*members)(nil)
)

func newMembers(own identity, log *zap.Logger) *members {
	return &members{
		own: own, log: log, news: make(chan struct{}, 1),
		nodes: map[string]node{}, former: map[string]former{}, refused: map[string]uint64{}, noted: map[string]bool{},
	}
}

// say sets what is told of self.
func (m *members) say(meta []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.meta = meta
}

// all returns one member per instance, by instance: that of the newest incarnation. Incarnations grow with the time.
func (m *members) all() []remote.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := map[string]remote.Member{}
	for _, n := range m.nodes {
		if x, ok := newest[n.Instance]; !ok || bytes.Compare(n.Incarnation[:], x.Incarnation[:]) > 0 {
			newest[n.Instance] = n.Member
		}
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b remote.Member) int { return cmp.Compare(a.Instance, b.Instance) })
}

// at reports whether a node gossips at an address.
func (m *members) at(a netip.AddrPort) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.nodes {
		if n.at == a {
			return true
		}
	}
	return false
}

// alone reports whether there is no other node.
func (m *members) alone() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.nodes) <= 1
}

// read takes apart what a node says of itself, and refuses whoever is none of ours.
func (m *members) read(n *memberlist.Node) (remote.Member, *remote.RefusedError) {
	id, member, err := decodeMeta(n.Meta)
	if err == nil && n.Name != nameOf(member) {
		err = fmt.Errorf("meta is of %s", nameOf(member))
	}
	if err != nil {
		return member, &remote.RefusedError{Peer: n.Name, Kind: remote.RefusedMeta, Reason: err.Error()}
	}
	return member, m.own.refuse(n.Name, id)
}

// judge is read, and counts and logs a refusal.
func (m *members) judge(n *memberlist.Node) error {
	_, refused := m.read(n)
	if refused == nil {
		return nil
	}
	m.mu.Lock()
	m.refused[refused.Kind]++
	key := refused.Peer + " " + refused.Kind
	first := !m.noted[key] && len(m.noted) < maxNoted
	if first {
		m.noted[key] = true
	}
	m.mu.Unlock()
	if first {
		m.log.Warn("gossip refused", zap.String("peer", refused.Peer), zap.Stringer("at", addressOf(n)),
			zap.String("kind", refused.Kind), zap.String("reason", refused.Reason))
	}
	return refused
}

func addressOf(n *memberlist.Node) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(ip.Unmap(), n.Port)
}

// change changes the nodes, and says so.
func (m *members) change(do func(nodes map[string]node)) {
	m.mu.Lock()
	do(m.nodes)
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default: // whoever takes the one that is there sees this too
	}
}

// NotifyAlive implements [memberlist.AliveDelegate].
func (m *members) NotifyAlive(peer *memberlist.Node) error { return m.judge(peer) }

// NotifyMerge implements [memberlist.MergeDelegate]. Whoever knows one of ours may be one; each node is judged by itself
// later. What the other end says when it refuses us is left to it.
func (m *members) NotifyMerge(peers []*memberlist.Node) error {
	var refused error
	for _, p := range peers {
		if refused = m.judge(p); refused == nil {
			return nil
		}
	}
	return refused
}

// NotifyJoin implements [memberlist.EventDelegate].
func (m *members) NotifyJoin(n *memberlist.Node) { m.NotifyUpdate(n) }

// NotifyUpdate implements [memberlist.EventDelegate].
func (m *members) NotifyUpdate(n *memberlist.Node) {
	member, refused := m.read(n)
	if refused != nil {
		return // it was refused before
	}
	name, now := n.Name, node{member, addressOf(n)}
	m.change(func(nodes map[string]node) {
		nodes[name] = now
		delete(m.former, member.Instance)
	})
}

// NotifyLeave implements [memberlist.EventDelegate].
func (m *members) NotifyLeave(n *memberlist.Node) {
	name := n.Name
	m.change(func(nodes map[string]node) {
		gone, known := nodes[name]
		delete(nodes, name)
		if known && !gone.Leaving && !m.knows(gone.Instance) {
			m.remember(gone)
		}
	})
}

// knows reports whether a node is of an instance.
func (m *members) knows(instance string) bool {
	for _, n := range m.nodes {
		if n.Instance == instance {
			return true
		}
	}
	return false
}

// remember notes where a node was; one more than the bound makes the oldest go (I8).
func (m *members) remember(gone node) {
	m.former[gone.Instance] = former{gone.at, time.Now()}
	if len(m.former) > maxFormer {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(m.former)), func(a, b string) int { return m.former[a].since.Compare(m.former[b].since) })
		delete(m.former, oldest)
	}
}

// formers lists where those were that are to be called again.
func (m *members) formers() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for instance, f := range m.former {
		if time.Since(f.since) > formerFor {
			delete(m.former, instance)
			continue
		}
		all = append(all, f.at.String())
	}
	return all
}

// NodeMeta implements [memberlist.Delegate].
func (m *members) NodeMeta(int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.meta
}

// NotifyMsg implements [memberlist.Delegate]: there are no messages.
func (m *members) NotifyMsg([]byte) {}

// GetBroadcasts implements [memberlist.Delegate]: there are none.
func (m *members) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements [memberlist.Delegate]: there is none beside Meta.
func (m *members) LocalState(bool) []byte { return nil }

// MergeRemoteState implements [memberlist.Delegate].
func (m *members) MergeRemoteState([]byte, bool) {}
