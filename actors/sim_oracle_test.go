package actors_test

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// violation is what the oracle panics with: an invariant and how it was broken.
type violation string

func failf(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }

// oracle checks the invariants at every step of a world, from what the store says and what was told to the outside.
type oracle struct {
	w        *world
	epochs   map[vnode.Epoch]uint64 // sealed epoch -> the result that it must have
	order    []vnode.Epoch
	taken    vnode.Epoch // by the sink
	emitted  int         // how many of order
	vnodes   []sealedVnode
	openings map[generation]bool
	replaced map[uuid.UUID]bool // incarnations that were in force
	served   map[uuid.UUID]bool // and those that knew it: others did nothing, and may come back
	asked    map[string]uint64  // by name of a producer: the newest record that one knew who asked to fence it; of a pin: the newest term
	since    map[string]uint64  // and the record that opened the generation in force
	longest  int                // chain
	retained int                // records
}

// sealedVnode is what must be sealed of a vnode: its keys, and how far it stands for every origin.
type sealedVnode struct {
	keys map[uint64]simState
	at   map[generation]uint64
}

// generation is one opening of a producer's name, or a source with generation 0.
type generation struct {
	name string
	n    uint64
}

func newOracle(w *world) *oracle {
	o := &oracle{w: w, epochs: map[vnode.Epoch]uint64{}, replaced: map[uuid.UUID]bool{}, openings: map[generation]bool{}, served: map[uuid.UUID]bool{}, asked: map[string]uint64{}, since: map[string]uint64{}}
	for range w.capacity {
		o.vnodes = append(o.vnodes, sealedVnode{keys: map[uint64]simState{}, at: map[generation]uint64{}})
	}
	return o
}

// record checks a record that has just become part of the ledger.
func (o *oracle) record(r *backend.Record) {
	prev := o.w.store.truth[r.Seq-1]
	switch {
	case r.Term < prev.Term, r.Emitted < prev.Emitted, r.High < prev.High, r.Generation < prev.Generation, r.Epoch < prev.Epoch,
		r.Floor.Seq < prev.Floor.Seq, r.Floor.K < prev.Floor.K, r.Assignment.Version < prev.Assignment.Version:
		failf("I1 record %d goes back", r.Seq)
	case r.Emitted > r.Epoch, r.Emitted > o.taken:
		failf("I6 record %d says that epoch %d was emitted, the sink has %d", r.Seq, r.Emitted, o.taken)
	case r.Floor.Seq > r.Seq, r.Floor.K > prev.Floor.K+1:
		failf("I9 record %d has floor %d", r.Seq, r.Floor)
	case len(r.Producers) > o.w.limits.Producers:
		failf("I8 record %d has %d names of producers", r.Seq, len(r.Producers))
	}
	o.assigned(r, prev)
	o.fenced(r, prev)
	o.pins(r, prev)
	o.longest = max(o.longest, r.LongestChain())
	o.retained = max(o.retained, int(r.Seq-r.Floor.Seq))
	if r.Epoch > prev.Epoch {
		o.seal(r, prev)
	}
}

// assigned checks what a record says of members, owners and sources.
func (o *oracle) assigned(r, prev *backend.Record) {
	a, old := r.Assignment, prev.Assignment
	if !slices.Equal(a.Members, old.Members) || !slices.Equal(a.Owners, old.Owners) || !slices.Equal(a.Sources, old.Sources) {
		if a.Version == old.Version {
			failf("I1 record %d is of another assignment under the same version %d", r.Seq, a.Version)
		}
	}
	for v := range old.Owners {
		from, owned := old.Owner(vnode.ID(v))
		if to, _ := a.Owner(vnode.ID(v)); o.w.elastic != nil && owned && from != to && slices.Contains(a.Members, from) && r.Epoch == prev.Epoch {
			failf("I2 record %d takes v%d from %s, which is a member, and seals nothing", r.Seq, v, o.w.who(from))
		}
	}
	for _, m := range old.Members {
		if _, replaced := a.InForce(m.Instance); replaced && !slices.Contains(a.Members, m) {
			o.replaced[m.Incarnation] = true
		}
	}
	for _, m := range a.Members {
		if o.w.elastic == nil && !slices.Contains(old.Members, m) && o.replaced[m.Incarnation] && o.served[m.Incarnation] {
			failf("I2 record %d: %s is in force again", r.Seq, o.w.who(m))
		}
	}
	for _, s := range old.Sources {
		if cut, _ := r.CutOf(s.Source); !slices.ContainsFunc(a.Sources, func(x vnode.SourceOwner) bool { return x.Source == s.Source }) && !cut.Ended {
			o.left(r, s.Source, cut.At)
		}
	}
}

// left checks that no vnode that lives on holds unsealed events of a source that has left the assignment (I5).
func (o *oracle) left(r *backend.Record, source string, cut uint64) {
	o.w.count("left")
	for _, p := range o.w.processes {
		for _, n := range p.vnodes {
			owner, _ := r.Assignment.Owner(n.id)
			if p.up && owner == p.self && n.rules != nil && (n.since == r.Assignment.SinceOf(p.self) || o.w.mutation == cameAgain) && n.rules.Standing(source).At > cut {
				failf("I5 record %d: %s leaves at %d, %s v%d stands at %d", r.Seq, source, cut, o.w.who(p.self), n.id, n.rules.Standing(source).At)
			}
		}
	}
}

// serves checks that a vnode answers only under a record that names its incarnation as the owner (I2).
func (o *oracle) serves(n *simVnode) {
	if n.view.Seq >= uint64(len(o.w.store.truth)) {
		return // a record that was told early
	}
	if owner, _ := o.w.store.truth[n.view.Seq].Assignment.Owner(n.id); owner != n.p.self {
		failf("I2 %s answers for v%d by record %d, where %v owns it", o.w.who(n.p.self), n.id, n.view.Seq, owner)
	}
}

// seal checks a record that seals an epoch.
func (o *oracle) seal(r, prev *backend.Record) {
	if uint64(r.Epoch) > r.High || r.Attempt.Number != uint64(r.Epoch) || r.Attempt.Term != r.Term || r.Attempt.Version != prev.Assignment.Version {
		failf("I1 record %d seals epoch %d by attempt %v, highest %d", r.Seq, r.Epoch, r.Attempt, r.High)
	}
	o.named(r, prev)
	sum := uint64(0)
	for v := range vnode.ID(o.w.capacity) {
		sum += o.vnode(r, prev, v)
	}
	o.epochs[r.Epoch] = sum
	o.order = append(o.order, r.Epoch)
	if waiting := len(o.order) - o.emitted; waiting > 4 {
		failf("I8 %d sealed epochs wait for the sink", waiting)
	}
}

// named checks that a seal newly names only segments that no collection can have looked for (I9).
func (o *oracle) named(r, prev *backend.Record) {
	for i := range r.Segments {
		s := &r.Segments[i]
		fresh := !slices.ContainsFunc(prev.Segments, func(old backend.SegmentRef) bool { return old.ID == s.ID })
		switch {
		case !fresh:
		case s.Epoch > prev.Epoch && s.Epoch <= r.Epoch:
			if s.Through < r.Epoch {
				o.w.count("folded")
			}
		default:
			failf("I9 epoch %d after %d newly names a segment of epoch %d", r.Epoch, prev.Epoch, s.Epoch)
		}
	}
}

// vnode checks one vnode of a sealed epoch (I2 to I5) and returns its share of the result.
func (o *oracle) vnode(r, prev *backend.Record, v vnode.ID) uint64 {
	owner, ok := prev.Assignment.Owner(v)
	if tip := r.Tips[v]; !ok || tip.Life.Incarnation != owner.Incarnation {
		failf("I2 epoch %d v%d was captured by %v, the owner is %v", r.Epoch, v, tip.Life, owner)
	}
	c, ok := o.w.store.read(r, v)
	if !ok {
		failf("I9 epoch %d v%d: a segment is missing", r.Epoch, v)
	}
	want := o.advance(r, v, &c)
	have, sum := loadSlice(c.deltas), uint64(0)
	for k, s := range have.All {
		if want.keys[k] != *s {
			failf("I4/I5 epoch %d v%d key %x: have %v, want %v (%v)", r.Epoch, v, k, *s, want.keys[k], want.at)
		}
		sum += digest(k, *s)
	}
	if have.Len() != len(want.keys) {
		failf("I4/I5 epoch %d v%d: have %d keys, want %d (%v)", r.Epoch, v, have.Len(), len(want.keys), want.at)
	}
	return sum
}

// advance applies to a vnode exactly the events that the cuts and positions of an epoch name, one after the other. A
// generation that is over may have gone further than any position says.
func (o *oracle) advance(r *backend.Record, v vnode.ID, c *chain) *sealedVnode {
	s := &o.vnodes[v]
	for _, cut := range r.Cuts {
		o.fold(s, v, generation{name: cut.Source}, cut.At)
	}
	for name, p := range c.producers {
		if g := (generation{name, p.Generation}); p.At > s.at[g] || r.GenerationOf(name) == g.n {
			o.fold(s, v, g, p.At)
		}
	}
	for g, at := range c.applied {
		if at > s.at[g] && r.GenerationOf(g.name) != g.n {
			o.fold(s, v, g, at)
		}
	}
	return s
}

func (o *oracle) fold(s *sealedVnode, v vnode.ID, g generation, to uint64) {
	from := s.at[g]
	if to < from {
		failf("I4 v%d: %v goes back from %d to %d", v, g, from, to)
	}
	s.at[g] = to
	for position := from + 1; position <= to; position++ {
		e, owner := o.w.event(g.name, g.n, position)
		switch {
		case owner != v:
		case e.deletes:
			delete(s.keys, e.key)
		default:
			state := s.keys[e.key]
			state.update(position)
			s.keys[e.key] = state
		}
	}
}

// asks notes that a process asks for a producer's name, and perhaps that another be retired, or for a pin.
func (o *oracle) asks(p *process, r actors.Request) {
	pin := r.Pin + r.Unpin
	o.asked[pin] = max(o.asked[pin], p.rec.Term)
	for _, name := range []string{r.Producer, r.Retire} {
		o.asked[name] = max(o.asked[name], p.rec.Seq)
	}
}

// fenced checks that a generation ends only for one who asked when it was in force: else whoever opened it has done
// nothing wrong.
func (o *oracle) fenced(r, prev *backend.Record) {
	for _, p := range prev.Producers {
		if n := r.GenerationOf(p.Name); n != p.Generation && o.asked[p.Name] < o.since[p.Name] {
			failf("I4 generation %d of %s is fenced by %d in record %d, which nobody has asked for since", p.Generation, p.Name, n, r.Seq)
		}
	}
	for _, p := range r.Producers {
		if p.Generation != prev.GenerationOf(p.Name) {
			o.since[p.Name] = r.Seq
		}
	}
}

// pins checks that a coordinator changes a pin only for one who asked in its term: another may have had its answer long ago.
func (o *oracle) pins(r, prev *backend.Record) {
	for i := range maxPins {
		name := fmt.Sprintf("pin%d", i)
		was, _ := prev.PinNamed(name)
		if now, _ := r.PinNamed(name); now != was && r.Writer == r.Coordinator && o.asked[name] < r.Term {
			failf("I8 pin %s is changed by record %d, which nobody has asked for in term %d", name, r.Seq, r.Term)
		}
	}
}

// opened checks that nobody else was given the same generation of a name.
func (o *oracle) opened(name string, n uint64) {
	g := generation{name, n}
	if o.openings[g] {
		failf("I4 generation %d of %s was given out twice", g.n, g.name)
	}
	o.openings[g] = true
}

// attached checks that whoever pushes the events of a source is not told at its opening of less than it was told to be
// sealed before: it has dropped that.
func (o *oracle) attached(s *simSource) {
	a := o.w.store.newest().Assignment
	reads := slices.ContainsFunc(a.Sources, func(x vnode.SourceOwner) bool {
		return x.Source == s.name && x.Owner != vnode.Unowned && a.Members[x.Owner] == s.p.self
	})
	if dropped := o.w.dropped[s.name]; reads && s.pushes && s.rules.Sealed() < dropped {
		failf("I8 %s is told at its opening to push again behind %d, and has dropped everything up to %d", s.name, s.rules.Sealed(), dropped)
	}
}

// durable checks that what a producer is told to be sealed is sealed.
func (o *oracle) durable(v vnode.ID, name string, n, position uint64) {
	if sealed := o.vnodes[v].at[generation{name, n}]; position > sealed {
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
	case o.order[o.emitted] != e:
		failf("I6 epoch %d was emitted after %d, between them lies %d", e, o.taken, o.order[o.emitted])
	}
	o.taken = e
	o.emitted++
	o.w.sayf("EMIT %d", e)
}

// believed checks that a record which a process acts on is the ledger's own.
func (o *oracle) believed(p *process, r *backend.Record) {
	if r.Seq >= uint64(len(o.w.store.truth)) || o.w.store.truth[r.Seq] != r {
		failf("I1 %s believes in record %d, which is not the ledger's", o.w.who(p.self), r.Seq)
	}
}

// deleted checks that no retained record and no pin names the segment (I9).
func (o *oracle) deleted(id uuid.UUID) {
	s := o.w.store
	check := func(all []backend.SegmentRef, what string, n uint64) {
		for i := range all {
			if all[i].ID == id {
				failf("I9 segment %d was deleted, %s %d names it", all[i].Epoch, what, n)
			}
		}
	}
	for seq := s.highestFloor(); seq < uint64(len(s.truth)); seq++ {
		check(s.truth[seq].Segments, "record", seq)
	}
	for _, pin := range s.newest().Pins {
		check(s.truth[pin.Seq].Segments, "the pin of record", pin.Seq)
	}
}

// missed checks that whoever misses a segment slept past a collection.
func (o *oracle) missed(r *backend.Record) {
	if !o.w.store.void(0, r.Seq) {
		failf("I9 a segment that record %d names is missing", r.Seq)
	}
}

// lacking describes a world that does not come to rest.
func (o *oracle) lacking() string {
	r := o.w.store.newest()
	s := fmt.Sprintf("record %d, epoch %d, cuts %v, emitted %d, taken %d, %+v", r.Seq, r.Epoch, r.Cuts, r.Emitted, o.taken, r.Assignment)
	for _, p := range o.w.processes {
		if p.up {
			s += "\n" + p.describe()
		}
	}
	return s
}

func (p *process) describe() string {
	if p.rec == nil {
		return p.w.who(p.self) + " knows no record"
	}
	s := fmt.Sprintf("%s knows record %d, open %v, packing %v, in force %v, claims %v", p.w.who(p.self), p.rec.Seq, p.open, p.packing, p.inForce(), p.claim.Vnodes)
	if p.coord != nil {
		at, due := p.coord.Deadline()
		plan, moving := p.coord.Plan()
		s += fmt.Sprintf(", lacks %v, conflict %v, due %v at %v, plan %v %v", p.coord.Lacks(), p.coord.Conflict(), due, at, plan, moving)
	}
	s += fmt.Sprintf(", awaits %d answers to %v, leaves %v", len(p.answers), p.questions, p.leaving)
	for _, n := range p.vnodes {
		s += fmt.Sprintf(", v%d lives %v changed %v holds %d", n.id, n.rules != nil, n.dirty, len(n.held))
	}
	for _, q := range p.sources {
		if q != nil {
			cut, cutting := q.rules.Cut()
			s += fmt.Sprintf(", %s reads at %d of %d, cut %v %v, barriers due %v, ready %v", q.name, q.rules.At(), q.rules.High(), cutting, cut, q.rules.Pending(), q.rules.Ready())
		}
	}
	for _, q := range p.producers {
		if q != nil {
			s += fmt.Sprintf(", %s at %d sealed %d over %v", q.name, q.rules.At(), q.freed, q.over)
		}
	}
	return s
}
