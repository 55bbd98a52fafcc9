package vnode

// Header says what a batch holds: every event that its origin put at the positions (From, To] and that belongs to one
// vnode. A batch may hold no event at all.
type Header struct {
	Origin     string // the name of a source or a plain producer
	Generation uint64 // of a plain producer; 0 for a source
	Version    uint64 // a source's: the assignment that the sender knows
	From, To   uint64
	Barrier    Attempt // a source's: the attempt for which To is the cut; zero for none
	Round      uint64  // counts the sender's rewinds; echoed in the reply
}

// IsSource reports whether the origin is a source, which barriers align; else it is a plain producer.
func (h *Header) IsSource() bool { return h.Generation == 0 }

// ReplyKind says how a vnode answered a batch.
type ReplyKind uint8

// The answers of a vnode.
const (
	NoReply    ReplyKind = iota
	Took                 // standing has reached Standing, Sealed is durable; Barrier is counted if set
	Gap                  // the batch begins above Standing: send again from there
	Ahead                // the barrier's cut lies below Standing: name a cut at or above it
	Stale                // the sender's assignment is older than Version: learn it, send again from Standing
	Superseded           // another generation of the producer's name is in force
)

// Reply is a vnode's answer to the origin of a batch.
type Reply struct {
	Kind       ReplyKind
	Vnode      ID
	Origin     string
	Generation uint64
	Standing   uint64
	Sealed     uint64 // plain producers only: everything up to here is sealed
	Barrier    Attempt
	Version    uint64
	Round      uint64
}
