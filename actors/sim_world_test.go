package actors_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// The simulator runs processes over one store, in one goroutine and in virtual time. Whatever can vary is drawn from a
// seed, so a seed is a schedule. The rules are the real ones; around them stand simulated shells:
//
//	sim_world       what happens next, and the quiet end in which everything must be sealed and emitted
//	sim_draw        what differs from seed to seed
//	sim_fault       what goes wrong
//	sim_network     what lies between processes: messages, partitions, who claims what
//	sim_process     a process: coordinator, who attaches what, who is told what
//	sim_follower    a process that does not coordinate, and what it asks for
//	sim_checkpoint  segments, compaction, the merger and the sink
//	sim_vnode, sim_source, sim_producer
//	sim_ledger      appends, floors, collection, a tool that pins
//	sim_store       objects
//	sim_oracle      the invariants, checked at every record and at whatever leaves the system
//	sim_mutation    rules that can be broken on purpose

// world is one schedule.
type world struct {
	r        *rand.Rand
	mutation mutation
	dials
	limits actors.CoordinatorLimits

	members []string        // instances
	elastic *actors.Elastic // nil: the members are fixed
	absent  map[string]bool // members of an elastic world that have left
	choosy  bool            // not every member of an elastic world can read every source
	home    string          // where the coordinator, the merger and the sink of a fixed one are
	layout  []int           // by vnode: the member that the configuration gives it to
	omits   int             // the member that lists no vnodes and gets the rest; -1: each lists its own
	deal    []string        // by origin: the instance that attaches it

	now       time.Duration
	cuts      map[link]bool
	dropped   map[string]uint64          // by source: sealed, and told so to whoever pushes
	late      time.Duration              // when the coordinator's instance restarts in the quiet end; 0: never
	named     map[string]actors.CutNamed // newest of each source
	ids       uint64
	store     *simStore
	processes []*process
	pending   queue
	oracle    *oracle
	quiet     bool
	flows     bool          // plain producers go on in the quiet end
	sinkFails time.Duration // until then
	faults    map[string]int
	trace     func(string)
}

func newWorld(seed uint64, m mutation, trace func(string)) *world {
	w := &world{
		r: rand.New(rand.NewPCG(seed, 0x5eaf)), mutation: m, faults: map[string]int{}, trace: trace,
		cuts: map[link]bool{}, absent: map[string]bool{}, named: map[string]actors.CutNamed{}, dropped: map[string]uint64{},
	}
	w.dials = w.draw()
	w.limits = actors.CoordinatorLimits{
		Interval: 6 * turn, Timeout: 80 * turn, Retain: 4 + w.r.IntN(12), Step: 1 + w.r.IntN(6),
		Producers: maxProducers, Sources: len(w.origins), Folds: backend.CompactionPolicy{MaxChain: 1 << 20, Slack: 1 << 50},
	}
	w.populate()
	w.store = newSimStore(w.capacity)
	w.oracle = newOracle(w)
	return w
}

func (w *world) chance(p float64) bool { return w.r.Float64() < p }

func (w *world) count(what string) { w.faults[what]++ }

func (w *world) sayf(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf("%v "+format, append([]any{w.now}, args...)...))
	}
}

func (w *world) who(m vnode.Member) string {
	return fmt.Sprintf("%s/%d", m.Instance, int(m.Incarnation[14])<<8|int(m.Incarnation[15]))
}

// hint is what the head object says: it may lag.
func (w *world) hint() uint64 {
	newest := w.store.newest().Seq
	return newest - min(newest, uint64(w.r.IntN(8)))
}

// post makes a call that cannot be lost but by a crash of p.
func (w *world) post(p *process, call func()) {
	w.pending.put(pendingCall{p: p, call: call})
}

// request makes a step of I/O, which may take long; without a process it goes on after a crash.
func (w *world) request(p *process, call func()) {
	c := pendingCall{p: p, call: call}
	if w.chance(w.sleep) {
		c.at = w.now + time.Duration(w.r.Int64N(int64(160*turn)))
	}
	w.pending.put(c)
}

// event is a pure function of its name.
func (w *world) event(origin string, generation, position uint64) (simEvent, vnode.ID) {
	x := (uint64(origin[0])<<8|uint64(origin[1]))<<40 ^ generation<<20 ^ position
	x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>32) * 0x94d049bb133111eb
	x ^= x >> 31
	key := uint64(origin[0])<<48 | uint64(origin[1])<<40 | generation<<8 | (x>>8)%5
	return simEvent{position: position, key: key, deletes: x>>32%7 == 0}, vnode.ID(x % uint64(w.capacity))
}

// step is one random thing.
func (w *world) step() {
	w.now += turn
	if len(w.cuts) > 0 && w.chance(w.mends) {
		w.mend()
	}
	switch x := w.r.Float64(); {
	case x < w.chaos:
		w.fault()
	case x < .7 && w.pending.len() > 0:
		for range 1 + w.r.IntN(12*w.instances) {
			w.happen()
		}
	default:
		w.turn()
	}
}

// turn gives a turn to a process, or where there are several instances to most; and if an instance has none that is
// awake it may come back.
func (w *world) turn() {
	if p := w.any((*process).awake); p != nil && !w.clustered() {
		p.tick()
		return
	}
	for _, id := range w.everyone() {
		awake := false
		for _, p := range slices.Clone(w.processes) {
			if !p.is(id) || !p.awake() {
				continue
			}
			if awake = true; w.chance(.9) {
				p.tick()
			}
		}
		if !awake && w.chance(.05) && (!w.absent[id] || w.chance(.1)) {
			w.revive(id)
		}
	}
}

// everyone lists the ids under which there are processes.
func (w *world) everyone() []string {
	if w.clustered() && w.clients {
		return append(slices.Clone(w.members), client)
	}
	return w.members
}

// happen makes one of the oldest pending calls, if it can be made now; else it comes after all others.
func (w *world) happen() {
	n := w.pending.len()
	if n == 0 {
		return
	}
	c := w.pending.take(w.r.IntN(min(n, w.window)))
	p := c.p
	if c.to != "" {
		if p = w.listener(c.to); p == nil {
			return
		}
	}
	switch {
	case p != nil && !p.up:
	case c.from != nil && w.cuts[link{c.from, p}]:
		w.count("cut")
	case c.from != nil && p.paused && w.chance(.2): // its buffers are full
	case c.at > w.now, p != nil && p.paused:
		w.pending.put(c)
	case c.to != "":
		c.tell(p)
	default:
		c.call()
	}
}

// any picks a process; nil if there is none.
func (w *world) any(which func(*process) bool) *process {
	var picked *process
	n := 0
	for _, p := range w.processes {
		if which(p) {
			if n++; w.r.IntN(n) == 0 {
				picked = p
			}
		}
	}
	return picked
}

func (p *process) running() bool { return p.up }
func (p *process) awake() bool   { return p.up && !p.paused }

// reigns reports whether the newest record names the process, or it is about to try.
func (p *process) reigns() bool {
	newest := p.w.store.newest()
	if p.w.elastic != nil {
		return p.up && p.coord != nil && newest.Coordinator == p.self
	}
	return p.up && p.self.Instance == p.w.home && (p.coord == nil || newest.Coordinator == p.self || p.rec.Term == newest.Term)
}

// run lets the schedule run, then heals everything: all events must come to be sealed and emitted, and then nothing
// more may be written.
func (w *world) run(steps int) {
	for _, id := range w.everyone() {
		w.start(id)
	}
	for range steps {
		w.step()
	}
	w.heal()
	w.within(4000, w.settled, "not everything was sealed and emitted")
	w.within(1000, w.balanced, "vnodes are not shared out evenly")
	w.within(1000, w.calm, "something is still to be done")
	before := w.store.newest().Seq
	for range 10 {
		w.rest()
	}
	if after := w.store.newest().Seq; after != before {
		failf("idle, but %d records were written", after-before)
	}
	w.flows = true
	w.within(2000, w.bounded, "chains and records are not kept within their bounds")
}

func (w *world) heal() {
	w.sayf("QUIET")
	w.quiet, w.loss, w.repeat, w.putLoss, w.sleep, w.sinkFails, w.window, w.reads = true, 0, 0, 0, 0, 0, 8, 20
	w.mend()
	w.pending.hurry()
	w.reunite()
	for _, p := range w.processes {
		p.paused = false
	}
	if w.clustered() && w.chance(.3) { // with an attempt that may be open, and perhaps nothing more to come
		w.late = w.now + time.Duration(w.r.Int64N(int64(60*turn)))
	}
	for _, id := range w.members {
		if w.elastic == nil && slices.ContainsFunc(w.processes, func(p *process) bool {
			return p.up && p.self.Instance == id && !reflect.DeepEqual(p.claim, w.claim(id))
		}) {
			w.restart(id)
		}
	}
}

// within rests until something holds.
func (w *world) within(rounds int, holds func() bool, what string) {
	for range rounds {
		if holds() {
			return
		}
		w.rest()
	}
	failf("liveness: %s: %s", what, w.oracle.lacking())
}

// rest is a step without faults in which much happens.
func (w *world) rest() {
	w.now += 2 * turn
	if w.late > 0 && w.now >= w.late {
		w.late = 0
		w.restart(w.home)
	}
	if w.elastic == nil && w.any((*process).reigns) == nil {
		w.start(w.home)
	}
	for _, id := range w.everyone() {
		if !w.absent[id] && !w.leads(id) && w.any(func(p *process) bool { return p.up && p.is(id) }) == nil {
			w.start(id)
		}
	}
	for _, p := range slices.Clone(w.processes) {
		if p.up {
			p.tick()
		}
	}
	for range w.pending.len() {
		w.happen()
	}
}

func (w *world) settled() bool {
	r := w.store.newest()
	for _, o := range w.origins {
		if c, ok := r.CutOf(o.name); !ok || c.At != o.length || !c.Ended {
			return false
		}
	}
	for _, p := range w.processes {
		for _, q := range p.producers {
			if p.up && q.unsealed() {
				return false
			}
		}
	}
	return w.late == 0 && w.oracle.taken == r.Epoch && r.Emitted == r.Epoch
}

// bounded reports whether chains are as short, and the records kept as few, as was asked for (I8), but for the segment of
// the epoch with which a fold enters. Both may be exceeded while folds and floors are on their way, and enter with records:
// events must flow.
func (w *world) bounded() bool {
	r := w.store.newest()
	return r.LongestChain() <= w.policy.MaxChain+1 && r.Seq-r.Floor.Seq < uint64(w.limits.Retain+w.limits.Step)
}

// calm reports whether nobody has anything to do any more.
func (w *world) calm() bool {
	for _, id := range w.everyone() {
		if !w.absent[id] && w.any(func(p *process) bool { return p.up && p.is(id) }) == nil {
			return false
		}
	}
	for _, p := range w.processes {
		if !p.up {
			continue
		}
		if !p.began() || !p.attached() || p.folding > 0 || slices.ContainsFunc(p.vnodes, (*simVnode).busy) {
			return false
		}
		if p.leaving {
			return false
		}
		if p.coord == nil {
			continue
		}
		if _, due := p.coord.Deadline(); due || (w.clustered() && p.rec.Term < w.store.newest().Term) {
			return false
		}
	}
	return w.pending.len() == 0 && w.any((*process).reigns) != nil && w.settled()
}
