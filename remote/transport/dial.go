package transport

import (
	"context"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

// link is a connection that this end made, with its one stream.
type link struct {
	conn   *conn
	id     identity
	client *grpc.ClientConn
	stream grpc.ClientStream
	cancel context.CancelFunc
}

func (l *link) close() {
	l.conn.kill(errClosed) // first: gRPC would wait for its own last words
	if l.client != nil {
		l.cancel()
		_ = l.client.Close() // it has nothing left to close
	}
}

// dial connects to an address, says hello and receives the answer, within handshakeTime.
func (t *Transport) dial(ctx context.Context, address string, hello wire.Hello) (*link, remote.Hello, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTime, errSilent)
	defer cancel()
	raw, err := (&net.Dialer{Control: t.guard()}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, remote.Hello{}, err
	}
	peer := hello.Intended
	if peer == "" {
		peer = address
	}
	l := &link{conn: newConn(raw)}
	stop := context.AfterFunc(ctx, func() { l.conn.kill(context.Cause(ctx)) })
	answer, err := t.introduce(ctx, l, peer, hello)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.close()
		return nil, answer, unanswered(ctx, l, peer, err)
	}
	l.conn.greet()
	return l, answer, nil
}

// introduce makes a stream over a new connection, and exchanges hellos.
func (t *Transport) introduce(ctx context.Context, l *link, peer string, hello wire.Hello) (remote.Hello, error) {
	over, err := t.secure(ctx, l.conn, clientEnd)
	if err != nil {
		l.conn.fail(err)
		return remote.Hello{}, err
	}
	l.id = identityOf(over)
	if err := t.open(l, &watched{Conn: over, conn: l.conn}); err != nil {
		return remote.Hello{}, err
	}
	return t.greet(l, peer, hello)
}

// greet says hello. An answer that is refused is told so.
func (t *Transport) greet(l *link, peer string, hello wire.Hello) (remote.Hello, error) {
	_ = sendHello(l.stream, hello) // if it fails, so does what follows, which knows why
	answer, err := receiveHello(l.stream, peer)
	if err != nil {
		return answer.Hello, err
	}
	self := hello.Hello
	var refused *remote.RefusedError
	switch {
	case hello.Probe:
		refused = stranger(self, answer.Hello, l.id)
	case answer.Member.Instance != hello.Intended || answer.Client:
		refused = refusal(peer, remote.RefusedInstance, "instance %q is at this address, not %q", answer.Member.Instance, hello.Intended)
	default:
		refused = t.judge(self, answer.Hello, l.id)
	}
	if refused == nil {
		return answer.Hello, nil
	}
	s := t.newSession(l.stream, l.conn, answer.Hello)
	s.end(s.refuse(refused.Kind, refused.Reason))
	_ = s.farewell(s.cause) // it is returned below
	s.drain()
	return answer.Hello, refused
}

// unanswered says why there was no answer.
func unanswered(ctx context.Context, l *link, peer string, err error) error {
	var refused *remote.RefusedError
	cause := l.conn.failure()
	if ctx.Err() != nil {
		cause = context.Cause(ctx) // and the rest came of it
	}
	switch {
	case errors.As(err, &refused):
		return refused
	case cause == errSilent:
		return refusal(peer, remote.RefusedSilent, "no answer within %v", handshakeTime)
	case isTLS(cause):
		return refusal(peer, remote.RefusedTLS, "%v", cause)
	case cause != nil && cause != errClosed:
		return cause
	}
	return refusal(peer, remote.RefusedProtocol, "%s", status.Convert(err).Message())
}

// watched notes the errors of TLS, which the connection below it does not see.
type watched struct {
	net.Conn
	conn *conn
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.conn.fail(err)
	}
	return n, err
}

// open opens a stream over a connection, which is used for nothing else.
func (t *Transport) open(l *link, over net.Conn) error {
	var once sync.Once
	dialer := func(context.Context, string) (c net.Conn, err error) {
		err = errors.New("the connection is gone")
		once.Do(func() { c, err = over, nil })
		return c, err
	}
	options := append(t.dialOptions(), grpc.WithContextDialer(dialer), grpc.WithTransportCredentials(insecure.NewCredentials()))
	client, err := grpc.NewClient("passthrough:///peer", options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background()) // link.close ends it
	l.client, l.cancel = client, cancel
	l.stream, err = l.client.NewStream(ctx, &grpc.StreamDesc{StreamName: streamName, ServerStreams: true, ClientStreams: true},
		"/"+serviceName+"/"+streamName)
	return err
}
