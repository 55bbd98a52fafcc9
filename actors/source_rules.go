package actors

import "github.com/sheaf-go/sheaf/vnode"

// SourceRules is what a source decides: which events each vnode still needs, where the cut of an attempt lies, and
// when a barrier goes out. It is a pure state machine. The shell reads events, keeps one buffer of unsent events per
// vnode, and asks; it reads from [SourceRules.At] on, which moves back when a vnode has to be given events again.
type SourceRules struct {
	name string
	view *vnode.View

	at   uint64 // the reader stands here; below high while replaying
	high uint64 // the highest position ever read: vnodes that do not lag were given everything up to here
	lag  map[vnode.ID]uint64

	sent, acked, round []uint64 // per vnode

	unheard vnode.Set // vnodes that have not said where they stand: who read the source before may have read further
	asked   vnode.Set // those of them that were sent something

	attempt vnode.Attempt // highest seen
	wanted  bool          // attempt waits for its cut
	cutting bool          // attempt has its cut
	cut     uint64
	floor   uint64    // the highest position at which a vnode stands: no cut lies below
	pending vnode.Set // vnodes whose barrier is not sent
	counted vnode.Set // vnodes that counted the barrier
	version uint64    // nothing is sent before an assignment of this version is known
	whole   bool      // every vnode of the known assignment has an owner
	ended   bool
}

// CutNamed tells the coordinator a source's one cut of an attempt.
type CutNamed struct {
	Source  string
	Attempt vnode.Attempt
	At      uint64
	Ended   bool // nothing follows
}

// NewSourceRules starts a source of the view's assignment at its sealed cut.
func NewSourceRules(name string, view *vnode.View) *SourceRules {
	n := len(view.Assignment.Owners)
	s := &SourceRules{
		name: name, view: view, whole: view.Assignment.Complete(), lag: map[vnode.ID]uint64{},
		sent: make([]uint64, n), acked: make([]uint64, n), round: make([]uint64, n),
	}
	s.at = view.Cuts[name]
	s.high = s.at
	for v := range n {
		s.sent[v], s.acked[v] = s.at, s.at
		s.unheard.Add(vnode.ID(v))
	}
	return s
}

// At is the position behind which the next event is to be read.
func (s *SourceRules) At() uint64 { return s.at }

// High is the highest position ever read.
func (s *SourceRules) High() uint64 { return s.high }

// Replaying reports whether some of the events to be read next were given to some vnodes before.
func (s *SourceRules) Replaying() bool { return s.at < s.high }

// Takes reports whether the event at a position, being read again, goes to v. Asked only while replaying.
func (s *SourceRules) Takes(v vnode.ID, position uint64) bool {
	if position > s.high {
		return true
	}
	from, lags := s.lag[v]
	return lags && position > from
}

// Advance says that n events behind At were read and put into the buffers of the vnodes that take them.
func (s *SourceRules) Advance(n int) {
	s.at += uint64(n)
	if s.at >= s.high {
		s.high = s.at
		clear(s.lag)
	}
	s.nameCut()
}

// End says that nothing follows High.
func (s *SourceRules) End() { s.ended = true }

// Ended reports whether the source said so.
func (s *SourceRules) Ended() bool { return s.ended }

// covered is the position up to which every event of v is sent or in v's buffer.
func (s *SourceRules) covered(v vnode.ID) uint64 {
	if from, lags := s.lag[v]; lags {
		return max(from, s.at)
	}
	return s.high
}

// Ready reports whether the known assignment is one that vnodes still take batches of, and every vnode has an owner.
func (s *SourceRules) Ready() bool { return s.view.Assignment.Version >= s.version && s.whole }

// Flush returns the header of the next batch for v: it takes the events of v's buffer up to the header's To. False if
// there is nothing to say. A question or a barrier that is due goes first, and a second call returns what lies behind it.
func (s *SourceRules) Flush(v vnode.ID) (vnode.Header, bool) {
	h := vnode.Header{Origin: s.name, Version: s.view.Assignment.Version, From: s.sent[v], To: s.covered(v), Round: s.round[v]}
	switch {
	case s.AskDue(v):
		h.To = h.From
		s.asked.Add(v)
		return h, true
	case s.BarrierDue(v):
		h.To, h.Barrier = max(s.cut, h.From), s.attempt
		s.pending.Remove(v)
	case h.To <= h.From:
		return vnode.Header{}, false
	}
	s.sent[v] = h.To
	return h, true
}

// AskDue reports whether v is to be asked where it stands, by a batch without events, which it answers at once.
func (s *SourceRules) AskDue(v vnode.ID) bool { return s.unheard.Has(v) && !s.asked.Has(v) }

// AskAgain makes it ask those again that have not answered, but for those that something is still under way to.
func (s *SourceRules) AskAgain(underWay func(vnode.ID) bool) {
	for v := range s.unheard.All {
		if !underWay(v) {
			s.asked.Remove(v)
		}
	}
}

// Unheard returns the vnodes that have not said where they stand. The caller must not change it.
func (s *SourceRules) Unheard() vnode.Set { return s.unheard }

// BarrierDue reports whether v's barrier can go out.
func (s *SourceRules) BarrierDue(v vnode.ID) bool {
	return s.cutting && s.pending.Has(v) && s.covered(v) >= s.cut
}

// Capturing counts the vnodes that were sent their barrier and have not counted it.
func (s *SourceRules) Capturing() int {
	if !s.cutting {
		return 0
	}
	return len(s.sent) - s.pending.Len() - s.counted.Len()
}

// Pending returns the vnodes whose barrier is not sent yet. The caller must not change it.
func (s *SourceRules) Pending() vnode.Set { return s.pending }

// Reply takes a vnode's answer. True: the vnode's buffer must be emptied, its events will be read again.
func (s *SourceRules) Reply(r vnode.Reply) (rewound bool) {
	v := r.Vnode
	if r.Round < s.round[v] {
		return false // about what was sent before a rewind
	}
	if r.Kind != vnode.Stale {
		s.hear(v, r.Standing)
	}
	switch r.Kind {
	case vnode.Took:
		s.acked[v] = max(s.acked[v], min(r.Standing, s.high))
		if s.cutting && r.Barrier == s.attempt {
			s.counted.Add(v)
		}
		return false
	case vnode.Ahead:
		return false
	case vnode.Stale:
		s.version = max(s.version, r.Version)
	}
	return s.rewind(v, r.Standing)
}

// hear notes where a vnode stands. Once all have said so the cut can be named: it lies below none of them.
func (s *SourceRules) hear(v vnode.ID, standing uint64) {
	s.floor = max(s.floor, standing)
	if s.unheard.Has(v) {
		s.unheard.Remove(v)
		s.nameCut()
	}
}

// rewind arranges that v is sent everything behind a position again. Nothing is sent again that is sealed: a life that
// stands below is not of the sealed history and is about to end.
func (s *SourceRules) rewind(v vnode.ID, to uint64) bool {
	to = max(to, s.Sealed())
	if s.cutting && to <= s.cut {
		s.pending.Add(v)
		s.counted.Remove(v)
	}
	if to > s.high {
		to = s.high
	}
	s.round[v]++
	s.asked.Remove(v)
	s.sent[v], s.acked[v] = to, to
	if to >= s.high {
		delete(s.lag, v)
		return true
	}
	for u, from := range s.lag {
		s.lag[u] = max(from, s.at)
	}
	s.lag[v] = to
	s.at = min(s.at, to)
	return true
}

// Resend rewinds every vnode that has not answered for what it was sent, but those that something is still under way to,
// and returns them: their buffers must be emptied. The shell calls it when nothing was heard for a while.
func (s *SourceRules) Resend(underWay func(vnode.ID) bool) []vnode.ID {
	var out []vnode.ID
	for v := range s.sent {
		id := vnode.ID(v)
		silent := s.cutting && !s.pending.Has(id) && !s.counted.Has(id)
		if (s.acked[v] < s.sent[v] || silent) && !underWay(id) && s.rewind(id, s.acked[v]) {
			out = append(out, id)
		}
	}
	return out
}

// Open tells of an attempt. The shell has learned the record that came with it.
func (s *SourceRules) Open(a vnode.Attempt) {
	if a.Compare(s.attempt) <= 0 || a.Version != s.view.Assignment.Version || a.Term != s.view.Term {
		return
	}
	s.attempt, s.wanted, s.cutting = a, true, false
	s.pending, s.counted = nil, nil
	s.nameCut()
}

func (s *SourceRules) nameCut() {
	if !s.wanted || s.high < s.floor || s.unheard.Len() > 0 {
		return
	}
	s.wanted, s.cutting, s.cut = false, true, s.high
	for v := range s.sent {
		s.pending.Add(vnode.ID(v))
	}
}

// Cut returns the cut of the open attempt, to be repeated until a record or a higher attempt answers.
func (s *SourceRules) Cut() (CutNamed, bool) {
	return CutNamed{Source: s.name, Attempt: s.attempt, At: s.cut, Ended: s.ended && s.cut == s.high}, s.cutting
}

// Learn takes a newer record into account.
func (s *SourceRules) Learn(w *vnode.View) {
	if w.Seq <= s.view.Seq {
		return
	}
	old := s.view
	s.view, s.whole = w, w.Assignment.Complete()
	s.skip(s.Sealed())
	over := w.Assignment.Version != old.Assignment.Version || w.Term != old.Term
	if over || uint64(w.Epoch) >= s.attempt.Number {
		s.wanted, s.cutting = false, false
		s.pending, s.counted = nil, nil
	}
}

// skip goes on behind what is sealed: whoever lacks that is a life that is about to end.
func (s *SourceRules) skip(cut uint64) {
	if s.at >= cut {
		return
	}
	s.at = cut
	for v := range s.sent {
		s.sent[v], s.acked[v] = max(s.sent[v], cut), max(s.acked[v], cut)
	}
	s.Advance(0)
}

// Unsealed reports whether the newest record lacks events that were read, or the end.
func (s *SourceRules) Unsealed() bool { return s.high > s.view.Cuts[s.name] || s.ended }

// Sealed is the position that the newest record holds.
func (s *SourceRules) Sealed() uint64 { return s.view.Cuts[s.name] }

// Done reports whether the end is sealed: the source left the assignment.
func (s *SourceRules) Done() bool { return s.ended && !s.view.HasSource(s.name) }
