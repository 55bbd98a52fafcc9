package actors_test

import (
	"fmt"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

// turn is what a step takes.
const turn = 12 * time.Millisecond

// dials are what differs from seed to seed beside the order of things. The first seven are chances.
type dials struct {
	loss    float64 // of a message
	repeat  float64 // that a message comes twice
	putLoss float64 // of a request to the store, or of its answer
	sleep   float64 // that a request takes long
	chaos   float64 // of a fault in a step
	mends   float64 // that a partition ends, in a step
	pushes  float64 // of an event from a plain producer in a turn

	capacity  int
	instances int
	clients   bool // plain producers are also in processes of their own
	origins   []simOrigin
	reads     int  // events that a source reads at most in a turn
	window    int  // how many calls may overtake another
	scatter   bool // an attempt's captures go into two segments
	policy    backend.CompactionPolicy
}

// populate draws who the members are, and who has what.
func (w *world) populate() {
	if w.chance(.5) {
		w.stretch()
		w.instances += w.r.IntN(2)
	}
	for i := range w.instances {
		w.members = append(w.members, fmt.Sprintf("n%d", i))
	}
	w.home = w.members[w.r.IntN(w.instances)]
	w.omits = w.r.IntN(w.instances)
	if w.clustered() && w.chance(.5) {
		w.omits = -1
	}
	for range w.capacity {
		w.layout = append(w.layout, w.r.IntN(w.instances))
	}
	for range w.origins {
		w.deal = append(w.deal, w.members[w.r.IntN(w.instances)])
	}
}

func (w *world) draw() dials {
	pick := func(x ...float64) float64 { return x[w.r.IntN(len(x))] }
	length := func() uint64 {
		if w.chance(.03) {
			return w.r.Uint64N(3)
		}
		return 20 + w.r.Uint64N(200)
	}
	d := dials{
		loss: pick(0, .02, .05, .1), repeat: pick(0, .03, .1), putLoss: pick(0, .05, .2), sleep: pick(0, .02, .05),
		chaos: pick(.002, .005, .01, .015), mends: pick(.005, .015, .04), capacity: 4, instances: int(pick(1, 2, 2, 3)), clients: w.chance(.3), pushes: pick(.05, .2, .4), reads: 1 + w.r.IntN(8), window: 2 + w.r.IntN(30), scatter: w.chance(.3),
		origins: []simOrigin{{name: "s0", length: length()}, {name: "s1", length: length()}},
		policy:  backend.CompactionPolicy{MaxChain: 3 + w.r.IntN(4), Slack: int64(pick(1, 1<<20)), Part: int64(pick(1, 1<<20))},
	}
	if w.chance(.4) {
		d.origins = append(d.origins, simOrigin{name: "r0", length: length() / 2, pushes: true})
	}
	return d
}
