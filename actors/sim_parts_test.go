package actors_test

import (
	"encoding/binary"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

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

// simVnode is the shell of a vnode.
type simVnode struct {
	p         *process
	id        vnode.ID
	rules     *vnode.Rules
	slice     *vnode.Slice[uint64, simState]
	held      []*simBatch
	marks     map[uint64]vnode.Mark
	attempts  map[vnode.Attempt]vnode.Mark
	dirty     bool // something was applied since the last capture
	restoring bool
}

// restore begins a new life from the newest record that the process knows.
func (n *simVnode) restore() {
	n.rules, n.slice, n.held, n.dirty, n.restoring = nil, nil, nil, false, true
	n.p.w.later(n.p, func() {
		n.restoring = false
		rec, view := n.p.rec, n.p.view
		if !view.Owns(n.p.self, n.id) {
			return
		}
		deltas, positions, ok := n.p.w.store.read(rec, n.id)
		if !ok {
			n.p.w.oracle.unreadable(rec)
			return
		}
		n.begin(rec.Tips[n.id], view, deltas, positions)
	})
}

func (n *simVnode) begin(tip vnode.SliceID, view *vnode.View, deltas [][]byte, producers vnode.Positions) {
	n.slice = vnode.NewSlice(simKeys, simCodec{})
	for _, d := range deltas {
		if err := n.slice.Load(d); err != nil {
			panic(err)
		}
	}
	positions := producers.Clone()
	for source, at := range view.Cuts {
		positions[source] = vnode.Position{At: at}
	}
	n.p.lives++
	n.marks, n.attempts = map[uint64]vnode.Mark{}, map[vnode.Attempt]vnode.Mark{}
	life := vnode.Life{Incarnation: n.p.self.Incarnation, N: n.p.lives}
	n.rules = vnode.NewRules(n.p.self, n.id, life, view, tip, positions)
	for _, r := range n.rules.Announce() {
		n.reply(r)
	}
}

func (n *simVnode) learn(view *vnode.View) {
	if n.rules != nil {
		n.do(n.rules.Learn(view), nil)
	}
}

func (n *simVnode) deliver(b *simBatch) {
	if n.rules == nil {
		return
	}
	if n.p.w.mutation == unaligned && !b.header.Barrier.IsZero() {
		n.misalign(b)
	}
	n.do(n.rules.Deliver(&b.header), b)
}

// misalign makes the vnode count the barriers of all other sources with the first: no alignment.
func (n *simVnode) misalign(b *simBatch) {
	for _, name := range n.p.view.Sources {
		if name != b.header.Origin {
			at := n.rules.Standing(name).At
			h := b.header
			h.Origin, h.From, h.To = name, at, at
			n.do(n.rules.Deliver(&h), &simBatch{vnode: n.id, header: h})
		}
	}
}

func (n *simVnode) do(s vnode.Step, b *simBatch) {
	w := n.p.w
	if s.Lost {
		if w.mutation == noLives && n.p.view.Owns(n.p.self, n.id) {
			n.slice.Sealed(n.attempts[n.p.rec.Attempt])
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
		if !n.dirty {
			n.dirty = true
		}
		if e.deletes {
			n.slice.Delete(simKeys.Hash(e.key), e.key)
			continue
		}
		state, _ := n.slice.Upsert(simKeys.Hash(e.key), e.key)
		state.update(e.position)
	}
}

func (n *simVnode) capture(o *vnode.CaptureOrder) {
	w := n.p.w
	n.dirty = false
	delta, mark, err := n.slice.Capture(nil)
	if err != nil {
		panic(err)
	}
	n.marks[o.Mark], n.attempts[o.Attempt] = mark, mark
	if w.mutation == deltaSinceCapture {
		n.slice.Sealed(mark)
	}
	sum := uint64(0)
	for k, s := range n.slice.All {
		sum += digest(k, *s)
	}
	w.sayf("CAPTURE %s v%d %v base %v sources %v", w.who(n.p.self), n.id, o.Attempt, o.Base.Attempt, o.Sources)
	c := packed{
		capture: simCapture{slice: o.Slice, delta: delta, partial: binary.LittleEndian.AppendUint64(nil, sum), producers: o.Producers},
		note:    actors.CaptureNote{Vnode: n.id, Slice: o.Slice, Base: o.Base, Positions: o.Sources},
	}
	if w.mutation == noLives {
		c.note.Base = n.p.rec.Tips[n.id]
	}
	w.later(n.p, func() { n.p.pack(o.Attempt, c) })
}

func (n *simVnode) reply(r vnode.Reply) {
	p := n.p
	if p.w.mutation == freedOnAck {
		r.Sealed = max(r.Sealed, r.Standing)
	}
	p.w.send(p, func() {
		if r.Generation != 0 {
			if q := p.producers[r.Origin]; q != nil {
				q.reply(r)
			}
		} else if s := p.sources[r.Origin]; s != nil {
			s.silence = 0
			if s.rules.Reply(r) {
				s.buffer[r.Vnode] = nil
			}
		}
	})
}

// simSource is the shell of a source.
type simSource struct {
	p      *process
	rules  *actors.SourceRules
	name   string
	buffer [][]simEvent
	// silence counts the turns since a vnode last answered.
	silence int
}

func newSimSource(p *process, name string) *simSource {
	return &simSource{p: p, name: name, rules: actors.NewSourceRules(name, p.view), buffer: make([][]simEvent, p.w.capacity)}
}

func (s *simSource) tick() {
	w := s.p.w
	if w.chance(.5) {
		s.read()
	}
	if s.rules.High() == w.events {
		s.rules.End()
	}
	for v := range vnode.ID(w.capacity) {
		if s.rules.Ready() && w.chance(.4) {
			s.flush(v)
		}
	}
	if cut, ok := s.rules.Cut(); ok && w.chance(.5) {
		w.oracle.cut(s.p, cut)
		w.send(s.p, func() { s.p.carry(s.p.coord.Cut(cut)) })
	}
	if s.rules.Unsealed() && s.rules.Ended() && !s.rules.Done() {
		s.p.carry(s.p.coord.Want())
	}
	if s.silence++; s.silence > 6 && !s.rules.Replaying() {
		s.silence = 0
		for _, v := range s.rules.Resend() {
			s.buffer[v] = nil
		}
	}
}

func (s *simSource) read() {
	at := s.rules.At() + 1
	if at > s.p.w.events {
		return
	}
	e, v := s.p.w.event(s.name, 0, at)
	if !s.rules.Replaying() || s.rules.Takes(v, at) {
		s.buffer[v] = append(s.buffer[v], e)
	}
	s.rules.Advance(1)
}

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
		s.p.w.send(s.p, func() { s.p.vnodes[v].deliver(b) })
	}
}

// simProducer is the shell of a plain producer.
type simProducer struct {
	p          *process
	name       string
	generation uint64
	rules      *actors.ProducerRules[[]simEvent]
	buffer     [][]simEvent
	silence    int
}

func newSimProducer(p *process, name string, generation uint64) *simProducer {
	return &simProducer{
		p: p, name: name, generation: generation,
		rules:  actors.NewProducerRules[[]simEvent](name, generation, p.w.capacity),
		buffer: make([][]simEvent, p.w.capacity),
	}
}

func (q *simProducer) tick() {
	w := q.p.w
	if q.rules.At() < w.events/3 && !w.quiet && w.chance(.3) {
		e, v := w.event(q.name, q.generation, q.rules.Count())
		q.buffer[v] = append(q.buffer[v], e)
	}
	for v := range vnode.ID(w.capacity) {
		if len(q.buffer[v]) > 0 && w.chance(.5) {
			q.send(q.rules.Flush(v, q.buffer[v]))
			q.buffer[v] = nil
		}
	}
	if q.silence++; q.silence > 6 {
		q.silence = 0
		for _, s := range q.rules.Resend() {
			q.send(s)
		}
	}
}

func (q *simProducer) send(s actors.Sending[[]simEvent]) {
	b := &simBatch{vnode: s.Vnode, header: s.Header, events: s.Events}
	q.p.w.send(q.p, func() { q.p.vnodes[s.Vnode].deliver(b) })
}

func (q *simProducer) reply(r vnode.Reply) {
	q.silence = 0
	again, _ := q.rules.Reply(r, func(events []simEvent) {
		for _, e := range events {
			q.p.w.oracle.durable(r.Vnode, q.name, q.generation, e.position)
		}
	})
	for _, s := range again {
		q.send(s)
	}
}
