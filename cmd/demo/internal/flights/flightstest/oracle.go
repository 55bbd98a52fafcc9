package flightstest

import (
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/vnode"
)

// BoardOracle is a plain program's answer to the board job: the aggregate of exactly the rows within a cut.
type BoardOracle struct {
	prefix   *prefix
	airports flights.Board
}

// NewBoardOracle starts before the first row.
func NewBoardOracle(rows []flights.Flight, sources int) *BoardOracle {
	return &BoardOracle{newPrefix(rows, sources), flights.Board{}}
}

// Advance moves on to a cut; cuts grow. The error is a [*Mismatch].
func (o *BoardOracle) Advance(cut map[string]uint64) error {
	return o.prefix.advance(cut, func(f flights.Flight) {
		delay := int64(f.Delay)
		s, seen := o.airports[f.Origin]
		s.Flights++
		s.DelaySum += delay
		if !seen || delay > s.DelayMax {
			s.DelayMax = delay
		}
		if delay > 15 {
			s.Late++
		}
		o.airports[f.Origin] = s
	})
}

// Total returns the cut that holds every row.
func (o *BoardOracle) Total() map[string]uint64 { return o.prefix.total() }

// Board returns the answer at the newest cut. It is the oracle's own: it changes with the next Advance.
func (o *BoardOracle) Board() flights.Board { return o.airports }

// RouteDaysOracle is a plain program's answer to the routedays job.
type RouteDaysOracle struct {
	prefix   *prefix
	capacity int
	ops      vnode.KeyOps[flights.RouteDay]
	states   map[flights.RouteDay]flights.RouteDayState
	result   flights.RouteDays
}

// NewRouteDaysOracle starts before the first row. Capacity is the number of vnodes of the store it is compared with.
func NewRouteDaysOracle(rows []flights.Flight, sources, capacity int) *RouteDaysOracle {
	return &RouteDaysOracle{
		prefix:   newPrefix(rows, sources),
		capacity: capacity,
		ops:      vnode.NewKeyOps[flights.RouteDay](),
		states:   map[flights.RouteDay]flights.RouteDayState{},
		result:   flights.RouteDays{Vnodes: map[vnode.ID]flights.Digest{}},
	}
}

// Advance moves on to a cut; cuts grow. The error is a [*Mismatch].
func (o *RouteDaysOracle) Advance(cut map[string]uint64) error {
	return o.prefix.advance(cut, func(f flights.Flight) {
		key := flights.RouteDayKey(f)
		old, seen := o.states[key]
		s := flights.RouteDayState{Flights: old.Flights + 1, DelaySum: old.DelaySum + int64(f.Delay)}
		o.states[key] = s
		change := flights.DigestOf(key, s)
		if seen {
			change -= flights.DigestOf(key, old)
		} else {
			o.result.Keys++
		}
		o.result.Flights++
		o.result.Vnodes[vnode.Of(o.ops.Hash(key), o.capacity)] += change
	})
}

// Total returns the cut that holds every row.
func (o *RouteDaysOracle) Total() map[string]uint64 { return o.prefix.total() }

// RouteDays returns the answer at the newest cut. It is the oracle's own: it changes with the next Advance.
func (o *RouteDaysOracle) RouteDays() flights.RouteDays { return o.result }

// States returns all keys at the newest cut. The map is the oracle's own.
func (o *RouteDaysOracle) States() map[flights.RouteDay]flights.RouteDayState { return o.states }
