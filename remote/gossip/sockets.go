package gossip

import (
	"context"
	"log"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/sheaf-go/sheaf/remote"
)

// sockets are memberlist's, with an end: they close the connections that are open when they are shut down, whose handlers
// would else stay for ten seconds, and know of the probe that is under way. Without a key they call nobody off loopback
// (I12).
type sockets struct {
	*memberlist.NetTransport
	advertise netip.AddrPort
	dialer    net.Dialer
	accepted  chan net.Conn
	stop      context.CancelFunc // ends dials and accept
	ctx       context.Context
	tasks     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	open   map[*conn]bool
	shut   bool
	probed time.Time  // when a probe that is under way will be over
	health func() int // memberlist's health score; nil before it is created
}

var _ memberlist.NodeAwareTransport = (*sockets)(nil)

// conn is a connection that is closed when its sockets are.
type conn struct {
	net.Conn
	of *sockets
}

// tries is how often a free port is looked for: one of TCP need not be one of UDP.
const tries = 10

func listen(w where, log *log.Logger) (*sockets, error) {
	cfg := &memberlist.NetTransportConfig{BindPort: int(w.listen.Port()), Logger: log}
	cfg.BindAddrs = []string{""}
	if ip := w.listen.Addr(); ip.IsValid() {
		cfg.BindAddrs[0] = ip.String()
	}
	t, err := memberlist.NewNetTransport(cfg)
	for n := 1; err != nil && cfg.BindPort == 0 && n < tries; n++ {
		t, err = memberlist.NewNetTransport(cfg)
	}
	if err != nil {
		return nil, err
	}
	s := &sockets{NetTransport: t, advertise: w.advertise, accepted: make(chan net.Conn), open: map[*conn]bool{}}
	if s.advertise.Port() == 0 {
		s.advertise = netip.AddrPortFrom(w.advertise.Addr(), uint16(t.GetAutoBindPort()))
	}
	if w.bare {
		s.dialer.Control = onLoopback
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.tasks.Go(s.accept)
	return s, nil
}

func onLoopback(_, address string, _ syscall.RawConn) error {
	if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().Unmap().IsLoopback() {
		return &remote.ExposedError{Address: address, Gossip: true}
	}
	return nil
}

// accept hands connections on, until the sockets are shut down.
func (s *sockets) accept() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case c := <-s.NetTransport.StreamCh():
			select {
			case s.accepted <- s.keep(c):
			case <-s.ctx.Done():
				_ = c.Close()
			}
		}
	}
}

// keep remembers a connection, to close it.
func (s *sockets) keep(c net.Conn) net.Conn {
	k := &conn{c, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		_ = c.Close()
	} else {
		s.open[k] = true
	}
	return k
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// StreamCh implements [memberlist.Transport].
func (s *sockets) StreamCh() <-chan net.Conn { return s.accepted }

// FinalAdvertiseAddr implements [memberlist.Transport].
func (s *sockets) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return s.advertise.Addr().AsSlice(), int(s.advertise.Port()), nil
}

// DialTimeout implements [memberlist.Transport].
func (s *sockets) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	c, err := s.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return s.keep(c), nil
}

// DialAddressTimeout implements [memberlist.NodeAwareTransport].
func (s *sockets) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return s.DialTimeout(a.Addr, timeout)
}

// probe is called by a probe whose first ping was not answered, and which may wait for some seconds more. Memberlist does
// not wait for it when it is shut down. Past that moment it ends here: it holds no lock.
func (s *sockets) probe(string) bool {
	s.mu.Lock()
	shut := s.shut
	if score := 0; !shut {
		if s.health != nil {
			score = s.health()
		}
		s.probed = time.Now().Add(time.Duration(score+1) * probeInterval)
	}
	s.mu.Unlock()
	if shut {
		runtime.Goexit()
	}
	return false // it is to try TCP too
}

// watch says how well memberlist is, which scales how long its probes wait.
func (s *sockets) watch(health func() int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = health
}

// settle waits for the probe that was under way when memberlist was shut down.
func (s *sockets) settle() {
	s.mu.Lock()
	over := s.probed
	s.mu.Unlock()
	<-time.After(time.Until(over))
}

// Shutdown implements [memberlist.Transport]. The listeners go first: they may wait for accept to take a connection.
func (s *sockets) Shutdown() error {
	err := s.NetTransport.Shutdown()
	s.stop()
	s.tasks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	for c := range s.open {
		_ = c.Conn.Close()
	}
	clear(s.open)
	return err
}
