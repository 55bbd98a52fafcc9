package actors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// Between instances a message is a frame of the transport: one byte that says which, and a body. Format 1, integers are
// unsigned varints, text is its length and its bytes:
//
//	1 batch     vnode, header, base, number of events, and of each its slot (8 bytes, little-endian) and its text
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

// wireFormat is the format of frames that this release writes, and the only one that it reads.
const wireFormat = 1

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
}

// wish is what an instance asks of the coordinator without saying more.
type wish uint8

const (
	wishWant wish = iota + 1
	wishDemand
	wishConclude
)

// beat says where the coordinator stands: the newest record, and the open attempt if there is one. It is repeated.
type beat struct {
	Seq     uint64
	Attempt vnode.Attempt
	Lacks   string // who must come before an epoch can be opened
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

// wireWriter appends to a frame.
type wireWriter struct {
	b            []byte
	incarnations map[uuid.UUID]uint64
	attempts     map[vnode.Attempt]uint64
}

func (w *wireWriter) byte(x byte)   { w.b = append(w.b, x) }
func (w *wireWriter) uint(x uint64) { w.b = binary.AppendUvarint(w.b, x) }

func (w *wireWriter) text(s []byte) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *wireWriter) str(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *wireWriter) attempt(a vnode.Attempt) {
	w.uint(a.Term)
	w.uint(a.Number)
	w.uint(a.Version)
}

func (w *wireWriter) slice(s vnode.SliceID) {
	if w.incarnations == nil {
		w.incarnations, w.attempts = map[uuid.UUID]uint64{}, map[vnode.Attempt]uint64{}
	}
	i, known := w.incarnations[s.Life.Incarnation]
	if !known {
		i = uint64(len(w.incarnations))
		w.incarnations[s.Life.Incarnation] = i
	}
	if w.uint(i); !known {
		w.b = append(w.b, s.Life.Incarnation[:]...)
	}
	w.uint(s.Life.N)
	i, known = w.attempts[s.Attempt]
	if !known {
		i = uint64(len(w.attempts))
		w.attempts[s.Attempt] = i
	}
	if w.uint(i); !known {
		w.attempt(s.Attempt)
	}
}

// wireReader reads a frame. After the first mistake everything is zero, and err says so.
type wireReader struct {
	b            []byte
	err          error
	incarnations []uuid.UUID
	attempts     []vnode.Attempt
}

func (r *wireReader) fail() {
	r.b = nil
	if r.err == nil {
		r.err = errWire
	}
}

func (r *wireReader) uint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

// count reads the number of things of at least that many bytes each.
func (r *wireReader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *wireReader) bytes(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// fixed reads 8 bytes, little-endian.
func (r *wireReader) fixed() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return x
}

func (r *wireReader) text() []byte {
	if len(r.b) == 0 || r.b[0] >= 0x80 || int(r.b[0]) >= len(r.b) { // else it is short, as nearly all are
		return r.bytes(r.count(1))
	}
	n := 1 + int(r.b[0])
	out := r.b[1:n]
	r.b = r.b[n:]
	return out
}

func (r *wireReader) str() string { return string(r.text()) }

func (r *wireReader) vnode() vnode.ID {
	v := r.uint()
	if v >= vnode.MaxCapacity {
		r.fail()
	}
	return vnode.ID(v)
}

func (r *wireReader) attempt() vnode.Attempt {
	return vnode.Attempt{Term: r.uint(), Number: r.uint(), Version: r.uint()}
}

func (r *wireReader) slice() vnode.SliceID {
	var s vnode.SliceID
	switch i := r.uint(); {
	case i < uint64(len(r.incarnations)):
		s.Life.Incarnation = r.incarnations[i]
	case i == uint64(len(r.incarnations)):
		copy(s.Life.Incarnation[:], r.bytes(16))
		r.incarnations = append(r.incarnations, s.Life.Incarnation)
	default:
		r.fail()
	}
	s.Life.N = r.uint()
	switch i := r.uint(); {
	case i < uint64(len(r.attempts)):
		s.Attempt = r.attempts[i]
	case i == uint64(len(r.attempts)):
		s.Attempt = r.attempt()
		r.attempts = append(r.attempts, s.Attempt)
	default:
		r.fail()
	}
	return s
}

// end returns the error of the whole frame, nothing of which may be left.
func (r *wireReader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errWire
	}
	if r.err != nil {
		return fmt.Errorf("%s: %w", what, r.err)
	}
	return nil
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
