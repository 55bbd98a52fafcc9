package transport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

const (
	defaultMaxFrame = 16 << 20
	defaultMaxQueue = 64 << 20
	// closeTime is what the last frames get to be sent in.
	closeTime = 500 * time.Millisecond
)

// Transport is a [remote.Transport] over gRPC.
type Transport struct {
	cfg      remote.TransportConfig
	address  string // that peers dial
	keys     *keys  // nil: no TLS
	buffers  *buffers
	refusals *refusals
	server   *grpc.Server // nil for a client

	closing     chan struct{}   // no frames are taken any more, and no connections
	dialing     context.Context // ends with closing
	living      context.Context // ends when the last frames had their time
	stopDialing context.CancelFunc
	stopLiving  context.CancelFunc
	once        sync.Once
	running     sync.WaitGroup // Serve, and run of each peer

	mu       sync.RWMutex // guards what follows
	closed   bool
	peers    map[string]*peer
	leaving  map[string]*peer    // were removed; their runs may not have ended
	incoming map[string]*session // accepted, by peer
}

var _ remote.Transport = (*Transport)(nil)

// New makes a transport. It listens when New returns.
func New(cfg remote.TransportConfig) (*Transport, error) {
	if cfg.MaxFrame == 0 {
		cfg.MaxFrame = defaultMaxFrame
	}
	if cfg.MaxQueue == 0 {
		cfg.MaxQueue = defaultMaxQueue
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if err := validate(cfg); err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	k, err := newKeys(cfg)
	if err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	t := &Transport{
		cfg: cfg, keys: k, buffers: &buffers{}, refusals: newRefusals(cfg.Log), closing: make(chan struct{}),
		peers: map[string]*peer{}, leaving: map[string]*peer{}, incoming: map[string]*session{},
	}
	t.dialing, t.stopDialing = context.WithCancel(context.Background())
	t.living, t.stopLiving = context.WithCancel(context.Background())
	if cfg.Listen != "" {
		if err := t.listen(); err != nil {
			return nil, fmt.Errorf("open transport: %w", err)
		}
	}
	return t, nil
}

func validate(cfg remote.TransportConfig) error {
	var errs []error
	if cfg.Handler == nil {
		errs = append(errs, errors.New("no handler"))
	}
	if cfg.MaxFrame < 0 || cfg.MaxFrame > 1<<30 {
		errs = append(errs, fmt.Errorf("frames of at most %d bytes: 1 to 1 GiB are possible", cfg.MaxFrame))
	}
	if cfg.MaxQueue < 0 {
		errs = append(errs, fmt.Errorf("a queue of at most %d bytes", cfg.MaxQueue))
	}
	if cfg.Listen == "" && cfg.Advertise != "" {
		errs = append(errs, fmt.Errorf("%q is advertised, but nothing listens", cfg.Advertise))
	}
	return errors.Join(errs...)
}

// listen begins to accept connections.
func (t *Transport) listen() error {
	lc := net.ListenConfig{Control: t.guard()}
	l, err := lc.Listen(t.living, "tcp", t.cfg.Listen)
	if err != nil {
		return err
	}
	if t.address = t.cfg.Advertise; t.address == "" {
		t.address = l.Addr().String()
		if host, _, _ := net.SplitHostPort(t.address); net.ParseIP(host).IsUnspecified() {
			return errors.Join(fmt.Errorf("%s is no address that others can dial: say which one to advertise", t.address), l.Close())
		}
	}
	t.server = grpc.NewServer(t.serverOptions(handshakes{insecure.NewCredentials(), t})...)
	t.server.RegisterService(serviceDesc(t.accept), t)
	t.running.Go(func() { _ = t.server.Serve(&listener{l, t.gone}) }) // it ends when Close stops it
	return nil
}

// Address implements [remote.Transport].
func (t *Transport) Address() string { return t.address }

func (t *Transport) peer(instance string) *peer {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.peers[instance]
}

func (t *Transport) isClosed() bool {
	select {
	case <-t.closing:
		return true
	default:
		return false
	}
}

// Dial implements [remote.Transport].
func (t *Transport) Dial(members []remote.Member) {
	for _, p := range t.setPeers(t.cfg.Handler.Self().Member.Instance, members) {
		p.giveUp(true)
	}
}

// GiveUp implements [remote.Transport].
func (t *Transport) GiveUp(instance string) {
	if p := t.peer(instance); p != nil && !p.client {
		for _, f := range p.queue.forsake() {
			f.Done()
		}
	}
}

// setPeers makes peers of these members and ends all others. It returns those that have no run to give up their frames.
func (t *Transport) setPeers(self string, members []remote.Member) (removed []*peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	wanted := map[string]bool{}
	for _, m := range members {
		if m.Instance == self || m.Address == "" {
			continue
		}
		wanted[m.Instance] = true
		if p := t.peers[m.Instance]; p != nil && !p.client {
			p.move(m.Address)
			continue
		} else if p != nil {
			t.removeClient(p)
			removed = append(removed, p)
		}
		t.keep(m)
	}
	for _, p := range t.peers {
		if !p.client && !wanted[p.instance] {
			p.queue.close()
			p.stop()
			delete(t.peers, p.instance)
			t.leaving[p.instance] = p
		}
	}
	return removed
}

// keep begins to keep a connection to a member. The caller holds the lock.
func (t *Transport) keep(m remote.Member) {
	p := t.newPeer(m.Instance, m.Address, false)
	t.peers[m.Instance] = p
	earlier := make(chan struct{})
	if before := t.leaving[m.Instance]; before != nil {
		earlier = before.stopped
	} else {
		close(earlier)
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.living)
	t.running.Go(func() { p.run(ctx, earlier) })
}

// removeClient ends a client whose name a member takes. The caller holds the lock.
func (t *Transport) removeClient(p *peer) {
	p.queue.close()
	p.forget()
	delete(t.peers, p.instance)
	if s := t.incoming[p.instance]; s != nil {
		s.end(errRemoved)
	}
}

// Send implements [remote.Transport].
func (t *Transport) Send(instance string, f remote.Frame) bool {
	p := t.peer(instance)
	return p != nil && p.queue.push(f)
}

// Probe implements [remote.Transport].
func (t *Transport) Probe(ctx context.Context, address string) (remote.Hello, error) {
	if t.isClosed() {
		return remote.Hello{}, fmt.Errorf("probe %s: %w", address, errClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.dialing, cancel)()
	l, h, err := t.dial(ctx, address, wire.Hello{Hello: t.self(), Probe: true})
	if err != nil {
		t.refusals.counted(err)
		return remote.Hello{}, fmt.Errorf("probe %s: %w", address, err)
	}
	l.close()
	return h, nil
}

// Status implements [remote.Transport].
func (t *Transport) Status() []remote.PeerStatus {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]remote.PeerStatus, 0, len(t.peers))
	for _, p := range t.peers {
		s := p.status()
		if in := t.incoming[p.instance]; in != nil && !p.client {
			s.Received += in.received.Load()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b remote.PeerStatus) int { return strings.Compare(a.Instance, b.Instance) })
	return all
}

// Refused implements [remote.Transport].
func (t *Transport) Refused() map[string]uint64 { return t.refusals.counts() }

// Close implements [remote.Transport].
func (t *Transport) Close() error {
	t.once.Do(t.close)
	return nil
}

// close ends everything: first what is on its way, then what is left after closeTime.
func (t *Transport) close() {
	t.mu.Lock()
	t.closed = true
	peers, sessions := slices.Collect(maps.Values(t.peers)), slices.Collect(maps.Values(t.incoming))
	t.mu.Unlock()
	for _, p := range peers {
		p.queue.close()
	}
	close(t.closing)
	t.stopDialing()
	force := time.AfterFunc(closeTime, func() {
		t.stopLiving()
		for _, s := range sessions {
			s.conn.kill(errClosed)
		}
	})
	for _, s := range sessions {
		<-s.ended
	}
	if t.server != nil {
		t.server.Stop()
	}
	t.running.Wait()
	force.Stop()
	t.stopLiving()
	for _, p := range peers {
		p.forget()
		p.giveUp(true)
	}
}
