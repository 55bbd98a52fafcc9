package actors

import "time"

// replay follows a source that deals events out again.
type replay struct {
	began  time.Time
	events uint64
}

// count counts an event that is dealt out, if that is again.
func (r *replay) count(again bool) {
	if !again {
		return
	}
	if r.events == 0 {
		r.began = time.Now()
	}
	r.events++
}

// tellReplay tells of a replay once it is over.
func (s *source[K, E]) tellReplay() {
	if s.again.events > 0 && !s.rules.Replaying() {
		s.meters.replayed.Add(s.again.events)
		s.line.Note(s.again.began, StepReplay, "%d events of source %s up to %d", s.again.events, s.name, s.rules.High())
		s.again = replay{}
	}
}
