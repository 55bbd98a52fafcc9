package actors_test

import (
	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// simOrigin is a source that the world has: events 1 to length, then the end.
type simOrigin struct {
	name   string
	length uint64
	// A resumable producer pushes its events, and is told at its opening from where on. What was sealed it has dropped.
	pushes bool
}

// simSource is the shell of a source or of a resumable producer, which follows the same rules.
type simSource struct {
	p *process
	simOrigin
	rules   *actors.SourceRules
	told    actors.CutNamed // newest
	buffer  [][]simEvent    // by vnode, not sent
	pushed  uint64          // by the client of a resumable producer: it keeps the events from the sealed one up to here
	done    bool            // its end was sealed, and whoever read it is gone
	silence int             // turns since a vnode last answered
}

func newSimSource(p *process, o simOrigin) *simSource {
	s := &simSource{
		p: p, simOrigin: o, rules: actors.NewSourceRules(o.name, p.view),
		buffer: make([][]simEvent, p.w.capacity),
	}
	s.pushed = s.rules.Sealed()
	return s
}

func (s *simSource) tick() {
	w := s.p.w
	w.dropped[s.name] = max(w.dropped[s.name], s.rules.Sealed())
	if s.done = s.done || s.rules.Done(); s.done {
		return
	}
	if n := 1 + w.r.IntN(w.reads); w.quiet || w.chance(.4) {
		s.pushed = min(s.pushed+uint64(n), s.length)
		s.read(n)
	}
	if s.rules.High() == s.length {
		s.rules.End()
	}
	for v := range vnode.ID(w.capacity) {
		if s.rules.Ready() && w.chance(.5) && (s.rules.BarrierDue(v) || s.rules.AskDue(v) || len(s.buffer[v]) > 0 || w.chance(.1)) {
			s.flush(v)
		}
	}
	if cut, ok := s.rules.Cut(); ok && w.chance(.4) {
		s.tellCut(cut)
	}
	if s.rules.Ended() && (s.p.coord != nil || w.chance(.2)) {
		s.p.want()
	}
	if w.chance(.1) && w.mutation != askedOnce {
		s.rules.AskAgain(nothingUnderWay)
	}
	if s.silence++; s.silence > 6 && !s.rules.Replaying() {
		s.silence = 0
		for _, v := range s.rules.Resend(nothingUnderWay) {
			s.buffer[v] = nil
		}
	}
}

// tellCut tells the coordinator. One opening of a source names one cut of an attempt.
func (s *simSource) tellCut(cut actors.CutNamed) {
	if old := s.told; old.Attempt == cut.Attempt && old.At != cut.At {
		failf("I5 %s named two cuts for %v: %d and %d", s.name, cut.Attempt, old.At, cut.At)
	}
	s.told, s.p.w.named[s.name] = cut, cut
	s.p.w.tell(s.p, s.p.leader(), func(q *process) {
		if q.coord != nil {
			q.carry(q.coord.Cut(cut))
		}
	})
}

// read reads up to n events on, wherever the rules stand.
func (s *simSource) read(n int) {
	for range n {
		at := s.rules.At() + 1
		if at > s.length || (s.pushes && at > s.pushed) {
			return
		}
		if s.pushes && at <= s.rules.Sealed() {
			failf("I8 %s must replay %d, which it dropped since %d is sealed", s.name, at, s.rules.Sealed())
		}
		e, v := s.p.w.event(s.name, 0, at)
		if !s.rules.Replaying() || s.rules.Takes(v, at) {
			s.buffer[v] = append(s.buffer[v], e)
		}
		s.rules.Advance(1)
	}
}

// flush sends what is to be said to a vnode: with a barrier, up to the cut first.
func (s *simSource) flush(v vnode.ID) {
	for {
		h, ok := s.rules.Flush(v)
		if !ok {
			return
		}
		n := 0
		for n < len(s.buffer[v]) && s.buffer[v][n].position <= h.To {
			n++
		}
		b := &simBatch{vnode: v, header: h, events: s.buffer[v][:n:n]}
		s.buffer[v] = s.buffer[v][n:]
		s.p.send(b)
	}
}

func (s *simSource) reply(r vnode.Reply) {
	if s == nil || r.Origin != s.name {
		return
	}
	s.silence = 0
	if r.Kind == vnode.Ahead {
		s.p.w.count("ahead")
	}
	if s.rules.Reply(r) {
		s.buffer[r.Vnode] = nil
	}
}

// nothingUnderWay is what a sender knows that nobody tells: what it sent may be lost, or still come.
func nothingUnderWay(vnode.ID) bool { return false }
