package sheaftest

import (
	"fmt"
	"sync"

	"github.com/sheaf-go/sheaf"
)

// panics makes updates panic now and then, once per event, after they have changed the state.
type panics struct {
	seed uint64
	mu   sync.Mutex // guards met
	met  map[string]bool
}

// panicEvery is how many events lie between two that panic.
const panicEvery = 53

func newPanics(seed uint64) *panics { return &panics{seed: seed, met: map[string]bool{}} }

// strikes reports whether the event panics this time.
func (p *panics) strikes(origin string, position uint64) bool {
	if (position+p.seed*7)%panicEvery != 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := fmt.Sprint(origin, position)
	again := p.met[id]
	p.met[id] = true
	return !again
}

func (p *panics) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.met)
}

// around is an update that panics as p says.
func around[E, S any](p *panics, update func(*sheaf.Turn, *S, E) error) func(*sheaf.Turn, *S, E) error {
	return func(turn *sheaf.Turn, s *S, e E) error {
		err := update(turn, s, e)
		if p.strikes(turn.Origin(), turn.Position()) {
			panic("injected by sheaftest")
		}
		return err
	}
}
