package actors_test

import (
	"fmt"
	"slices"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// oracle checks the invariants at every step of a world, from what the store says and what was told to the outside.
type oracle struct {
	w         *world
	epochs    map[vnode.Epoch]uint64 // sealed epoch -> the result that it must have
	order     []vnode.Epoch
	taken     vnode.Epoch // by the sink
	positions []map[generation]uint64
	cuts      map[namedCut]uint64
}

// namedCut is a cut that a source named: there must be one.
type namedCut struct {
	source  string
	attempt vnode.Attempt
	by      vnode.Member
}

// generation is one opening of a producer's name.
type generation struct {
	name string
	n    uint64
}

func newOracle(w *world) *oracle {
	o := &oracle{w: w, epochs: map[vnode.Epoch]uint64{}, cuts: map[namedCut]uint64{}}
	for range w.capacity {
		o.positions = append(o.positions, map[generation]uint64{})
	}
	return o
}

func failf(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }

// digest is the contribution of a key to a result.
func digest(k uint64, s simState) uint64 {
	x := k*0x9E3779B97F4A7C15 ^ s.H ^ s.N<<56
	return (x ^ x>>31) * 0xbf58476d1ce4e5b9
}

// record checks a record that has just become part of the ledger.
func (o *oracle) record(r *backend.Record) {
	prev := o.w.store.truth[r.Seq-1]
	switch {
	case r.Term < prev.Term, r.Emitted < prev.Emitted, r.High < prev.High, r.Floor.Seq < prev.Floor.Seq:
		failf("I1 record %d goes back", r.Seq)
	case r.Emitted > r.Epoch, r.Emitted > o.taken:
		failf("I6 record %d says that epoch %d was emitted, the sink has %d", r.Seq, r.Emitted, o.taken)
	case r.Floor.Seq > r.Seq:
		failf("I9 record %d has floor %d", r.Seq, r.Floor.Seq)
	}
	if r.Epoch == prev.Epoch {
		return
	}
	if r.Epoch < prev.Epoch || uint64(r.Epoch) <= prev.High && r.Term == prev.Term && uint64(r.Epoch) <= uint64(prev.Epoch) {
		failf("I1 epoch %d after %d", r.Epoch, prev.Epoch)
	}
	sum := uint64(0)
	for v := range vnode.ID(o.w.capacity) {
		sum += o.vnode(r, prev, v)
	}
	o.epochs[r.Epoch] = sum
	o.order = append(o.order, r.Epoch)
}

// vnode checks one vnode of a sealed epoch (I2 to I5) and returns its share of the result.
func (o *oracle) vnode(r, prev *backend.Record, v vnode.ID) uint64 {
	owner, ok := prev.Assignment.Owner(v)
	if tip := r.Tips[v]; !ok || tip.Life.Incarnation != owner.Incarnation {
		failf("I2 epoch %d v%d was captured by %v, the owner is %v", r.Epoch, v, tip.Life, owner)
	}
	deltas, producers, ok := o.w.store.read(r, v)
	if !ok {
		failf("I9 epoch %d v%d: a segment is missing", r.Epoch, v)
	}
	o.advance(v, producers)
	have := vnode.NewSlice(simKeys, simCodec{})
	for _, d := range deltas {
		if err := have.Load(d); err != nil {
			failf("I2 epoch %d v%d: %v", r.Epoch, v, err)
		}
	}
	want := o.expect(r, v)
	sum, n := uint64(0), 0
	for k, s := range have.All {
		if want[k] != *s {
			failf("I4/I5 epoch %d v%d key %x: have %v, want %v (cuts %v, producers %v)", r.Epoch, v, k, *s, want[k], r.Cuts, o.positions[v])
		}
		sum += digest(k, *s)
		n++
	}
	if n != len(want) {
		failf("I4/I5 epoch %d v%d: have %d keys, want %d", r.Epoch, v, n, len(want))
	}
	return sum
}

// advance notes the positions that an epoch seals; they never go back.
func (o *oracle) advance(v vnode.ID, producers vnode.Positions) {
	for name, p := range producers {
		g := generation{name, p.Generation}
		if p.At < o.positions[v][g] {
			failf("I4 v%d: %v goes back from %d to %d", v, g, o.positions[v][g], p.At)
		}
		o.positions[v][g] = p.At
	}
}

// expect folds exactly the events that the cuts and positions name, one after the other.
func (o *oracle) expect(r *backend.Record, v vnode.ID) map[uint64]simState {
	want := map[uint64]simState{}
	for _, c := range r.Cuts {
		o.fold(want, v, generation{name: c.Source}, c.At)
	}
	for g, at := range o.positions[v] {
		o.fold(want, v, g, at)
	}
	return want
}

func (o *oracle) fold(want map[uint64]simState, v vnode.ID, g generation, to uint64) {
	for position := uint64(1); position <= to; position++ {
		e, owner := o.w.event(g.name, g.n, position)
		if owner != v {
			continue
		}
		if e.deletes {
			delete(want, e.key)
			continue
		}
		s := want[e.key]
		s.update(position)
		want[e.key] = s
	}
}

// cut checks that a source names one cut per attempt.
func (o *oracle) cut(p *process, n actors.CutNamed) {
	key := namedCut{n.Source, n.Attempt, p.self}
	if old, ok := o.cuts[key]; ok && old != n.At {
		failf("I5 %s named two cuts for %v: %d and %d", n.Source, n.Attempt, old, n.At)
	}
	o.cuts[key] = n.At
}

// durable checks that what a producer is told to be sealed is sealed.
func (o *oracle) durable(v vnode.ID, name string, n, position uint64) {
	if sealed := o.positions[v][generation{name, n}]; position > sealed {
		failf("I4 v%d: %s was told that %d is durable, sealed is %d", v, name, position, sealed)
	}
}

// emit is the sink.
func (o *oracle) emit(e vnode.Epoch, result uint64) {
	want, sealed := o.epochs[e]
	switch {
	case !sealed:
		failf("I6 epoch %d was emitted, but not sealed", e)
	case result != want:
		failf("I6 epoch %d was emitted with another result than sealed", e)
	case e <= o.taken:
		return
	}
	at := slices.Index(o.order, e)
	if at > 0 && o.order[at-1] != o.taken {
		failf("I6 epoch %d was emitted after %d, between them lies %d", e, o.taken, o.order[at-1])
	}
	o.taken = e
	o.w.sayf("EMIT %d", e)
}

// believed checks that a record which a process acts on is the ledger's own.
func (o *oracle) believed(p *process, r *backend.Record) {
	if o.w.store.truth[r.Seq] != r {
		failf("I1 %s believes in record %d, which is not the ledger's", o.w.who(p.self), r.Seq)
	}
}

// reachable checks that no retained record names a deleted segment (I9).
func (o *oracle) reachable() {
	s := o.w.store
	for seq := s.highestFloor(); seq < uint64(len(s.truth)); seq++ {
		for i := range s.truth[seq].Segments {
			if key := s.truth[seq].Segments[i].Key(); s.segments[key] == nil {
				failf("I9 record %d names %s, which was deleted", seq, key)
			}
		}
	}
}

// unreadable checks that whoever misses a segment slept past a collection.
func (o *oracle) unreadable(r *backend.Record) {
	if !o.w.store.void(0, r.Seq) {
		failf("I9 a segment that record %d names is missing", r.Seq)
	}
}

// collected checks that partials are missing only for a merger that slept past a collection.
func (o *oracle) collected(p *process, s *merger.Sealed) {
	if newest := o.w.store.newest(); newest.Emitted < s.Epoch {
		failf("I9 %s misses the partials of epoch %d, which nobody emitted", o.w.who(p.self), s.Epoch)
	}
}

// lacking describes a world that does not come to rest.
func (o *oracle) lacking() string {
	r := o.w.store.newest()
	s := fmt.Sprintf("record %d, epoch %d, cuts %v, emitted %d, taken %d", r.Seq, r.Epoch, r.Cuts, r.Emitted, o.taken)
	for _, p := range o.w.processes {
		if p.up {
			s += "\n" + p.describe()
		}
	}
	return s
}

func (p *process) describe() string {
	s := fmt.Sprintf("%s knows record %d, open %v, packing %d", p.w.who(p.self), p.rec.Seq, p.open, len(p.packing))
	for _, n := range p.vnodes {
		s += fmt.Sprintf(", v%d lives %v changed %v holds %d", n.id, n.rules != nil, n.dirty, len(n.held))
	}
	for _, name := range p.names() {
		q := p.sources[name].rules
		cut, cutting := q.Cut()
		s += fmt.Sprintf(", %s reads at %d of %d, cut %v %v, barriers due %v, ready %v", name, q.At(), q.High(), cutting, cut, q.Pending(), q.Ready())
	}
	for _, name := range producerNames {
		if q := p.producers[name]; q != nil {
			s += fmt.Sprintf(", %s at %d unsealed %v", name, q.rules.At(), q.rules.Unsealed(q.rules.At()))
		}
	}
	return s
}
