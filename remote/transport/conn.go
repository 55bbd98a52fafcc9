package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a TCP connection that ends when nothing was heard for a while, and that knows why it ended.
type conn struct {
	net.Conn
	alive atomic.Bool // the hellos are exchanged: silence ends it
	armed time.Time   // when the deadline was last moved; only the reader touches it

	mu      sync.Mutex // guards what follows
	cause   error      // the first there was
	claimed bool       // it has its one stream
	judged  bool       // it was taken or refused, and counted
	closed  bool
	onClose func(*conn)
	timer   *time.Timer
}

func newConn(raw net.Conn) *conn { return &conn{Conn: raw} }

// Read moves the deadline before it waits. The other end is heard at least every aliveEvery while it lives.
func (c *conn) Read(b []byte) (int, error) {
	if c.alive.Load() {
		if now := time.Now(); now.Sub(c.armed) > aliveEvery/4 {
			c.armed = now
			if err := c.SetReadDeadline(now.Add(silence)); err != nil {
				return 0, err
			}
		}
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.fail(err)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.fail(err)
	}
	return n, err
}

// fail notes why the connection ends.
func (c *conn) fail(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
	}
}

// failure returns why the connection ended; nil if nothing says so.
func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// closeAfter closes the connection for this reason, unless greet or another closeAfter comes first.
func (c *conn) closeAfter(d time.Duration, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if !c.closed {
		c.timer = time.AfterFunc(d, func() { c.kill(cause) })
	}
}

// claim takes the one stream of a connection.
func (c *conn) claim() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.claimed
	c.claimed = true
	return first
}

// judge says that the connection was taken or refused; false if it was before.
func (c *conn) judge() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.judged
	c.judged = true
	return first
}

// greet says that the hellos are exchanged.
func (c *conn) greet() {
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.judged = true
	c.mu.Unlock()
	c.alive.Store(true)
	_ = c.SetReadDeadline(time.Now().Add(silence)) // a closed one says so to whoever reads it
}

// kill closes the connection for a reason.
func (c *conn) kill(cause error) {
	c.fail(cause)
	_ = c.Close() // nobody is left to be told
}

// Close closes the connection, once.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	err := c.Conn.Close()
	if c.onClose != nil {
		c.onClose(c)
	}
	return err
}

// listener gives connections that have handshakeTime to be taken.
type listener struct {
	net.Listener
	onClose func(*conn)
}

func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := newConn(raw)
	c.onClose = l.onClose
	c.closeAfter(handshakeTime, errSilent)
	return c, nil
}
