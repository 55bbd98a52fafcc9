package actors_test

import (
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// client begins the ids of processes that own nothing, and are members of nothing: they only send. Each has one of its
// own.
const client = "client"

// client reports whether a process is one.
func (p *process) client() bool { return strings.HasPrefix(p.self.Instance, client) }

// is reports whether a process is of an instance, or one of the clients.
func (p *process) is(id string) bool { return p.self.Instance == id || (id == client && p.client()) }

// beginFollowing starts the rules of a process.
func (p *process) beginFollowing() {
	w := p.w
	role := actors.Role{Client: p.client(), Leads: w.leads(p.self.Instance)}
	if w.elastic != nil && !role.Client {
		role.Elects = &actors.Election{Turn: 5 * turn, Again: 20 * turn, Still: 100 * turn, Outside: 60 * turn, Longest: 2000 * turn, Jitter: w.r.Float64()}
	}
	var effects []actors.FollowerEffect
	p.follow, effects = actors.NewFollowerRules(p.self, role, p.says, p.rec, w.now)
	p.obey(effects)
}

// wakeFollower calls the follower when it asked for it, and only then.
func (p *process) wakeFollower() {
	if at, ok := p.follow.Deadline(); !ok || p.w.now < at {
		return
	}
	p.obey(p.follow.Tick(p.w.now))
	if at, ok := p.follow.Deadline(); ok && at <= p.w.now && p.up {
		failf("liveness: the follower of %s asks to be called at once, again and again", p.w.who(p.self))
	}
}

// obey carries out the follower's effects.
func (p *process) obey(effects []actors.FollowerEffect) {
	w := p.w
	for _, e := range effects {
		switch {
		case e.Publish != nil:
			w.oracle.believed(p, e.Publish)
			p.learn(e.Publish)
			if p.coord != nil && w.mutation != reignsOn {
				p.carry(p.coord.Learn(e.Publish))
			}
		case e.Open != nil:
			p.tellOpen(*e.Open)
		case e.Lead != nil:
			p.lead(e.Lead, *e.Claim)
		case e.Claim != nil:
			p.tellClaim(*e.Claim)
		case e.Call != nil:
			p.call(*e.Call)
		case e.Search:
			w.request(p, p.search)
		case e.Left:
			w.sayf("LEFT %s", w.who(p.self))
			w.count("drained")
			p.up, w.absent[p.self.Instance] = false, true
		case e.Stop != nil:
			p.stop(e.Stop)
		}
	}
}

// search looks for the newest record. It may fail.
func (p *process) search() {
	w := p.w
	w.count("search")
	if w.chance(w.putLoss) {
		p.obey(p.follow.Searched(nil))
		return
	}
	p.obey(p.follow.Searched(w.store.find(w.hint(), w.mutation != floorUnchecked)))
}

// call finds out whether an incarnation answers. That takes a while.
func (p *process) call(m vnode.Member) {
	w := p.w
	w.post(p, func() {
		who, answered := w.whoAnswers(p, m.Address)
		if w.mutation == nobodyCalled {
			answered = false
		} else if !answered || who.Incarnation != m.Incarnation {
			p.silent = append(p.silent, m.Incarnation)
		}
		w.sayf("CALL %s of %s: %v", w.who(m), w.who(p.self), answered)
		w.post(p, func() { p.obey(p.follow.Called(who, answered)) })
	})
}

// tellClaim sends a claim. It supersedes nobody who was not called, or who may listen where this one does.
func (p *process) tellClaim(c actors.Claimed) {
	w := p.w
	old, _ := p.rec.Assignment.InForce(p.self.Instance)
	if old != p.self && c.Supersedes != uuid.Nil && old.Address != p.self.Address && !slices.Contains(p.silent, c.Supersedes) {
		failf("I2 %s claims to supersede %v, which it did not call", w.who(p.self), c.Supersedes)
	}
	w.tell(p, p.leader(), func(q *process) {
		if q.coord == nil {
			return
		}
		w.sayf("CLAIM %s supersedes %v", w.who(c.From), c.Supersedes[14:])
		if w.mutation == claimsAnything {
			inForce, _ := q.rec.Assignment.InForce(c.From.Instance)
			c.Supersedes = inForce.Incarnation
		}
		q.carry(q.coord.Claim(c))
	})
}

// greet makes a client known to the coordinator, which tells it the newest record.
func (p *process) greet() {
	w := p.w
	to := w.home
	if w.elastic != nil {
		to = w.members[w.r.IntN(len(w.members))]
	}
	w.tell(p, to, func(q *process) {
		q.clients[p.self.Instance] = true
		rec := q.rec
		w.tellProcess(q, p, func() { p.hear(rec) })
	})
}

// question is a request of another process: it is carried out once, however often it comes.
type question struct {
	from   uuid.UUID
	ticket uint64
}

// granted is an answer on its way, behind the record that it came with.
type granted struct {
	answer actors.Answer
	seq    uint64
}

// ask asks the coordinator. Elsewhere it is asked again until it answers.
func (p *process) ask(name string, r actors.Request, answer func(*actors.Answer)) {
	p.asked[name] = true
	p.tickets++
	r.Ticket, r.From = p.tickets, p.self
	p.answers[r.Ticket] = answer
	p.questions = append(p.questions, r)
	p.tellQuestion(r)
}

func (p *process) tellQuestion(r actors.Request) {
	p.w.tell(p, p.leader(), func(q *process) {
		if q.coord != nil {
			q.questioned(p, r)
		}
	})
}

// questioned takes a request of another process.
func (p *process) questioned(from *process, r actors.Request) {
	key := question{from.self.Incarnation, r.Ticket}
	if g, known := p.served[key]; known {
		if g != nil {
			p.tellGranted(from, g)
		}
		return
	}
	p.served[key] = nil
	ticket := r.Ticket
	p.tickets++
	r.Ticket = p.tickets
	p.theirs[r.Ticket] = true
	switch {
	case r.Producer != "" && p.w.mutation == openedAgain:
		r.Version = math.MaxUint64
	case r.Pin+r.Unpin != "" && p.w.mutation == pinnedAgain:
		r.Version = p.newest.Term
	}
	p.answers[r.Ticket] = func(a *actors.Answer) {
		g := &granted{answer: *a, seq: a.Seq}
		g.answer.Ticket = ticket
		p.served[key] = g
		p.tellGranted(from, g)
	}
	p.carry(p.coord.Ask(r))
}

func (p *process) tellGranted(from *process, g *granted) {
	p.w.tellProcess(p, from, func() { from.granted(g) })
}

// granted takes an answer, once the record that goes with it is known here.
func (p *process) granted(g *granted) {
	answer := p.answers[g.answer.Ticket]
	switch {
	case answer == nil:
		return
	case p.w.mutation == answersFirst && p.rec != nil:
	case p.rec == nil || p.rec.Seq < g.seq:
		p.obey(p.follow.Opened(vnode.Attempt{}, g.seq, false))
		return // it will be asked again
	}
	delete(p.answers, g.answer.Ticket)
	p.questions = slices.DeleteFunc(p.questions, func(r actors.Request) bool { return r.Ticket == g.answer.Ticket })
	answer(&g.answer)
}
