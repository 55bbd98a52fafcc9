package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

const (
	minWait = 20 * time.Millisecond // between two tries to connect
	maxWait = 3 * time.Second
	// clientGrace is how long frames for a client that is gone are kept.
	clientGrace = 30 * time.Second
)

// peer is a member that this end keeps a connection to, or a client that made one.
type peer struct {
	t        *Transport
	instance string
	client   bool
	queue    *queue
	received atomic.Uint64
	retry    chan struct{}      // has room for one: try now
	stop     context.CancelFunc // ends run
	stopped  chan struct{}      // run has ended

	mu          sync.Mutex // guards what follows
	address     string
	incarnation uuid.UUID   // of the last connection
	session     *session    // nil: it is not up
	err         error       // why
	visits      int         // of a client
	expiry      *time.Timer // forgets a client that is gone
}

func (t *Transport) newPeer(instance, address string, client bool) *peer {
	return &peer{
		t: t, instance: instance, client: client, address: address, queue: newQueue(t.cfg.MaxQueue),
		retry: make(chan struct{}, 1), stopped: make(chan struct{}), err: errors.New("not connected yet"),
	}
}

// run keeps a connection to a member until it is none any more. Before it begins, an earlier run for the same instance
// has ended.
func (p *peer) run(ctx context.Context, earlier <-chan struct{}) {
	defer p.left()
	<-earlier
	defer p.giveUp(true)
	for wait := minWait; ctx.Err() == nil && !p.t.isClosed(); wait = min(2*wait, maxWait) {
		held, err := p.connect(ctx)
		if ctx.Err() != nil || p.t.isClosed() {
			return
		}
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		p.t.refusals.failed(p.instance, err)
		if refused := new(remote.RefusedError); held > 0 && (held > wait || !errors.As(err, &refused)) {
			wait = minWait // it broke: the peer may be there at once
		}
		p.pause(ctx, wait/2+rand.N(wait))
	}
}

// left says that run has ended.
func (p *peer) left() {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	if p.t.leaving[p.instance] == p {
		delete(p.t.leaving, p.instance)
	}
	close(p.stopped)
}

// pause waits between two tries.
func (p *peer) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.retry:
	case <-ctx.Done():
	case <-p.t.closing:
	}
}

// connect makes one connection, serves it until it ends, and returns how long it held and why it ended.
func (p *peer) connect(ctx context.Context) (held time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = refusal(p.instance, remote.RefusedPanic, "%v", r)
		}
	}()
	dialing, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.t.dialing, cancel)()
	p.mu.Lock()
	address := p.address
	p.mu.Unlock()
	l, answer, err := p.t.dial(dialing, address, wire.Hello{Hello: p.t.self(), Intended: p.instance})
	if err != nil {
		return 0, err
	}
	defer l.close()
	s := p.t.newSession(l.stream, l.conn, answer)
	s.receives = p.t.cfg.Listen == ""
	defer context.AfterFunc(ctx, func() { s.end(errRemoved) })()
	began := time.Now()
	err = p.serve(s, address)
	return time.Since(began), err
}

// serve moves the frames of this peer over a session, and returns why it ended.
func (p *peer) serve(s *session, address string) error {
	s.queue, s.received = p.queue, &p.received
	if p.begin(s, address) {
		p.giveUp(false)
	}
	p.t.refusals.connected(p.instance)
	p.queue.connected()
	defer p.finish(nil) // also when the handler panics
	p.t.cfg.Handler.Up(s.hello)
	cause := s.serve()
	p.finish(cause)
	p.t.cfg.Handler.Down(s.hello, cause)
	return cause
}

// finish ends what begin began.
func (p *peer) finish(cause error) {
	p.mu.Lock()
	if p.session = nil; cause != nil {
		p.err = cause
	}
	p.mu.Unlock()
	p.queue.disconnected()
}

// begin makes a session the peer's, and reports whether it is with another incarnation than the one before.
func (p *peer) begin(s *session, address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.address != address {
		s.end(errMoved)
	}
	before := p.incarnation
	p.incarnation, p.session, p.err = s.hello.Member.Incarnation, s, nil
	return before != uuid.Nil && before != p.incarnation
}

// move changes where the peer is dialed.
func (p *peer) move(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.address == address {
		return
	}
	p.address = address
	if p.session != nil {
		p.session.end(errMoved)
	}
	signal(p.retry)
}

// giveUp is done with all frames that wait. After the last time no more are taken.
func (p *peer) giveUp(last bool) {
	for _, f := range p.queue.giveUp(last) {
		f.Done()
	}
}

// serveClient serves the session of a client, whose frames go over it too.
func (t *Transport) serveClient(s *session) error {
	p := t.clientPeer(s.hello.Member.Instance)
	if p == nil {
		s.end(errClosed)
		return s.serve()
	}
	cause := p.serve(s, "")
	if t.peer(p.instance) != p { // a member has taken the name
		p.giveUp(true)
		return cause
	}
	p.mu.Lock()
	visits := p.visits
	p.expiry = time.AfterFunc(clientGrace, func() { t.expire(p, visits) })
	p.mu.Unlock()
	return cause
}

// clientPeer returns the peer of a client, a new one if need be; nil if the transport is closed or a member has the name.
func (t *Transport) clientPeer(instance string) *peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[instance]
	switch {
	case t.closed, p != nil && !p.client:
		return nil
	case p == nil:
		p = t.newPeer(instance, "", true)
		t.peers[instance] = p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visits++
	if p.expiry != nil {
		p.expiry.Stop()
	}
	return p
}

// expire forgets a client that did not come back after so many visits.
func (t *Transport) expire(p *peer, visits int) {
	t.mu.Lock()
	p.mu.Lock()
	gone := p.visits == visits && t.peers[p.instance] == p
	if gone {
		delete(t.peers, p.instance)
	}
	p.mu.Unlock()
	t.mu.Unlock()
	if gone {
		p.giveUp(true)
	}
}

// forget stops what waits for a client that is gone.
func (p *peer) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visits++
	if p.expiry != nil {
		p.expiry.Stop()
	}
}

// status describes the peer.
func (p *peer) status() remote.PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := remote.PeerStatus{Instance: p.instance, Address: p.address, Up: p.session != nil, Received: p.received.Load(), Err: p.err}
	p.queue.status(&s)
	return s
}
