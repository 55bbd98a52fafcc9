package actors_test

import (
	"fmt"
	"math/rand/v2"
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
//	sim_fault       what goes wrong
//	sim_process     a process: coordinator, who attaches what, who is told what
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

	now       time.Duration
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

// dials are what differs from seed to seed beside the order of things. The first six are chances.
type dials struct {
	loss    float64 // of a message
	repeat  float64 // that a message comes twice
	putLoss float64 // of a request to the store, or of its answer
	sleep   float64 // that a request takes long
	chaos   float64 // of a fault in a step
	pushes  float64 // of an event from a plain producer in a turn

	capacity int
	origins  []simOrigin
	reads    int  // events that a source reads at most in a turn
	window   int  // how many calls may overtake another
	scatter  bool // an attempt's captures go into two segments
	policy   backend.CompactionPolicy
}

func newWorld(seed uint64, m mutation, trace func(string)) *world {
	w := &world{
		r: rand.New(rand.NewPCG(seed, 0x5eaf)), mutation: m, faults: map[string]int{}, trace: trace,
	}
	w.dials = w.draw()
	w.limits = actors.CoordinatorLimits{
		Interval: 4 * time.Millisecond, Timeout: 40 * time.Millisecond, Retain: 4 + w.r.IntN(12), Step: 1 + w.r.IntN(6),
		Producers: maxProducers, Sources: len(w.origins), Folds: backend.CompactionPolicy{MaxChain: 1 << 20, Slack: 1 << 50},
	}
	w.store = newSimStore(w.capacity)
	w.oracle = newOracle(w)
	return w
}

func (w *world) draw() dials {
	pick := func(x ...float64) float64 { return x[w.r.IntN(len(x))] }
	length := func() uint64 { return 20 + w.r.Uint64N(200) }
	d := dials{
		loss: pick(0, .02, .05, .1), repeat: pick(0, .03, .1), putLoss: pick(0, .05, .2), sleep: pick(0, .02, .05),
		chaos: pick(.002, .005, .01, .015), capacity: 4, pushes: pick(.05, .2, .4), reads: 1 + w.r.IntN(8), window: 2 + w.r.IntN(30), scatter: w.chance(.3),
		origins: []simOrigin{{name: "s0", length: length()}, {name: "s1", length: length()}},
		policy:  backend.CompactionPolicy{MaxChain: 3 + w.r.IntN(4), Slack: int64(pick(1, 1<<20))},
	}
	if w.chance(.4) {
		d.origins = append(d.origins, simOrigin{name: "r0", length: length() / 2, pushes: true})
	}
	return d
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

// send delivers a message of a process to itself: later, never, or twice.
func (w *world) send(p *process, call func()) {
	if w.chance(w.loss) {
		w.count("lost")
		return
	}
	w.post(p, call)
	if w.chance(w.repeat) {
		w.count("repeated")
		w.post(p, call)
	}
}

// post makes a call that cannot be lost but by a crash of p.
func (w *world) post(p *process, call func()) {
	w.pending.put(pendingCall{p: p, call: call})
}

// request makes a step of I/O, which may take long; without a process it goes on after a crash.
func (w *world) request(p *process, call func()) {
	c := pendingCall{p: p, call: call}
	if w.chance(w.sleep) {
		c.at = w.now + time.Duration(w.r.Int64N(int64(80*time.Millisecond)))
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
	w.now += time.Millisecond / 2
	switch x := w.r.Float64(); {
	case x < w.chaos:
		w.fault()
	case x < .7 && w.pending.len() > 0:
		for range 1 + w.r.IntN(12) {
			w.happen()
		}
	default:
		if p := w.any((*process).awake); p != nil {
			p.tick()
		} else if w.chance(.05) {
			w.revive()
		}
	}
}

// happen makes one of the oldest pending calls, if it can be made now; else it comes after all others.
func (w *world) happen() {
	n := w.pending.len()
	if n == 0 {
		return
	}
	c := w.pending.take(w.r.IntN(min(n, w.window)))
	switch {
	case c.p != nil && !c.p.up:
	case c.at > w.now, c.p != nil && c.p.paused:
		w.pending.put(c)
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
	return p.up && (p.coord == nil || newest.Coordinator == p.self || p.rec.Term == newest.Term)
}

// run lets the schedule run, then heals everything: all events must come to be sealed and emitted, and then nothing
// more may be written.
func (w *world) run(steps int) {
	w.start()
	for range steps {
		w.step()
	}
	w.heal()
	w.within(4000, w.settled, "not everything was sealed and emitted")
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
	w.pending.hurry()
	for _, p := range w.processes {
		p.paused = false
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
	w.now += time.Millisecond
	if w.any((*process).reigns) == nil {
		w.start()
	}
	for _, p := range w.processes {
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
	return w.oracle.taken == r.Epoch && r.Emitted == r.Epoch
}

// bounded reports whether chains are as short, and the records kept as few, as was asked for (I8). Both may be
// exceeded while folds and floors are on their way, and enter with records: events must flow.
func (w *world) bounded() bool {
	r := w.store.newest()
	return r.LongestChain() <= w.policy.MaxChain && r.Seq-r.Floor.Seq < uint64(w.limits.Retain+w.limits.Step)
}

// calm reports whether nobody has anything to do any more.
func (w *world) calm() bool {
	for _, p := range w.processes {
		if !p.up {
			continue
		}
		if p.coord == nil || !p.attached() || p.folding > 0 || slices.ContainsFunc(p.vnodes, (*simVnode).busy) {
			return false
		}
		if _, due := p.coord.Deadline(); due {
			return false
		}
	}
	return w.pending.len() == 0 && w.any((*process).reigns) != nil && w.settled()
}
