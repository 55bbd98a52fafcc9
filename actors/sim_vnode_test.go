package actors_test

import (
	"encoding/binary"
	"maps"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// simEvent is one event of an origin. Keys belong to one origin and generation, so the expected state of a key follows
// from that origin's position alone.
type simEvent struct {
	position uint64
	key      uint64
	deletes  bool
}

// simBatch is a batch as it travels: a header and events.
type simBatch struct {
	vnode  vnode.ID
	header vnode.Header
	events []simEvent
}

// simState is the state of a key: how many events it took, and a digest of them in order.
type simState struct {
	N, H uint64
}

func (s *simState) update(position uint64) {
	s.N++
	s.H = (s.H ^ position) * 0x9E3779B97F4A7C15
}

var simKeys = vnode.NewKeyOps[uint64]()

// simCodec writes a simState in 16 bytes.
type simCodec struct{}

func (simCodec) ID() string { return "sim" }

func (simCodec) Append(dst []byte, s *simState) ([]byte, error) {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, s.N), s.H), nil
}

func (simCodec) Decode(src []byte, s *simState) error {
	s.N, s.H = binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
	return nil
}

// loadSlice is the slice that a chain of deltas gives.
func loadSlice(deltas [][]byte) *vnode.Slice[uint64, simState] {
	s := vnode.NewSlice(simKeys, simCodec{})
	for _, d := range deltas {
		if err := s.Load(d); err != nil {
			failf("I2 a sealed slice cannot be loaded: %v", err)
		}
	}
	return s
}

// simVnode is the shell of a vnode. Without rules it has no life: it is being restored, or is about to be.
type simVnode struct {
	p        *process
	id       vnode.ID
	rules    *vnode.Rules
	slice    *vnode.Slice[uint64, simState]
	held     []*simBatch
	applied  applied
	marks    []vnode.Mark // of the slice, by the rules' mark
	attempts map[vnode.Attempt]vnode.Mark
	dirty    bool        // something was applied since the last capture
	owed     uint64      // mark of the newest capture with something that no record has named; 0: none
	since    uint64      // version with which its instance came
	view     *vnode.View // newest that the rules were told of
	restores uint64      // begun; only the newest counts
	waiting  bool        // for a restore
}

// busy reports whether the vnode holds something that is not captured, or is about to restore.
func (n *simVnode) busy() bool { return n.dirty || n.waiting || (n.rules == nil) == n.p.owns(n.id) }

// tick begins a life where there is none, and asks for an epoch where something changed.
func (n *simVnode) tick() {
	if n.rules == nil && !n.waiting && n.mayRestore(n.p.view) {
		n.restore()
	}
	if n.dirty && (n.p.coord != nil || n.p.w.chance(.2)) {
		n.p.want()
	}
}

// mayRestore reports whether this process owns the vnode by a view.
func (n *simVnode) mayRestore(view *vnode.View) bool {
	if n.p.w.mutation == restoredEarly {
		owner, _ := view.Assignment.Owner(n.id)
		return owner.Instance == n.p.self.Instance
	}
	return view.Owns(n.p.self, n.id)
}

// restore begins a new life from the newest record that the process knows. By the time that the store has answered
// there may be newer ones.
func (n *simVnode) restore() {
	w := n.p.w
	n.rules, n.slice, n.held, n.dirty, n.owed, n.waiting = nil, nil, nil, false, 0, true
	n.restores++
	if !n.mayRestore(n.p.view) {
		n.waiting = false
		return
	}
	try, rec, view := n.restores, n.p.rec, n.p.view
	w.request(n.p, func() {
		if n.restores != try {
			return
		}
		n.waiting = false // the next turn restores again, unless this succeeds
		if w.chance(w.putLoss) {
			return
		}
		chain, ok := w.store.read(rec, n.id)
		if !ok {
			n.p.missed(rec)
			return
		}
		n.begin(rec, view, chain)
	})
}

func (n *simVnode) begin(rec *backend.Record, view *vnode.View, c chain) {
	n.slice, n.applied = loadSlice(c.deltas), applied{}
	maps.Copy(n.applied, c.applied)
	positions := c.producers.Clone()
	for source, at := range view.Cuts {
		positions[source] = vnode.Position{At: at}
	}
	n.p.lives++
	n.marks = []vnode.Mark{0}
	if n.p.w.mutation == noLives {
		n.attempts = map[vnode.Attempt]vnode.Mark{}
	}
	life := vnode.Life{Incarnation: n.p.self.Incarnation, N: n.p.lives}
	n.view, n.since = view, view.Assignment.SinceOf(n.p.self)
	n.rules = vnode.NewRules(n.p.self, n.id, life, view, rec.Tips[n.id], positions)
	for _, r := range n.rules.Announce() {
		n.reply(r)
	}
	n.learn(n.p.view)
}

func (n *simVnode) learn(view *vnode.View) {
	if n.rules != nil {
		if view.Seq > n.view.Seq {
			if view.Term != n.view.Term && n.owed > 0 && n.p.w.mutation != termsUnnoticed {
				n.dirty = true // what was captured for another coordinator is still to be sealed
			}
			n.view = view
		}
		n.do(n.rules.Learn(view), nil)
	}
}

func (n *simVnode) open(a vnode.Attempt) {
	if n.rules != nil {
		n.do(n.rules.Open(a), nil)
	}
}

func (n *simVnode) deliver(b *simBatch) {
	if n.rules == nil {
		return
	}
	if !b.header.Barrier.IsZero() {
		switch n.p.w.mutation {
		case unaligned:
			n.misalign(b)
		case barrierAnywhere:
			b.header.From = 0
		case aheadCounted:
			b.header.To = max(b.header.To, n.rules.Standing(b.header.Origin).At)
		}
	}
	n.do(n.rules.Deliver(&b.header), b)
}

// misalign makes the vnode count the barriers of all other sources with the first.
func (n *simVnode) misalign(b *simBatch) {
	for _, name := range n.p.view.Sources {
		if n.rules != nil && name != b.header.Origin {
			at := n.rules.Standing(name).At
			h := b.header
			h.Origin, h.From, h.To = name, at, at
			n.do(n.rules.Deliver(&h), &simBatch{vnode: n.id, header: h})
		}
	}
}

// do carries out a step, in the order that the rules promise.
func (n *simVnode) do(s vnode.Step, b *simBatch) {
	w := n.p.w
	if s.Lost {
		if w.mutation == noLives && n.p.view.Owns(n.p.self, n.id) {
			n.slice.Sealed(n.attempts[n.p.rec.Attempt])
			return
		}
		if w.mutation == othersAnswer && !n.p.owns(n.id) {
			return
		}
		n.restore()
		return
	}
	if s.Apply || (w.mutation == noPositions && b != nil && s.Reply.Kind != vnode.NoReply) {
		n.apply(b, s.Above)
	}
	if s.Capture != nil {
		n.capture(s.Capture)
	}
	if s.Hold {
		n.held = append(n.held, b)
	}
	if s.Sealed != 0 && w.mutation != deltaSinceCapture {
		n.slice.Sealed(n.marks[s.Sealed])
	}
	if s.Sealed >= n.owed {
		n.owed = 0
	}
	if s.Reply.Kind != vnode.NoReply {
		n.reply(s.Reply)
	}
	for _, r := range s.Acks {
		n.reply(r)
	}
	if s.Release {
		held := n.held
		n.held = nil
		for _, h := range held {
			n.deliver(h)
		}
	}
}

func (n *simVnode) apply(b *simBatch, above uint64) {
	for _, e := range b.events {
		if e.position <= above && n.p.w.mutation != noPositions {
			continue
		}
		n.dirty = true
		if b.header.Generation != 0 {
			n.applied[generation{b.header.Origin, b.header.Generation}] = e.position
		}
		if e.deletes {
			n.slice.Delete(simKeys.Hash(e.key), e.key)
			continue
		}
		state, _ := n.slice.Upsert(simKeys.Hash(e.key), e.key)
		state.update(e.position)
	}
}

// capture takes delta, positions and partial in this turn (I3).
func (n *simVnode) capture(o *vnode.CaptureOrder) {
	w := n.p.w
	if n.dirty {
		n.dirty, n.owed = false, o.Mark
	}
	entries := n.slice.Changed()
	delta, mark, err := n.slice.Capture(nil)
	if err != nil {
		panic(err)
	}
	n.marks = append(n.marks, mark)
	switch w.mutation {
	case deltaSinceCapture:
		n.slice.Sealed(mark)
	case noLives:
		n.attempts[o.Attempt] = mark
		o.Base = n.p.rec.Tips[n.id]
	}
	if w.elastic != nil && n.p.plan != nil && n.p.moving == o.Attempt && n.p.plan.Moving(n.id) {
		n.rules.Stop(o.Attempt)
		w.count("stopped")
	}
	if w.trace != nil {
		w.sayf("CAPTURE %s v%d life %d %v base %v sources %v", w.who(n.p.self), n.id, o.Slice.Life.N, o.Attempt, o.Base.Attempt, o.Sources)
	}
	sum := uint64(0)
	for k, s := range n.slice.All {
		sum += digest(k, *s)
	}
	c := packed{
		capture: simCapture{
			slice: o.Slice, from: vnode.Epoch(o.Base.Attempt.Number), delta: delta, entries: entries,
			partial: binary.LittleEndian.AppendUint64(nil, sum), producers: o.Producers, applied: maps.Clone(n.applied),
		},
		note: actors.CaptureNote{Vnode: n.id, Slice: o.Slice, Base: o.Base, Positions: o.Sources},
	}
	w.post(n.p, func() { n.p.pack(o.Attempt, c) })
}

// digest is the contribution of a key to a result.
func digest(k uint64, s simState) uint64 {
	x := k*0x9E3779B97F4A7C15 ^ s.H ^ s.N<<56
	return (x ^ x>>31) * 0xbf58476d1ce4e5b9
}

// reply answers an origin, which may have been opened anew by then.
func (n *simVnode) reply(r vnode.Reply) {
	p := n.p
	p.w.oracle.serves(n)
	if p.w.mutation == freedOnAck {
		r.Sealed = max(r.Sealed, r.Standing)
	}
	to, known := p.seen[r.Origin]
	for _, s := range n.view.Assignment.Sources {
		if s.Source == r.Origin && s.Owner != vnode.Unowned {
			to, known = n.view.Assignment.Members[s.Owner].Instance, true
		}
	}
	if known {
		p.w.tell(p, to, func(q *process) { q.replied(r) })
	}
}

// replied hands a reply to its origin, if that is here.
func (p *process) replied(r vnode.Reply) {
	if r.Generation != 0 {
		for _, q := range p.producers {
			q.reply(r)
		}
		return
	}
	for _, s := range p.sources {
		s.reply(r)
	}
}

// send sends a batch to the instance that owns its vnode, as far as the process knows. There it is dropped unless the
// vnode lives.
func (p *process) send(b *simBatch) {
	owner, ok := p.view.Assignment.Owner(b.vnode)
	if !ok {
		return
	}
	p.w.tell(p, owner.Instance, func(q *process) {
		q.seen[b.header.Origin] = p.self.Instance
		q.vnodes[b.vnode].deliver(b)
	})
}
