package actors

import (
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

// Places numbers instances, for tests.
type Places struct{ places places }

// Of returns an instance's number.
func (p *Places) Of(id string, members vnode.Assignment) uint16 { return p.places.of(id, members) }

// MaxDestinations is how many numbers there are.
const MaxDestinations = maxDestinations
