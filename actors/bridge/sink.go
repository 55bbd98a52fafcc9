package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf"
)

// answerTime is how long an actor may take over a result before it is offered again.
const answerTime = 10 * time.Second

// Sink gives the result of every epoch to an actor: it requests a [sheaf.Result], which the actor answers with [Taken]
// once it has taken it. A result that is not answered in ten seconds, or is answered with anything else, is offered
// again, as after a crash: the actor ignores an epoch that is not above the last it took, and answers it with Taken all
// the same. An error as the answer is the reason that Status shows.
func Sink[R any](system *actor.ActorSystem, pid *actor.PID) sheaf.Sink[R] {
	return &sink[R]{system: system, pid: pid}
}

type sink[R any] struct {
	system *actor.ActorSystem
	pid    *actor.PID
}

// Emit requests and waits for the answer. It receives that by an actor of its own: a future can wait for no context.
func (s *sink[R]) Emit(ctx context.Context, r sheaf.Result[R]) error {
	answers := make(chan any, 1)
	ear := s.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		default:
			select {
			case answers <- m:
			default: // one answer counts
			}
		}
	}))
	defer s.system.Root.Stop(ear)
	s.system.Root.RequestWithCustomSender(s.pid, r, ear)
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case m := <-answers:
		return s.judge(r.Epoch, m)
	case <-timer.C:
		return s.failed(r.Epoch, fmt.Sprintf("no answer in %v", answerTime))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// judge says what an answer means.
func (s *sink[R]) judge(e sheaf.Epoch, answer any) error {
	switch m := answer.(type) {
	case Taken:
		if m.Epoch == e {
			return nil
		}
		return s.failed(e, fmt.Sprintf("it answered for epoch %d", m.Epoch))
	case *actor.DeadLetterResponse:
		return s.failed(e, "there is no such actor")
	case error:
		return fmt.Errorf("%w: %w", s.failed(e, "it answered with an error"), m)
	}
	return &MessageError{Got: fmt.Sprintf("%T", answer), Want: fmt.Sprintf("%T", Taken{})}
}

func (s *sink[R]) failed(e sheaf.Epoch, reason string) error {
	return &UndeliveredError{PID: s.pid.Id, Epoch: e, Reason: reason}
}
