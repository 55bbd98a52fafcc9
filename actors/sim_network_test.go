package actors_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Between processes lies a network that loses, repeats and reorders messages, and that may be cut in one direction or
// both between any two of them. A message to another instance is addressed by its id: where two processes have it,
// either may get it.

// send delivers a message of a process to itself: later, never, or twice.
func (w *world) send(p *process, call func()) {
	w.ship(pendingCall{p: p, call: call})
}

// tell sends a message to whoever has an instance id; the sender itself if that is its own.
func (w *world) tell(from *process, to string, call func(*process)) {
	if to == from.self.Instance {
		w.send(from, func() { call(from) })
		return
	}
	if to != "" { // else nobody coordinates yet
		w.ship(pendingCall{from: from, to: to, tell: call})
	}
}

// tellProcess sends a message to a process, as an answer goes to whoever asked.
func (w *world) tellProcess(from, to *process, call func()) {
	w.ship(pendingCall{from: from, p: to, call: call})
}

func (w *world) ship(c pendingCall) {
	if w.chance(w.loss) {
		w.count("lost")
		return
	}
	w.pending.put(c)
	if w.chance(w.repeat) {
		w.count("repeated")
		w.pending.put(c)
	}
}

// listener is the process that gets a message to an instance; nil if none is up.
func (w *world) listener(id string) *process {
	var newest *process
	others := 0
	for _, p := range w.processes {
		if p.up && p.self.Instance == id {
			newest = p
			others++
		}
	}
	if others > 1 && w.chance(.3) {
		return w.any(func(p *process) bool { return p.up && p.self.Instance == id })
	}
	return newest
}

// link is a direction between two processes.
type link struct{ from, to *process }

// cut makes a process deaf, mute or both towards some others, or all.
func (w *world) cut(p *process) {
	w.count("partition")
	out, in := true, true
	switch w.r.IntN(4) {
	case 0:
		out = false
	case 1:
		in = false
	}
	all := w.chance(.5)
	w.sayf("CUT %s out %v in %v all %v", w.who(p.self), out, in, all)
	for _, q := range w.processes {
		if q == p || !q.up || !(all || w.chance(.5)) {
			continue
		}
		if out {
			w.cuts[link{p, q}] = true
		}
		if in {
			w.cuts[link{q, p}] = true
		}
	}
}

func (w *world) mend() {
	if len(w.cuts) > 0 {
		w.sayf("MEND")
		clear(w.cuts)
	}
}

// whoAnswers calls an address: a process that is awake, and hears and is heard, says who it is.
func (w *world) whoAnswers(caller *process, address string) (vnode.Member, bool) {
	for _, q := range w.processes {
		if q != caller && q.awake() && q.self.Address == address && !w.cuts[link{caller, q}] && !w.cuts[link{q, caller}] {
			return q.self, true
		}
	}
	return vnode.Member{}, false
}

// address is where a new process of an instance listens: where the one before did, if it is gone, or elsewhere. In a
// world of one instance nobody calls.
func (w *world) address(id string) string {
	if !w.clustered() {
		return ""
	}
	usual := id + ":0"
	taken := slices.ContainsFunc(w.processes, func(p *process) bool { return p.up && p.self.Address == usual })
	if taken || w.chance(.3) {
		return fmt.Sprintf("%s:%d", id, w.ids)
	}
	return usual
}

func (w *world) clustered() bool { return len(w.members) > 1 || w.elastic != nil }

// claim is what the configuration of today gives to an instance.
func (w *world) claim(id string) backend.Claim {
	c := backend.Claim{Instance: id}
	if w.elastic != nil {
		return c
	}
	i := slices.Index(w.members, id)
	if i == w.omits {
		return c
	}
	var list []backend.VnodeRange
	for v, owner := range w.layout {
		if owner == i {
			list = append(list, backend.VnodeRange{First: v, Last: v})
		}
	}
	c.Vnodes = backend.ListVnodes(list...)
	return c
}

// relist gives a vnode to another instance, and restarts both: one after the other, as an operator does.
func (w *world) relist() {
	v, to := w.r.IntN(w.capacity), w.r.IntN(len(w.members))
	from := w.layout[v]
	if from == to {
		return
	}
	w.count("relist")
	w.sayf("RELIST v%d from %s to %s", v, w.members[from], w.members[to])
	w.layout[v] = to
	for _, i := range []int{from, to} {
		w.restart(w.members[i])
	}
}

// restart ends the processes of an instance and starts another.
func (w *world) restart(id string) {
	delete(w.absent, id)
	for _, p := range w.processes {
		if p.up && p.self.Instance == id {
			p.up = false
			w.count("restart")
		}
	}
	w.start(id)
}

// leader is the instance that coordinates, as far as the process knows.
func (p *process) leader() string {
	if p.w.elastic == nil || p.rec == nil {
		return p.w.home
	}
	return p.rec.Coordinator.Instance
}

// leads reports whether an instance coordinates by configuration.
func (w *world) leads(id string) bool { return w.elastic == nil && id == w.home }

// coordinate makes a call of the coordinator, wherever it is: here it is not lost.
func (p *process) coordinate(call func(*process)) {
	if p.coord != nil {
		call(p)
		return
	}
	p.w.tell(p, p.leader(), func(q *process) {
		if q.coord != nil {
			call(q)
		}
	})
}

// tellPeers tells every other instance, and every client, something.
func (p *process) tellPeers(call func(*process)) {
	for _, id := range p.w.members {
		if id != p.self.Instance {
			p.w.tell(p, id, call)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.clients)) {
		p.w.tell(p, id, call)
	}
}

// hear takes a record that another tells of. A coordinator that is none any more is told so.
func (p *process) hear(rec *backend.Record) {
	if p.coord != nil && p.w.mutation != reignsOn {
		p.carry(p.coord.Learn(rec))
	}
	if p.follow != nil {
		p.obey(p.follow.Learn(rec))
	}
}

// beaten takes what the coordinator of a term repeats: the open attempt, if any, the number of its newest record, and its plan.
func (p *process) beaten(from *process, term uint64, a vnode.Attempt, seq uint64, plan *actors.Plan, moving, atWork bool) {
	if p.follow == nil {
		return
	}
	p.object(from)
	if !p.follow.Heeds(term) {
		p.w.count("unheeded")
		return
	}
	if p.plan = plan; moving {
		p.moving = a
	}
	p.obey(p.follow.Opened(a, seq, atWork))
}

// object tells whoever speaks as the coordinator, and is none any more, of the record that says so. That goes to the id,
// and so to the one that is: the other learns no more than the term, when it connects again.
func (p *process) object(from *process) {
	rec := p.rec
	if from == p || rec == nil || rec.Coordinator == from.self {
		return
	}
	p.w.tell(p, from.self.Instance, func(q *process) { q.hear(rec) })
	p.w.tellProcess(p, from, func() {
		if from.follow != nil && rec.Term > from.rec.Term {
			from.obey(from.follow.Doubt())
		}
	})
}
