package actors

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// Wire encodes and decodes messages between instances, for tests.
type Wire struct{ modes wireModes }

// NewWire makes a Wire.
func NewWire() (Wire, error) {
	modes, err := newWireModes()
	return Wire{modes}, err
}

// Batch encodes a batch.
func (Wire) Batch(b *vnode.Batch[uint64], events vnode.Codec[uint64]) ([]byte, error) {
	return batchFrame[uint64]{batch: b, events: events, limit: 1 << 20, reject: func(*vnode.Batch[uint64], int, error) {}, shorten: func(*vnode.Batch[uint64], uint64) {}}.Append(nil)
}

// Reply encodes a reply.
func (Wire) Reply(r vnode.Reply) []byte { return appendReply(nil, &r) }

// Captured encodes captures.
func (w Wire) Captured(c *Captured) ([]byte, error) { return w.modes.appendCaptured(nil, c) }

// Partials encodes partials.
func (Wire) Partials(p merger.Partials) []byte { return appendPartials(nil, p) }

// Control encodes a message that has no form of its own.
func (w Wire) Control(message any) ([]byte, error) {
	c, err := controlOf(message)
	if err != nil {
		return nil, err
	}
	return w.modes.appendControl(nil, c)
}

// Decode decodes any frame but a record's. Of a control message it returns what was encoded.
func (w Wire) Decode(frame []byte, events vnode.Codec[uint64], capacity int) (any, error) {
	if len(frame) == 0 {
		return nil, errWire
	}
	switch body := frame[1:]; frame[0] {
	case wireBatch:
		b := &vnode.Batch[uint64]{}
		err := decodeBatch(body, events, capacity, b, func(uint64, error) {})
		return b, err
	case wireReply:
		return decodeReply(body)
	case wireCaptured:
		return w.modes.decodeCaptured(body)
	case wirePartials:
		return decodePartials(body)
	case wireControl:
		var c control
		err := w.modes.dec.Unmarshal(body, &c)
		return &c, err
	}
	return nil, errWire
}

// Messages to the coordinator that tests encode.
var (
	Want   any = want{}
	Demand any = demand{}
)

// WorkingOn is the message that says so of an attempt.
func WorkingOn(a vnode.Attempt) any { return working{a} }

// Places numbers instances, for tests.
type Places struct{ places places }

// Of returns an instance's number.
func (p *Places) Of(id string, members vnode.Assignment) uint16 { return p.places.of(id, members) }

// MaxDestinations is how many numbers there are.
const MaxDestinations = maxDestinations

// Prefetch is what an instance of an elastic cluster loads of vnodes that are to move to it, for tests.
type Prefetch struct {
	in *Instance[string, int, int, int]
}

// NewPrefetch makes one that has loaded some vnodes.
func NewPrefetch(loaded ...vnode.ID) Prefetch {
	in := &Instance[string, int, int, int]{stretch: stretch{planAt: make(chan struct{}, 1)}}
	in.cfg.Cluster = &ClusterConfig{Elastic: &ElasticConfig{}}
	in.loads.slices = map[vnode.ID]*load[string, int]{}
	for _, v := range loaded {
		in.loads.slices[v] = &load[string, int]{}
	}
	return Prefetch{in}
}

// Told takes what the coordinator plans, and reports whether what is loaded is looked at.
func (p Prefetch) Told(plan *Plan) bool {
	p.in.told(beat{Plan: plan})
	select {
	case <-p.in.planAt:
		return true
	default:
		return false
	}
}

// Keep keeps what is planned or owned, and returns what is to be loaded, and what is loaded then.
func (p Prefetch) Keep(comes, owned []vnode.ID) (to, loaded []vnode.ID) {
	had := p.in.loads.keep(comes, func(v vnode.ID) bool { return slices.Contains(owned, v) })
	return slices.Sorted(maps.Keys(had)), slices.Sorted(maps.Keys(p.in.loads.slices))
}

// Reading is a source while it runs, for tests: what vnodes say goes to it, and its rules tell what it reads for whom.
type Reading struct {
	*SourceRules
	source *source[string, int]
}

// NewReading makes one that stands at the cut of a view.
func NewReading(name string, view *vnode.View) Reading {
	n := len(view.Assignment.Owners)
	s := &source[string, int]{name: name, rules: NewSourceRules(name, view), inbox: newInbox[toSource](), buffers: make([]vnode.Run[int], n), flights: make([]atomic.Int32, n)}
	return Reading{s.rules, s}
}

// Fly notes that a batch is under way to a vnode.
func (r Reading) Fly(v vnode.ID) { r.source.flights[v].Add(1) }

// Hear makes it take what vnodes say.
func (r Reading) Hear(replies ...vnode.Reply) {
	for _, x := range replies {
		r.source.answer(x)
	}
	r.source.attend()
}
