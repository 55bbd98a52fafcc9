package vnode

// Turn is what an app's update may ask and say about the event in hand. It is valid until the update returns.
type Turn struct {
	vnode    ID
	origin   string
	position uint64
	existed  bool
	deleted  bool
}

// NewTurn returns the turn of an event, for whoever calls an update outside a vnode.
func NewTurn(v ID, origin string, position uint64, existed bool) *Turn {
	return &Turn{vnode: v, origin: origin, position: position, existed: existed}
}

// Deleted reports whether the update deleted the key.
func (t *Turn) Deleted() bool { return t.deleted }

// Delete removes the key once the update has returned: its state goes, and the next capture holds a tombstone.
func (t *Turn) Delete() { t.deleted = true }

// Existed reports whether the key had a state before this event; if not, the state handed over is the zero value.
func (t *Turn) Existed() bool { return t.existed }

// Vnode is the vnode that owns the key.
func (t *Turn) Vnode() ID { return t.vnode }

// Origin is the name of the source or producer of the event.
func (t *Turn) Origin() string { return t.origin }

// Position is the event's position at its origin, counted from 1.
func (t *Turn) Position() uint64 { return t.position }
