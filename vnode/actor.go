package vnode

import (
	"fmt"
	"maps"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// App is the part of the user's program that runs inside a vnode.
type App[K Key, E, S, R any] struct {
	Keys   KeyOps[K]
	KeyOf  func(E) K
	Update func(*Turn, *S, E) error
	Fold   func(*R, K, *S) // nil: the app has no result
	State  Codec[S]
	Result Codec[R]
	// MaxPartial bounds an encoded partial in bytes.
	MaxPartial int
}

// Instance is what a vnode asks of the process that it lives in. Every method may be called from any vnode's turn
// and returns at once, but Rejected, which calls the user's hook.
type Instance[K Key, E, S any] interface {
	// Restore reads v's newest sealed slice; a *Restored comes back as a message.
	Restore(v ID)
	// Answer carries a reply to the origin that it names.
	Answer(r Reply)
	// Capture hands a capture over to the checkpointer.
	Capture(c Capture)
	// Moves reports whether v, which has just captured for an attempt, moves with its seal.
	Moves(a Attempt, v ID) bool
	// Took says that v has taken n events more.
	Took(v ID, n int)
	// Applied says that v changed for the first time since its last capture (true), or that the change is captured
	// or gone (false).
	Applied(v ID, changed bool)
	// Rejected hands over an event that counts as taken and changed nothing.
	Rejected(d Rejected[E])
	// Panicked says that the user's code panicked; the vnode is about to restart.
	Panicked(v ID, p *PanicError)
}

// Capture is what a vnode gives away at a barrier (I3).
type Capture struct {
	CaptureOrder
	Vnode   ID
	Entries int
	Delta   []byte
	Partial []byte
}

// Restored begins a life: a slice that the vnode owns from now on, and where it stands.
type Restored[K Key, S any] struct {
	Slice     *Slice[K, S]
	Tip       SliceID
	Positions Positions
	View      *View
	Life      Life
	Self      Member
}

// Rejected is an event that the app refused, or that panicked too often.
type Rejected[E any] struct {
	Vnode    ID
	Origin   string
	Position uint64
	Event    E
	Err      error
}

// OpenAttempt tells a vnode of an attempt.
type OpenAttempt struct {
	Attempt Attempt
	View    *View
}

// Query runs a function in a vnode's turn. It must only read, and not keep what it reads. Lost is called instead when
// the vnode has no slice now.
type Query[K Key, S any] struct {
	Run  func(s *Slice[K, S], v *View)
	Lost func()
}

// PanicError is a panic of the user's code.
type PanicError struct {
	Vnode    ID
	Doing    string // "update", "capture", "fold"
	Origin   string // of the event, for an update
	Position uint64
	Value    any
	Stack    []byte
}

func (e *PanicError) Error() string {
	if e.Doing == "update" {
		return fmt.Sprintf("vnode %d: update of event %d of %s panicked: %v", e.Vnode, e.Position, e.Origin, e.Value)
	}
	return fmt.Sprintf("vnode %d: %s panicked: %v", e.Vnode, e.Doing, e.Value)
}

// Actor is the shell around [Rules]: it owns the slice, applies, captures, holds batches back. A panic of the user's
// code ends the actor's life; its supervisor starts another from the last sealed slice (I11).
type Actor[K Key, E, S, R any] struct {
	id     ID
	app    *App[K, E, S, R]
	inst   Instance[K, E, S]
	poison *Poison

	view    *View        // newest heard of
	opened  *OpenAttempt // newest heard of
	rules   *Rules       // nil until a life begins
	slice   *Slice[K, S]
	held    []*Batch[E]
	delta   int             // bytes that a capture like the last may take
	entries int             // of the last capture
	marks   map[uint64]Mark // of captures that are not sealed: the rules' number to the slice's
	changed bool
	turn    Turn
	doing   string
	batch   *Batch[E] // in hand: not held, not given back
	index   int       // of its event that is being applied
}

var _ actor.Actor = (*Actor[string, int, int, int])(nil)

// NewActor returns the actor of v. Poison outlives it.
func NewActor[K Key, E, S, R any](id ID, app *App[K, E, S, R], inst Instance[K, E, S], poison *Poison) *Actor[K, E, S, R] {
	return &Actor[K, E, S, R]{id: id, app: app, inst: inst, poison: poison, turn: Turn{vnode: id}}
}

// Receive is called by the actor system with one message at a time.
func (a *Actor[K, E, S, R]) Receive(ctx actor.Context) {
	defer a.crash()
	switch m := ctx.Message().(type) {
	case *Batch[E]:
		a.deliver(m)
	case *View:
		a.learn(m)
	case *OpenAttempt:
		a.open(m)
	case *Restored[K, S]:
		a.begin(m)
	case *Query[K, S]:
		a.query(m)
	case *actor.Started:
		a.inst.Restore(a.id)
	case *actor.Restarting, *actor.Stopping:
		a.end()
	}
}

// crash notes what the user's code was doing when it panicked, and lets the panic go on to the supervisor.
func (a *Actor[K, E, S, R]) crash() {
	value := recover()
	if value == nil {
		return
	}
	p := &PanicError{Vnode: a.id, Doing: a.doing, Value: value, Stack: debug.Stack()}
	if b := a.batch; b != nil && a.doing == "update" {
		p.Origin, p.Position = b.Origin, b.Position(a.index)
		a.poison.note(eventOf(b, a.index))
	}
	a.inst.Panicked(a.id, p)
	a.end()
	panic(p)
}

// end lets go of everything that this life holds.
func (a *Actor[K, E, S, R]) end() {
	if a.batch != nil {
		a.batch.finish()
	}
	for _, b := range a.held {
		b.finish()
	}
	a.note(false)
	a.rules, a.slice, a.held, a.batch = nil, nil, nil, nil
}

// note tells the instance whether this vnode has changes that no capture holds.
func (a *Actor[K, E, S, R]) note(changed bool) {
	if a.changed != changed {
		a.changed = changed
		a.inst.Applied(a.id, changed)
	}
}

// begin starts a life and catches up with what was heard before it.
func (a *Actor[K, E, S, R]) begin(m *Restored[K, S]) {
	if a.rules != nil {
		return
	}
	a.slice, a.marks = m.Slice, map[uint64]Mark{}
	a.rules = NewRules(m.Self, a.id, m.Life, m.View, m.Tip, m.Positions)
	if a.view != nil {
		a.learn(a.view)
	}
	if a.rules == nil {
		return // the slice is not the newest any more
	}
	for _, r := range a.rules.Announce() {
		a.inst.Answer(r)
	}
	if a.opened != nil {
		a.open(a.opened)
	}
}

func (a *Actor[K, E, S, R]) learn(v *View) {
	if a.view == nil || v.Seq > a.view.Seq {
		a.view = v
	}
	if a.rules != nil {
		a.do(a.rules.Learn(v), nil)
	}
}

func (a *Actor[K, E, S, R]) open(m *OpenAttempt) {
	a.opened = m
	a.learn(m.View)
	if a.rules != nil {
		a.do(a.rules.Open(m.Attempt), nil)
	}
}

func (a *Actor[K, E, S, R]) query(q *Query[K, S]) {
	if a.rules == nil {
		q.Lost()
		return
	}
	q.Run(a.slice, a.rules.view)
}

func (a *Actor[K, E, S, R]) deliver(b *Batch[E]) {
	if a.rules == nil {
		b.finish()
		return
	}
	a.batch, a.doing = b, "deliver"
	a.do(a.rules.Deliver(&b.Header), b)
}

// do carries out a step in full.
func (a *Actor[K, E, S, R]) do(s Step, b *Batch[E]) {
	if s.Lost {
		a.end()
		a.inst.Restore(a.id)
		return
	}
	if s.Apply {
		a.apply(b, s.Above)
	}
	if s.Capture != nil {
		a.capture(s.Capture)
		if a.inst.Moves(s.Capture.Attempt, a.id) {
			a.rules.Stop(s.Capture.Attempt)
		}
	}
	switch {
	case s.Hold:
		a.held, a.batch = append(a.held, b), nil
	case b != nil:
		a.batch = nil
		b.finish()
	}
	if s.Sealed != 0 {
		a.seal(s.Sealed)
	}
	if s.Reply.Kind != NoReply {
		a.inst.Answer(s.Reply)
	}
	for _, r := range s.Acks {
		a.inst.Answer(r)
	}
	if s.Release {
		a.release()
	}
}

// release delivers what was held back, oldest first; some of it may be held again, behind the rest.
func (a *Actor[K, E, S, R]) release() {
	for n := len(a.held); n > 0 && len(a.held) > 0; n-- {
		b := a.held[0]
		a.held = a.held[1:]
		a.deliver(b)
	}
}

// apply applies the events of b at positions above a position.
func (a *Actor[K, E, S, R]) apply(b *Batch[E], above uint64) {
	first := 0
	if len(b.Items) > 0 && b.Position(0) <= above {
		first = b.Behind(above)
	}
	if first == len(b.Items) {
		return
	}
	a.note(true)
	a.doing, a.turn.origin = "update", b.Origin
	var places [WarmLen]Place[K, S]
	for i := first; i < len(b.Items); i += WarmLen {
		items := b.Items[i:min(i+WarmLen, len(b.Items))]
		for j := range items {
			places[j%WarmLen] = a.slice.PlaceOf(items[j].Slot.Hash())
		}
		a.slice.Warm(places[:len(items)])
		a.applyAt(b, i, items, places[:len(items)])
	}
	a.inst.Took(a.id, len(b.Items)-first)
}

// applyAt applies items, which begin at an index of b, to keys that are likely to be at places.
func (a *Actor[K, E, S, R]) applyAt(b *Batch[E], index int, items []Item[E], places []Place[K, S]) {
	keyOf, update, base := a.app.KeyOf, a.app.Update, b.Base
	suspect := len(a.poison.panics) > 0
	places = places[:len(items)]
	for i := range items {
		a.index = index + i
		if suspect && a.poison.spent(eventOf(b, a.index)) {
			a.reject(b, a.index, fmt.Errorf("the update panicked %d times", a.poison.Tries))
			continue
		}
		item := &items[i]
		hash, key := item.Slot.Hash(), keyOf(item.Event)
		state, existed := a.slice.UpsertAt(places[i], hash, key)
		a.turn.position, a.turn.existed, a.turn.deleted = base+item.Slot.offset(), existed, false
		err := update(&a.turn, state, item.Event)
		if err != nil || a.turn.deleted {
			a.remove(b, a.index, hash, key, err)
		}
	}
}

// remove takes back the insertion of a key whose event was rejected, or deletes a key that the event deleted.
func (a *Actor[K, E, S, R]) remove(b *Batch[E], i int, hash uint64, key K, err error) {
	switch {
	case err != nil && !a.turn.existed:
		a.slice.Forget(hash, key)
	case err == nil:
		a.slice.Delete(hash, key)
	}
	if err != nil {
		a.reject(b, i, err)
	}
}

func (a *Actor[K, E, S, R]) reject(b *Batch[E], i int, err error) {
	a.inst.Rejected(Rejected[E]{Vnode: a.id, Origin: b.Origin, Position: b.Position(i), Event: b.Items[i].Event, Err: err})
}

// capture copies, in this turn, every change since the newest sealed slice, and folds the partial (I3).
func (a *Actor[K, E, S, R]) capture(o *CaptureOrder) {
	a.doing = "capture"
	c := Capture{CaptureOrder: *o, Vnode: a.id, Entries: a.slice.Changed()}
	room := a.delta
	if c.Entries < a.entries {
		room = room / a.entries * c.Entries
	}
	delta, mark, err := a.slice.Capture(make([]byte, 0, room))
	if err != nil {
		panic(fmt.Errorf("capture: %w", err))
	}
	a.marks[o.Mark] = mark
	delete(a.marks, o.Mark-maxPending)
	c.Delta, a.delta, a.entries = delta, len(delta)+len(delta)/8, c.Entries
	if a.app.Fold != nil {
		c.Partial = a.partial()
	}
	a.note(false)
	a.inst.Capture(c)
}

// seal lets the slice forget the changes that a sealed capture holds, and with it those before.
func (a *Actor[K, E, S, R]) seal(number uint64) {
	a.slice.Sealed(a.marks[number])
	maps.DeleteFunc(a.marks, func(n uint64, _ Mark) bool { return n <= number })
	a.poison.forget(a.rules)
}

func (a *Actor[K, E, S, R]) partial() []byte {
	a.doing = "fold"
	var r R
	for k, s := range a.slice.All {
		a.app.Fold(&r, k, s)
	}
	out, err := a.app.Result.Append(nil, &r)
	if err == nil && len(out) > a.app.MaxPartial {
		err = fmt.Errorf("the partial has %d bytes, the limit is %d", len(out), a.app.MaxPartial)
	}
	if err != nil {
		panic(fmt.Errorf("encode the partial: %w", err))
	}
	return out
}
