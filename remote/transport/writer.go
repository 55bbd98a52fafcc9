package transport

import (
	"errors"
	"fmt"
	"time"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

// write sends what there is until the session ends, and returns why. When the transport closes, it first sends what waits.
func (s *session) write() error {
	var frames chan struct{}
	if s.queue != nil {
		frames = s.queue.wake
	}
	tick := time.NewTicker(aliveEvery / 2)
	defer tick.Stop()
	for quiet := true; ; {
		sent, err := s.flush()
		if err != nil {
			return s.unsent(err)
		}
		if sent {
			quiet = false
			select {
			case <-s.closing:
				return s.farewell(s.cause)
			default:
				continue
			}
		}
		select {
		case <-s.closing:
			return s.farewell(s.cause)
		case <-s.t.closing:
			return s.farewell(errClosed)
		case <-frames:
		case <-s.acks.wake:
			s.gather(frames)
		case <-tick.C:
			if quiet {
				if err := s.stream.SendMsg(smallMessage(wire.AppendAlive(nil))); err != nil {
					return s.unsent(err)
				}
			}
			quiet = true
		}
	}
}

// gather waits a moment for more acknowledgements, unless frames come with which they can go.
func (s *session) gather(frames <-chan struct{}) {
	delay := time.NewTimer(ackDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-frames:
	case <-s.closing:
	case <-s.t.closing:
	}
}

// flush sends acknowledgements and about one message of frames; false if there were none.
func (s *session) flush() (bool, error) {
	buffer := s.t.buffers.Get(0)
	b, sent := s.acks.append((*buffer)[:0]), 0
	if s.queue != nil {
		s.batch = s.queue.take(s.batch[:0])
	}
	defer clear(s.batch)
	for i, e := range s.batch {
		b = s.encode(b, e)
		if sent++; len(b) < batchBytes || i == len(s.batch)-1 {
			continue
		}
		*buffer = b
		if err := s.stream.SendMsg(s.t.buffers.message(buffer)); err != nil {
			return false, err
		}
		buffer = s.t.buffers.Get(0)
		b = (*buffer)[:0]
	}
	*buffer = b
	if len(b) == 0 {
		s.t.buffers.Put(buffer)
		return sent > 0, nil
	}
	if err := s.stream.SendMsg(s.t.buffers.message(buffer)); err != nil {
		return false, err
	}
	if sent > 0 {
		s.queue.wrote(sent)
	}
	return true, nil
}

// encode appends a frame to b. One that cannot be encoded is left out.
func (s *session) encode(b []byte, e entry) []byte {
	kind := wire.KindPlain
	if e.number > 0 {
		kind = wire.KindTracked
	}
	out, err := appendFrame(wire.Start(b, kind, e.number), e.frame)
	if size := len(out) - len(b) - wire.Overhead; err == nil && size > s.t.cfg.MaxFrame {
		err = fmt.Errorf("%d bytes, at most %d are sent", size, s.t.cfg.MaxFrame)
	}
	if err == nil {
		wire.Finish(out, len(b))
		return out
	}
	s.t.refusals.warn(s.hello.Member.Instance, unencodable, err)
	if e.number > 0 {
		done, _ := s.queue.done(nil, wire.Range{First: e.number, Last: e.number})
		for _, f := range done {
			f.Done()
		}
	}
	return b
}

// appendFrame encodes a frame behind b. A panic of it is an error.
func appendFrame(b []byte, f remote.Frame) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if out, err = f.Append(b); err == nil && len(out) < len(b) {
		err = errors.New("bytes before it are gone")
	}
	return out, err
}

// unsent returns why something could not be sent. The reader knows better: the stream has ended.
func (s *session) unsent(err error) error {
	s.conn.closeAfter(linger, err)
	<-s.closing
	return err
}

// farewell tells the peer why this end goes, unless that came from there.
func (s *session) farewell(cause error) error {
	kind, reason := closedKind, cause.Error()
	var refused *remote.RefusedError
	switch {
	case errors.As(cause, new(told)):
		return cause
	case errors.As(cause, &refused):
		kind, reason = refused.Kind, refused.Reason
	case cause != errClosed && cause != errRemoved && cause != errMoved:
		return cause // it broke
	}
	if s.stream.SendMsg(smallMessage(wire.AppendEnd(nil, kind, reason))) != nil {
		return cause // it broke too
	}
	return cause
}
