package actors

import (
	"errors"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// Between instances a message is a frame of the transport: one byte that says which, and a body. Format 1, integers are
// unsigned varints, text is its length and its bytes:
//
//	1 batch     vnode, header, base, number of events (4 bytes, little-endian), and of each its slot (8 bytes,
//	            little-endian) and its text
//	2 reply     kind, vnode, text origin, generation, standing, sealed, barrier, version, round
//	3 record    see backend.RecordWire
//	4 captured  attempt, CBOR of the segment (text), positions (a table), number of notes, and of each its vnode, slice,
//	            base and its place in the table
//	5 partials  attempt, number, and of each its vnode, slice and text
//	6 control   CBOR of control
//
// A header is text origin, generation, version, from, to, barrier, round. An attempt is term, number, version. A slice
// is a life and an attempt. Incarnations and attempts of slices are named by their place in the order of their first
// use; where a new one is used it follows in full.
const (
	wireBatch byte = iota + 1
	wireReply
	wireRecord
	wireCaptured
	wirePartials
	wireControl
)

// WireFormat is the format of frames that this release writes, and the only one that it reads.
const WireFormat = 1

// errWire is returned for a frame that is not what it claims to be.
var errWire = errors.New("malformed frame")

// control is every message between instances that has no form of its own: one of its fields is set.
type control struct {
	Wish   wish           `cbor:"1,keyasint,omitempty"` // of the coordinator
	Cut    *CutNamed      `cbor:"2,keyasint,omitempty"`
	Failed *vnode.Attempt `cbor:"3,keyasint,omitempty"`
	Fold   *backend.Fold  `cbor:"4,keyasint,omitempty"`
	Ask    *Request       `cbor:"5,keyasint,omitempty"`
	Answer *wireAnswer    `cbor:"6,keyasint,omitempty"`
	Claim  *Claimed       `cbor:"7,keyasint,omitempty"`
	Beat   *beat          `cbor:"8,keyasint,omitempty"`
	Query  *farQuery      `cbor:"9,keyasint,omitempty"`
	Found  *farFound      `cbor:"10,keyasint,omitempty"`
	Works  *vnode.Attempt `cbor:"11,keyasint,omitempty"` // on captures of it
}

// wish is what an instance asks of the coordinator without saying more.
type wish uint8

const (
	wishWant wish = iota + 1
	wishDemand
	wishGreet // to be told where things stand
	wishAlive // nothing: whoever says it is there
)

// beat says where the coordinator stands: the newest record, and the open attempt if there is one. It is repeated.
type beat struct {
	Term    uint64
	Seq     uint64
	Attempt vnode.Attempt
	Lacks   string // who must come before an epoch can be opened
	Plan    *Plan  // what is to move; nil if nothing is
	Moving  bool   // the attempt carries it out
	AtWork  bool   // no epoch is sealed since members are at work on one, or on what it must take
}

// wireAnswer is an Answer whose error is named.
type wireAnswer struct {
	Ticket     uint64
	Generation uint64
	Epoch      vnode.Epoch
	Seq        uint64
	Cause      int // place of the sentinel in answerCauses, from 1
	Text       string
}

// answerCauses are the errors that callers tell apart.
func answerCauses() []error {
	return []error{
		ErrSuperseded, ErrAttached, ErrNames, ErrKind, ErrChanged,
		backend.ErrPinName, backend.ErrPinTaken, backend.ErrNoPin, backend.ErrPins, backend.ErrUnsealed,
	}
}

func packAnswer(a Answer) *wireAnswer {
	w := &wireAnswer{Ticket: a.Ticket, Generation: a.Generation, Epoch: a.Epoch, Seq: a.Seq}
	if a.Err == nil {
		return w
	}
	w.Text, w.Cause = a.Err.Error(), -1
	for i, cause := range answerCauses() {
		if errors.Is(a.Err, cause) {
			w.Cause = i + 1
		}
	}
	return w
}

func (w *wireAnswer) unpack() Answer {
	a := Answer{Ticket: w.Ticket, Generation: w.Generation, Epoch: w.Epoch, Seq: w.Seq}
	switch causes := answerCauses(); {
	case w.Cause > 0 && w.Cause <= len(causes):
		a.Err = &farError{text: w.Text, cause: causes[w.Cause-1]}
	case w.Cause != 0:
		a.Err = errors.New(w.Text)
	}
	return a
}

// farError is an error of another instance.
type farError struct {
	text  string
	cause error
}

func (e *farError) Error() string { return e.text }
func (e *farError) Unwrap() error { return e.cause }

// wireModes encode and decode control messages.
type wireModes struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

func newWireModes() (wireModes, error) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return wireModes{}, err
	}
	dec, err := cbor.DecOptions{MaxNestedLevels: 16, MaxArrayElements: 1 << 20}.DecMode()
	return wireModes{enc, dec}, err
}

func (m wireModes) appendControl(b []byte, c *control) ([]byte, error) {
	body, err := m.enc.Marshal(c)
	return append(append(b, wireControl), body...), err
}

func appendReply(b []byte, x *vnode.Reply) []byte {
	w := wireWriter{b: append(b, wireReply, byte(x.Kind))}
	w.uint(uint64(x.Vnode))
	w.str(x.Origin)
	w.uint(x.Generation)
	w.uint(x.Standing)
	w.uint(x.Sealed)
	w.attempt(x.Barrier)
	w.uint(x.Version)
	w.uint(x.Round)
	return w.b
}

func decodeReply(b []byte) (x vnode.Reply, err error) {
	r := wireReader{b: b}
	if kind := r.bytes(1); kind != nil {
		x.Kind = vnode.ReplyKind(kind[0])
	}
	x.Vnode, x.Origin, x.Generation, x.Standing, x.Sealed = r.vnode(), r.str(), r.uint(), r.uint(), r.uint()
	x.Barrier, x.Version, x.Round = r.attempt(), r.uint(), r.uint()
	return x, r.end("reply")
}

func appendPartials(b []byte, p merger.Partials) []byte {
	w := wireWriter{b: append(b, wirePartials)}
	w.attempt(p.Attempt)
	w.uint(uint64(len(p.Parts)))
	for i := range p.Parts {
		w.uint(uint64(p.Parts[i].Vnode))
		w.slice(p.Parts[i].Slice)
		w.text(p.Parts[i].Bytes)
	}
	return w.b
}

func decodePartials(b []byte) (p merger.Partials, err error) {
	r := wireReader{b: b}
	p.Attempt = r.attempt()
	for range r.count(5) {
		p.Parts = append(p.Parts, merger.Partial{Vnode: r.vnode(), Slice: r.slice(), Bytes: append([]byte{}, r.text()...)})
	}
	return p, r.end("partials")
}

func (m wireModes) appendCaptured(b []byte, c *Captured) ([]byte, error) {
	segment, err := m.enc.Marshal(c.Segment)
	if err != nil {
		return b, err
	}
	w := wireWriter{b: append(b, wireCaptured)}
	w.attempt(c.Attempt)
	w.text(segment)
	table, places := tableOf(c.Notes)
	w.uint(uint64(len(table)))
	for _, p := range table {
		w.uint(uint64(len(p)))
		for _, name := range slices.Sorted(maps.Keys(p)) {
			w.str(name)
			w.uint(p[name].Generation)
			w.uint(p[name].At)
		}
	}
	w.uint(uint64(len(c.Notes)))
	for i := range c.Notes {
		n := &c.Notes[i]
		w.uint(uint64(n.Vnode))
		w.slice(n.Slice)
		w.slice(n.Base)
		w.uint(uint64(places[i]))
	}
	return w.b, nil
}

// tableOf lists the different positions of notes: those of a seal are all the cuts.
func tableOf(notes []CaptureNote) (table []vnode.Positions, places []int) {
	for i := range notes {
		at := len(table)
		for j := len(table) - 1; j >= 0 && j >= len(table)-4; j-- {
			if table[j].Equal(notes[i].Positions) {
				at = j
				break
			}
		}
		if at == len(table) {
			table = append(table, notes[i].Positions)
		}
		places = append(places, at)
	}
	return table, places
}

func (m wireModes) decodeCaptured(b []byte) (*Captured, error) {
	r := wireReader{b: b}
	c := &Captured{Attempt: r.attempt()}
	if segment := r.text(); r.err == nil {
		r.err = m.dec.Unmarshal(segment, &c.Segment)
	}
	var table []vnode.Positions
	for range r.count(1) {
		p := vnode.Positions{}
		for range r.count(3) {
			p[r.str()] = vnode.Position{Generation: r.uint(), At: r.uint()}
		}
		table = append(table, p)
	}
	for range r.count(8) {
		n := CaptureNote{Vnode: r.vnode(), Slice: r.slice(), Base: r.slice()}
		place := r.uint()
		if place >= uint64(len(table)) {
			r.fail()
			break
		}
		n.Positions = table[place]
		c.Notes = append(c.Notes, n)
	}
	return c, r.end("captured")
}
