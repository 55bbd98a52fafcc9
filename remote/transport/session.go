package transport

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

const (
	handshakeTime = 3 * time.Second        // from the first packet to the hellos
	aliveEvery    = 2 * time.Second        // at least so often each end says something
	silence       = 5 * time.Second        // after which a connection is gone
	linger        = 200 * time.Millisecond // for the last words of a session to arrive
	ackDelay      = time.Millisecond       // in which acknowledgements gather
	closedKind    = "closed"               // of an end that refuses nothing
	unencodable   = "frame was not encoded"
)

var (
	errSilent   = errors.New("no hello came in time") //nolint:gochecknoglobals // sentinels
	errClosed   = errors.New("closed")
	errReplaced = errors.New("the peer made another connection")
	errRemoved  = errors.New("no member any more")
	errMoved    = errors.New("the member has another address")
)

// session is one stream after the hellos. It has a writer, the goroutine that calls serve, and a reader.
type session struct {
	t        *Transport
	stream   stream
	conn     *conn
	hello    remote.Hello   // of the peer
	queue    *queue         // for the peer; nil if it is reached over a connection of ours
	receives bool           // frames for the handler come
	received *atomic.Uint64 // counts them
	acks     acks

	once    sync.Once
	cause   error         // set before closing is closed
	closing chan struct{} // the session is to end
	ended   chan struct{} // of an accepted one: the next of this peer may begin

	batch []entry // only the writer touches it
}

func (t *Transport) newSession(s stream, c *conn, hello remote.Hello) *session {
	return &session{
		t: t, stream: s, conn: c, hello: hello, received: new(atomic.Uint64),
		acks: acks{wake: make(chan struct{}, 1)}, closing: make(chan struct{}), ended: make(chan struct{}),
	}
}

// end ends the session, for the first cause that there is.
func (s *session) end(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.closing)
		s.conn.closeAfter(linger, cause) // also frees a writer that waits for a peer that does not read
	})
}

// serve moves frames until the session ends, and returns why.
func (s *session) serve() error {
	read := make(chan struct{})
	go func() {
		defer close(read)
		err := s.read()
		s.end(err)
		if _, ok := err.(told); ok { //nolint:errorlint // read wraps it in nothing
			s.conn.kill(err)
		}
		s.drain()
	}()
	s.end(s.write())
	<-read
	s.conn.kill(s.cause)
	s.acks.close()
	return s.cause
}

// told is a cause that the peer gave: it is not told in turn.
type told struct{ error }

func (t told) Unwrap() error { return t.error }

// drain waits for the peer to end the stream, so that it hears the last words.
func (s *session) drain() {
	for {
		var m mem.BufferSlice
		if s.stream.RecvMsg(&m) != nil {
			return
		}
		m.Free()
	}
}

// refuse is why this end ends the session.
func (s *session) refuse(kind string, reason any) *remote.RefusedError {
	return &remote.RefusedError{Peer: s.hello.Member.Instance, Kind: kind, Reason: fmt.Sprint(reason)}
}

// lost says why a stream broke.
func (s *session) lost(err error) error {
	switch {
	case status.Code(err) == codes.ResourceExhausted:
		return s.refuse(remote.RefusedSize, status.Convert(err).Message())
	case s.conn.failure() != nil:
		return s.conn.failure()
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// read takes what comes until something is wrong with it, or the peer ends.
func (s *session) read() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.refuse(remote.RefusedPanic, p)
		}
	}()
	r := wire.NewReader(s.t.cfg.MaxFrame)
	var pieces [][]byte
	for m := new(mem.BufferSlice); ; {
		if err := s.stream.RecvMsg(m); err != nil {
			return s.lost(err)
		}
		pieces = pieces[:0]
		for _, b := range *m {
			pieces = append(pieces, b.ReadOnlyData())
		}
		r.Reset(pieces)
		err := s.readFrames(r)
		m.Free()
		if err != nil {
			return err
		}
	}
}

// readFrames takes the frames of one message.
func (s *session) readFrames(r *wire.Reader) error {
	for {
		f, ok, err := r.Next()
		if err == nil && ok {
			err = s.take(f)
		}
		if errors.Is(err, wire.ErrFormat) {
			return s.refuse(remote.RefusedFrame, err)
		}
		if err != nil || !ok {
			return err
		}
	}
}

// take does what a frame says.
func (s *session) take(f wire.Frame) error {
	switch f.Kind {
	case wire.KindPlain, wire.KindTracked:
		if !s.receives {
			return s.refuse(remote.RefusedFrame, "data came where only acknowledgements do")
		}
		var done func()
		if f.Kind == wire.KindTracked {
			done = s.acks.done(f.Number)
		}
		s.received.Add(1)
		if err := s.t.cfg.Handler.Receive(s.hello, f.Body, done); err != nil {
			return s.refuse(remote.RefusedByHandler, err)
		}
		return nil
	case wire.KindDone:
		return s.takeDone(f.Body)
	case wire.KindEnd:
		kind, reason, err := wire.ParseEnd(f.Body)
		switch {
		case err != nil:
			return err
		case kind == closedKind:
			return told{errors.New("the peer ended the connection: " + reason)}
		}
		return told{refusedBy(s.hello.Member.Instance, kind, reason)}
	case wire.KindAlive:
		return nil
	default:
		return s.refuse(remote.RefusedFrame, fmt.Sprintf("a frame of kind %d came behind the hellos", f.Kind))
	}
}

func (s *session) takeDone(body []byte) error {
	ranges, err := wire.ParseDone(nil, body)
	if err != nil {
		return err
	}
	if s.queue == nil {
		return s.refuse(remote.RefusedFrame, "an acknowledgement came where nothing is sent")
	}
	done, ok := s.queue.done(nil, ranges...)
	for _, f := range done {
		f.Done()
	}
	if !ok {
		return s.refuse(remote.RefusedFrame, "an acknowledgement came of what was not sent")
	}
	return nil
}
