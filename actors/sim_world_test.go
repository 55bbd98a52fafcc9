package actors_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

var (
	sourceNames   = []string{"s0", "s1"}
	producerNames = []string{"p0", "p1"}
)

// mutation names a rule that a simulated shell breaks on purpose, to show that the oracle sees it.
type mutation string

const (
	noMutation        mutation = ""
	earlyEmit         mutation = "emit before the seal"
	noPositions       mutation = "events taken without their position"
	deltaSinceCapture mutation = "delta since the last capture instead of the last seal"
	freedOnAck        mutation = "history freed on ack instead of on seal"
	toldEarly         mutation = "told before the create is known"
	unaligned         mutation = "no cut check and no alignment"
	noLives           mutation = "no lives"
	floorUnchecked    mutation = "floor unchecked"
)

var mutations = []mutation{
	earlyEmit, noPositions, deltaSinceCapture, freedOnAck, toldEarly, unaligned, noLives, floorUnchecked,
}

// violation is what the oracle panics with: an invariant and how it was broken.
type violation string

// simEvent is one event of an origin. Keys belong to one origin and generation, so the expected state of a key follows
// from that origin's position alone.
type simEvent struct {
	position uint64
	key      uint64
	deletes  bool
}

// world is one seeded schedule: processes over a store, in one goroutine, in virtual time.
type world struct {
	seed     uint64
	r        *rand.Rand
	mutation mutation
	capacity int
	events   uint64 // of each source
	limits   actors.CoordinatorLimits

	loss, repeat, putLoss, chaos float64

	now       time.Duration
	ids       uint64
	store     *simStore
	processes []*process
	pending   []pendingCall
	oracle    *oracle
	quiet     bool
	faults    map[string]int
	trace     func(string)
}

// pendingCall is something that will happen, at an arbitrary time. Of a process: not while it is paused, never after it
// crashed. Of nobody: in any case, as a request that is on its way to the store.
type pendingCall struct {
	p    *process
	call func()
}

func newWorld(seed uint64, m mutation, trace func(string)) *world {
	w := &world{
		seed: seed, r: rand.New(rand.NewPCG(seed, 0x5eaf)), mutation: m, capacity: 4, events: 200,
		faults: map[string]int{}, trace: trace,
	}
	pick := func(x ...float64) float64 { return x[w.r.IntN(len(x))] }
	w.loss, w.repeat, w.putLoss, w.chaos = pick(0, .02, .08, .15), pick(0, .03, .1), pick(0, .05, .2), pick(.001, .003, .006, .01)
	w.limits = actors.CoordinatorLimits{
		Interval: 5 * time.Millisecond, Timeout: 60 * time.Millisecond, Retain: 4 + w.r.IntN(12), Step: 1 + w.r.IntN(6), Producers: 8, Sources: 8,
	}
	w.store = newSimStore(w.capacity)
	w.oracle = newOracle(w)
	return w
}

func (w *world) chance(p float64) bool { return w.r.Float64() < p }

func (w *world) count(fault string) { w.faults[fault]++ }

func (w *world) sayf(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf(format, args...))
	}
}

func (w *world) who(m vnode.Member) string {
	return fmt.Sprintf("%s/%d", m.Instance, m.Incarnation[15])
}

// hint is what the head object says: it may lag or be lost.
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
func (w *world) post(p *process, call func()) { w.pending = append(w.pending, pendingCall{p, call}) }

// later is post; it marks a step of I/O, which may land after its process crashed if p is nil.
func (w *world) later(p *process, call func()) { w.post(p, call) }

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
	case x < w.chaos && !w.quiet:
		w.fault()
	case x < .75 && len(w.pending) > 0:
		for range 1 + w.r.IntN(12) {
			w.happen()
		}
	default:
		if p := w.any(func(p *process) bool { return p.up && !p.paused }); p != nil {
			p.tick()
		}
	}
}

// happen makes one pending call.
func (w *world) happen() {
	n := len(w.pending)
	if n == 0 {
		return
	}
	i := w.r.IntN(n)
	c := w.pending[i]
	if c.p != nil && c.p.up && c.p.paused {
		return
	}
	w.pending[i] = w.pending[n-1]
	w.pending = w.pending[:n-1]
	if c.p == nil || c.p.up {
		c.call()
	}
}

func (w *world) any(which func(*process) bool) *process {
	var fit []*process
	for _, p := range w.processes {
		if which(p) {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[w.r.IntN(len(fit))]
}

// fault crashes, pauses, wakes or starts a process, or panics a vnode.
func (w *world) fault() {
	up := func(p *process) bool { return p.up }
	awake := func(p *process) bool { return p.up && !p.paused }
	p := w.any(up)
	switch x := w.r.Float64(); {
	case p == nil || (w.any(awake) == nil && x < .5):
		w.start()
	case x < .25:
		w.crash(p)
	case x < .45 && !p.paused:
		w.sayf("PAUSE %s", w.who(p.self))
		p.paused = true
		w.count("pause")
	case x < .65:
		w.sayf("WAKE %s", w.who(p.self))
		p.paused = false
	case !p.paused:
		v := p.vnodes[w.r.IntN(w.capacity)]
		w.sayf("PANIC %s v%d", w.who(p.self), v.id)
		v.restore()
		w.count("panic")
	}
}

func (w *world) crash(p *process) {
	w.sayf("CRASH %s", w.who(p.self))
	w.count("crash")
	p.up = false
}

// run lets the schedule run, then heals everything: all events must come to be sealed and emitted, and then nothing
// more may be written.
func (w *world) run(steps int) {
	for range steps {
		w.step()
	}
	w.sayf("QUIET")
	w.quiet, w.loss, w.repeat, w.putLoss = true, 0, 0, 0
	for _, p := range w.processes {
		p.paused = false
	}
	if w.any(func(p *process) bool { return p.up }) == nil {
		w.start()
	}
	for round := 0; !w.settled(); round++ {
		if round > 4000 {
			panic(violation("liveness: not everything was sealed and emitted: " + w.oracle.lacking()))
		}
		w.rest()
	}
	w.idle()
}

// rest is a step without faults in which much happens.
func (w *world) rest() {
	w.now += time.Millisecond
	if w.any(func(p *process) bool { return p.up }) == nil {
		w.start()
	}
	for _, p := range w.processes {
		if p.up {
			p.tick()
		}
	}
	for range len(w.pending) {
		w.happen()
	}
}

func (w *world) settled() bool {
	r := w.store.newest()
	for _, s := range sourceNames {
		if c, ok := r.CutOf(s); !ok || c.At != w.events || !c.Ended {
			return false
		}
	}
	for _, p := range w.processes {
		for _, q := range p.producers {
			if p.up && q.rules.Unsealed(q.rules.At()) {
				return false
			}
		}
	}
	return w.oracle.taken == r.Epoch && r.Emitted == r.Epoch
}

// idle shows that an idle system writes nothing.
func (w *world) idle() {
	for range 40 {
		w.rest()
	}
	before := w.store.newest().Seq
	for range 100 {
		w.rest()
	}
	if after := w.store.newest().Seq; after != before {
		panic(violation(fmt.Sprintf("idle, but %d records were written", after-before)))
	}
}
