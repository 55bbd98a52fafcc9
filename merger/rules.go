package merger

import "github.com/sheaf-go/sheaf/vnode"

// Sealed is what the merger needs of a record that seals an epoch.
type Sealed struct {
	Epoch   vnode.Epoch
	Attempt vnode.Attempt
	Tips    []vnode.SliceID   // the slice of every vnode
	Cuts    map[string]uint64 // sealed position of every source
}

// Partial is one vnode's contribution to an epoch: the encoded result of folding exactly that slice.
type Partial struct {
	Vnode vnode.ID
	Slice vnode.SliceID
	Bytes []byte
}

// Order is what the rules ask for: at most one of its fields is set.
type Order struct {
	Fetch *Sealed  // read the epoch's partials from its segments, then call Fetched
	Emit  *Sealed  // fold Partials in this order and give the result to the sinks, then call Taken
	Parts [][]byte // with Emit: one per vnode, ascending
}

// Rules decides what is emitted and when: only sealed epochs, in order, each from the partials of exactly the slices
// that its seal names (I6). It is a pure state machine; one order is carried out at a time.
type Rules struct {
	emitted vnode.Epoch
	queue   []*Sealed // sealed, not emitted, ascending
	parts   map[vnode.Attempt][]Partial
	busy    bool
}

// NewRules starts behind an epoch that the sinks took.
func NewRules(emitted vnode.Epoch) *Rules {
	return &Rules{emitted: emitted, parts: map[vnode.Attempt][]Partial{}}
}

// Emitted is the newest epoch that the sinks took.
func (m *Rules) Emitted() vnode.Epoch { return m.emitted }

// Waiting is the number of sealed epochs that the sinks did not take yet.
func (m *Rules) Waiting() int { return len(m.queue) }

// Partials takes what one instance sent for an attempt, sealed or not.
func (m *Rules) Partials(a vnode.Attempt, parts []Partial) Order {
	if vnode.Epoch(a.Number) > m.emitted {
		m.forget(a) // an attempt is opened only when those below it are over
		m.parts[a] = append(m.parts[a], parts...)
	}
	return m.next()
}

// Learn takes a record that seals an epoch. Records arrive in order; one that was taken before is ignored.
func (m *Rules) Learn(s *Sealed) Order {
	last := m.emitted
	if n := len(m.queue); n > 0 {
		last = m.queue[n-1].Epoch
	}
	if s.Epoch > last {
		m.queue = append(m.queue, s)
		m.forget(s.Attempt)
	}
	return m.next()
}

// forget drops the partials of attempts below a that did not seal (I8).
func (m *Rules) forget(below vnode.Attempt) {
	for a := range m.parts {
		if a.Compare(below) < 0 && !m.queued(a) {
			delete(m.parts, a)
		}
	}
}

func (m *Rules) queued(a vnode.Attempt) bool {
	for _, s := range m.queue {
		if s.Attempt == a {
			return true
		}
	}
	return false
}

// Fetched takes the partials that a Fetch order asked for.
func (m *Rules) Fetched(s *Sealed, parts []Partial) Order {
	m.busy = false
	m.parts[s.Attempt] = append(m.parts[s.Attempt], parts...)
	return m.next()
}

// Failed says that the order could not be carried out; [Rules.Retry] gives it again.
func (m *Rules) Failed() { m.busy = false }

// Retry returns the order that is due, if none is being carried out.
func (m *Rules) Retry() Order { return m.next() }

// Taken says that every sink took an epoch.
func (m *Rules) Taken(e vnode.Epoch) Order {
	m.busy = false
	if len(m.queue) > 0 && m.queue[0].Epoch == e {
		delete(m.parts, m.queue[0].Attempt)
		m.queue = m.queue[1:]
		m.emitted = e
	}
	return m.next()
}

func (m *Rules) next() Order {
	if m.busy || len(m.queue) == 0 {
		return Order{}
	}
	s := m.queue[0]
	m.busy = true
	if parts, ok := match(s, m.parts[s.Attempt]); ok {
		return Order{Emit: s, Parts: parts}
	}
	return Order{Fetch: s}
}

// match picks, for every vnode, the partial of exactly the sealed slice.
func match(s *Sealed, have []Partial) ([][]byte, bool) {
	out := make([][]byte, len(s.Tips))
	found := 0
	for _, p := range have {
		if int(p.Vnode) < len(out) && out[p.Vnode] == nil && p.Slice == s.Tips[p.Vnode] {
			out[p.Vnode] = p.Bytes
			if out[p.Vnode] == nil {
				out[p.Vnode] = []byte{}
			}
			found++
		}
	}
	return out, found == len(out)
}
