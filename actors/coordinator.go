package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// coordinator is the shell around [CoordinatorRules]: it creates records, keeps time, and carries what the rules say
// to the rest of the instance.
type coordinator struct {
	in      host
	ledger  *backend.Ledger
	rules   *CoordinatorRules
	began   time.Time
	timer   *time.Timer
	at      time.Duration // when the timer fires
	answers map[uint64]func(Answer)
	tickets uint64
	newest  *backend.Record // that was told
	said    beat
	unknown int    // tries at the record in hand that had no outcome
	lacks   string // that is a problem now
	awaits  string // whose fold the next epoch waits for

	given map[farTicket]*Answer // of other instances' questions; nil while there is none
	order []farTicket           // of those that are answered, oldest first: at most maxGiven
}

// farTicket names a question of another instance for ever.
type farTicket struct {
	from   vnode.Member
	ticket uint64
}

// farAsk is such a question.
type farAsk struct {
	from    vnode.Member
	request Request
}

// maxGiven is how many answers are kept for questions that may come again.
const maxGiven = 256

// host is what the coordinator needs of its instance.
type host interface {
	// proclaim tells everybody of a record that stands.
	proclaim(rec *backend.Record, sealed bool)
	// say takes what is to be repeated, and tells everybody at once if it is news.
	say(b beat, news bool)
	// reply answers a question.
	reply(to vnode.Member, a Answer)
	// awaits says whose fold the next epoch waits for; empty if it waits for none.
	awaits(fold string)
	// abandoned tells why an attempt did not fill.
	abandoned(why error)
	// resign ends the reign, and stop the instance.
	resign(why error, standing *backend.Record)
	stop(err error)
	// changed says how many vnodes hold changes that no capture holds.
	changed() int64
	// background runs a step of I/O; it must end when the context does.
	background(func(ctx context.Context))
	troubles() *troubles
}

// Messages to the coordinator, beside CutNamed, Captured and *backend.Fold.
type (
	begin struct {
		newest  *backend.Record
		waiting []Waiting
		self    vnode.Member
		cluster Cluster
		limits  CoordinatorLimits
	}
	tick    struct{}
	outcome struct {
		outcome backend.Outcome
		winner  *backend.Record
	}
	want          struct{}
	demand        struct{}
	conclude      struct{}
	captureFailed struct{ attempt vnode.Attempt }
	working       struct{ attempt vnode.Attempt }
	emitted       struct{ epoch vnode.Epoch }
	published     struct{ floor uint64 }
)

func (c *coordinator) Receive(ctx actor.Context) {
	if c.rules != nil {
		c.rules.Clock(c.now())
	}
	switch m := ctx.Message().(type) {
	case begin:
		var effects []Effect
		c.rules, effects = NewCoordinatorRules(m.self, m.cluster, m.limits, m.newest, m.waiting, c.now())
		c.newest = m.newest
		c.carry(ctx, effects)
	case tick:
		c.at = 0
		c.carry(ctx, c.rules.Tick(c.now()))
	case outcome:
		c.unknown++
		if m.outcome != backend.Unknown {
			c.unknown = 0
		}
		c.carry(ctx, c.rules.Outcome(m.outcome, m.winner))
	case farAsk:
		c.askedFar(ctx, m)
	case Claimed:
		c.carry(ctx, c.rules.Claim(m))
	case *backend.Record:
		c.carry(ctx, c.rules.Learn(m))
	case want:
		// An open attempt captures what changed before its barriers; its seal asks whether anything did behind them.
		if !c.rules.Trying() {
			c.carry(ctx, c.rules.Want())
		}
	case demand:
		c.carry(ctx, c.rules.Demand())
	case conclude:
		c.carry(ctx, c.rules.Conclude())
	case CutNamed:
		c.carry(ctx, c.rules.Cut(m))
	case Captured:
		c.carry(ctx, c.rules.Captured(m))
	case captureFailed:
		c.carry(ctx, c.rules.CaptureFailed(m.attempt))
	case working:
		c.rules.Working(m.attempt)
		c.say()
	case emitted:
		c.carry(ctx, c.rules.Emitted(m.epoch))
	case published:
		c.rules.Published(m.floor)
	case *backend.Fold:
		c.carry(ctx, c.rules.Folded(m))
	case *actor.Stopping:
		if c.timer != nil {
			c.timer.Stop()
		}
	}
}

const sealEpoch = "seal an epoch"

func (c *coordinator) now() time.Duration { return time.Since(c.began) }

func (c *coordinator) carry(ctx actor.Context, effects []Effect) {
	for _, e := range effects {
		switch {
		case e.Append != nil:
			c.append(ctx, e.Append)
		case e.Publish != nil:
			c.newest = e.Publish
			c.in.proclaim(e.Publish, e.Sealed)
			if e.Sealed && c.in.changed() > 0 {
				ctx.Send(ctx.Self(), want{})
			}
		case e.Answer != nil:
			c.answers[e.Answer.Ticket](*e.Answer)
			delete(c.answers, e.Answer.Ticket)
		case e.Aborted != nil:
			c.in.abandoned(e.Aborted)
		case e.Stop != nil:
			c.in.resign(e.Stop, e.Standing)
			return
		}
	}
	c.noteLacks(cmp.Or(c.rules.Lacks(), c.rules.Conflict()))
	if fold := c.rules.AwaitsFold(); fold != c.awaits {
		c.awaits = fold
		c.in.awaits(fold)
	}
	c.say()
	c.arm(ctx)
}

// say says where the coordinator stands, once its reign has begun.
func (c *coordinator) say() {
	b := beat{Term: c.newest.Term, Seq: c.newest.Seq, Attempt: c.rules.Open(), AtWork: c.rules.AtWork(), Lacks: c.lacks}
	b.Plan, b.Moving = c.rules.Plan()
	if c.rules.Reigns() && b != c.said {
		news := b.Attempt != c.said.Attempt || b.Lacks != c.said.Lacks || b.Plan != c.said.Plan || b.Moving != c.said.Moving
		c.said = b
		c.in.say(b, news)
	}
}

// noteLacks notes who must come before an epoch can be opened.
func (c *coordinator) noteLacks(err error) {
	c.lacks = ""
	if err != nil {
		c.lacks = err.Error()
	}
}

func (c *coordinator) ask(ctx actor.Context, r Request, answer func(Answer)) {
	c.tickets++
	r.Ticket = c.tickets
	c.answers[c.tickets] = answer
	c.carry(ctx, c.rules.Ask(r))
}

// askedFar takes a question of another instance, which repeats it until it is answered: it is asked once, and answered
// as often as need be.
func (c *coordinator) askedFar(ctx actor.Context, m farAsk) {
	name := farTicket{m.from, m.request.Ticket}
	if given, known := c.given[name]; known {
		if given != nil {
			c.in.reply(m.from, *given)
		}
		return
	}
	if c.given == nil {
		c.given = map[farTicket]*Answer{}
	}
	c.given[name] = nil
	c.ask(ctx, m.request, func(a Answer) {
		a.Ticket = name.ticket
		c.given[name] = &a
		if c.order = append(c.order, name); len(c.order) > maxGiven {
			delete(c.given, c.order[0])
			c.order = c.order[1:]
		}
		c.in.reply(m.from, a)
	})
}

// append tries once to create a record; an unknown outcome makes the rules ask for the same again.
func (c *coordinator) append(ctx actor.Context, rec *backend.Record) {
	if rec.Time.IsZero() {
		rec.Time = time.Now() // once: a record is tried again unchanged
	}
	root, self := ctx.ActorSystem().Root, ctx.Self()
	retry := newBackoff()
	retry.tries = c.unknown
	c.in.background(func(bg context.Context) {
		if retry.tries > 0 && retry.wait(bg) != nil {
			return
		}
		o, winner, err := c.ledger.Append(bg, rec)
		if bg.Err() != nil {
			return
		}
		if errors.Is(err, backend.ErrInvalid) {
			c.in.stop(fmt.Errorf("internal: %w", err))
			return
		}
		if o == backend.Unknown {
			c.in.troubles().failed("create a record", err)
		} else {
			c.in.troubles().fine("create a record")
		}
		root.Send(self, outcome{o, winner})
		_ = c.ledger.Hint(bg) // only a hint is lost
	})
}

// arm sets the timer to when the rules have something to do.
func (c *coordinator) arm(ctx actor.Context) {
	at, ok := c.rules.Deadline()
	if !ok || (c.at != 0 && c.at <= at) {
		return
	}
	c.at = max(at, 1)
	if c.timer != nil {
		c.timer.Stop()
	}
	root, self := ctx.ActorSystem().Root, ctx.Self()
	c.timer = time.AfterFunc(at-c.now(), func() { root.Send(self, tick{}) })
}
