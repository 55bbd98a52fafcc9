package transport

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

// accepted is what a stream knows of its connection.
type accepted struct {
	credentials.CommonAuthInfo
	conn *conn
	id   identity
}

// AuthType implements [credentials.AuthInfo].
func (accepted) AuthType() string { return "tls" }

// handshakes makes TLS of accepted connections.
type handshakes struct {
	credentials.TransportCredentials // of the other end, which is not used
	t                                *Transport
}

// ServerHandshake implements [credentials.TransportCredentials].
func (h handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := raw.(*conn)
	if !ok {
		return nil, nil, fmt.Errorf("accept a connection of type %T", raw)
	}
	// The listener's timer closes the connection when this takes too long.
	over, err := h.t.secure(context.Background(), c, serverEnd)
	if err != nil {
		c.fail(&remote.RefusedError{Kind: remote.RefusedTLS, Reason: err.Error()})
		return nil, nil, err
	}
	return over, accepted{conn: c, id: identityOf(over)}, nil
}

// Info implements [credentials.TransportCredentials].
func (handshakes) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// gone counts an accepted connection that closes before its hello was judged.
func (t *Transport) gone(c *conn) {
	if !c.judge() || t.isClosed() {
		return
	}
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String()) // the port is another each time
	cause := c.failure()
	var refused *remote.RefusedError
	switch {
	case errors.As(cause, &refused):
		t.refusals.refused(refusal(host, refused.Kind, "%s", refused.Reason))
	case cause == errSilent:
		t.refusals.refused(refusal(host, remote.RefusedSilent, "no hello within %v", handshakeTime))
	default:
		t.refusals.refused(refusal(host, remote.RefusedProtocol, "it closed before a hello"))
	}
}

// accept is the handler of a stream that a peer opens.
func (t *Transport) accept(_ any, s grpc.ServerStream) (err error) {
	from, _ := grpcpeer.FromContext(s.Context())
	a, ok := from.AuthInfo.(accepted)
	if !ok || !a.conn.claim() {
		return status.Error(codes.FailedPrecondition, "a connection has one stream")
	}
	host, _, _ := net.SplitHostPort(a.conn.RemoteAddr().String())
	defer func() {
		if p := recover(); p != nil {
			a.conn.judge()
			t.refusals.refused(refusal(host, remote.RefusedPanic, "%v", p))
			err = status.Error(codes.Internal, "panic")
		}
	}()
	hello, err := receiveHello(s, host)
	self := t.self()
	var refused *remote.RefusedError
	switch {
	case errors.As(err, &refused):
	case err != nil:
		return nil // the connection closes, and is counted as one that said nothing
	case hello.Probe:
		if refused = stranger(self, hello.Hello, a.id); refused == nil {
			a.conn.judge()
			return sendHello(s, wire.Hello{Hello: self})
		}
	default:
		refused = t.judgeDialer(self, hello, a.id)
	}
	if refused == nil {
		return t.welcome(s, a, self, hello.Hello)
	}
	a.conn.judge()
	t.refusals.refused(refused)
	return s.SendMsg(smallMessage(wire.AppendEnd(nil, refused.Kind, refused.Reason)))
}

// judgeDialer checks the hello of a dialer; nil: it is taken.
func (t *Transport) judgeDialer(self remote.Hello, h wire.Hello, id identity) *remote.RefusedError {
	peer := h.Member.Instance
	if e := stranger(self, h.Hello, id); e != nil {
		return e
	}
	if h.Intended != self.Member.Instance {
		return refusal(peer, remote.RefusedInstance, "this is instance %q, not %q", self.Member.Instance, h.Intended)
	}
	if p := t.peer(peer); h.Client && p != nil && !p.client {
		return refusal(peer, remote.RefusedInstance, "a client goes by the name of member %q", peer)
	}
	return t.judge(self, h.Hello, id)
}

// enter makes a session the one of its peer. An earlier one has ended then: frames of two never mix.
func (t *Transport) enter(s *session) bool {
	instance := s.hello.Member.Instance
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return false
	}
	earlier := t.incoming[instance]
	t.incoming[instance] = s
	t.mu.Unlock()
	if earlier != nil {
		earlier.end(errReplaced)
		earlier.conn.kill(errReplaced)
		<-earlier.ended
	}
	return true
}

// leave makes way for the next session of a peer.
func (t *Transport) leave(s *session) {
	t.mu.Lock()
	if instance := s.hello.Member.Instance; t.incoming[instance] == s {
		delete(t.incoming, instance)
	}
	p := t.peers[s.hello.Member.Instance]
	t.mu.Unlock()
	if p != nil && s.received != &p.received {
		p.received.Add(s.received.Load())
	}
	close(s.ended)
}

// welcome answers a dialer and serves its stream.
func (t *Transport) welcome(stream grpc.ServerStream, a accepted, self, hello remote.Hello) error {
	s := t.newSession(stream, a.conn, hello)
	s.receives = true
	if !t.enter(s) {
		return status.Error(codes.Unavailable, "closed")
	}
	defer t.leave(s)
	if err := sendHello(stream, wire.Hello{Hello: self}); err != nil {
		return err
	}
	a.conn.greet()
	var cause error
	if hello.Client {
		cause = t.serveClient(s)
	} else {
		if p := t.peer(hello.Member.Instance); p != nil {
			signal(p.retry) // it is there
		}
		cause = s.serve()
	}
	var refused *remote.RefusedError
	if errors.As(cause, &refused) {
		t.refusals.refused(refused)
	}
	return nil
}
