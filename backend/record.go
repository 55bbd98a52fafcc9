package backend

import (
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// Digest is a SHA-256.
type Digest [32]byte

// Record is one entry of the ledger: the complete control state of a store (I1). A record is immutable once created;
// [Record.Next] makes the one that follows.
type Record struct {
	Identity Identity

	Seq    uint64
	Prev   Digest    // of the previous record's object; zero at genesis
	Nonce  uuid.UUID // new for every record: tells one's own create from another's
	Writer vnode.Member
	Time   time.Time // for people; no rule reads it

	Term        uint64
	Coordinator vnode.Member
	Assignment  vnode.Assignment

	Epoch    vnode.Epoch     // newest sealed epoch
	Attempt  vnode.Attempt   // the attempt that sealed it
	High     uint64          // highest attempt number ever opened under a record
	Tips     []vnode.SliceID // newest sealed slice, one per vnode
	Segments []SegmentRef    // live segments, by Through, then From, then ID
	Cuts     []Cut           // by source name
	Emitted  vnode.Epoch

	Producers  []ProducerName // plain producers, by name
	Generation uint64         // the last producer generation given out

	Floor Floor
	Pins  []Pin // by name

	digest Digest // of its own object, once it was read or created: the Prev of the next
	size   int64  // of its own object, likewise
}

// Identity is what makes a store this store. Every record repeats it.
type Identity struct {
	Format      uint32
	Capacity    int
	App         string
	KeyCodec    string
	StateCodec  string
	ResultCodec string
	Parent      *Parent // reserved: the record a forked store began at
}

// Parent names the record of another store that a forked store began at. Reserved: format 1 carries it, nothing sets it.
type Parent struct {
	URL   string
	Seq   uint64
	Epoch vnode.Epoch
}

// SegmentRef names a live segment: where it is, what it must contain, and which vnodes still need it.
type SegmentRef struct {
	Prefix   string      // reserved: another store's prefix; empty for this one
	Epoch    vnode.Epoch // in its name; collection judges it by this
	Instance string
	ID       uuid.UUID
	Size     int64
	Footer   Digest // of the footer bytes
	// The segment's slices cover the changes of epochs From+1 to Through. From is 0 for a base.
	From, Through vnode.Epoch
	Vnodes        vnode.Set // that still need it for their chain
	// What the slices of Vnodes take of it: bytes of its frames, and entries. [PlanCompaction] weighs segments by these.
	Live    int64
	Entries int64
}

// Cut is a source's position at the sealed epoch.
type Cut struct {
	Source string
	At     uint64
	Ended  bool // the source said that nothing follows
}

// ProducerName is a plain producer's name and its generation in force.
type ProducerName struct {
	Name       string
	Generation uint64
}

// Floor says below which sequence records may be gone. K numbers the floor; 0 is the genesis floor.
type Floor struct {
	K   uint64
	Seq uint64
}

// CutOf returns the cut of a source; false if the store never saw it.
func (r *Record) CutOf(source string) (Cut, bool) {
	for _, c := range r.Cuts {
		if c.Source == source {
			return c, true
		}
	}
	return Cut{}, false
}

// GenerationOf returns a plain producer's generation in force; 0 if the name is not open.
func (r *Record) GenerationOf(name string) uint64 {
	for _, p := range r.Producers {
		if p.Name == name {
			return p.Generation
		}
	}
	return 0
}

// Next copies the record as the base of its successor: next sequence, a new nonce, the given writer.
// Only what follows a record that the ledger read or created can be created in turn: it names the digest of its object.
func (r *Record) Next(writer vnode.Member, now time.Time) *Record {
	n := *r
	n.Seq, n.Prev, n.Nonce, n.Writer, n.Time = r.Seq+1, r.digest, uuid.New(), writer, now
	n.digest, n.size = Digest{}, 0
	n.Assignment = r.Assignment.Clone()
	n.Tips = append([]vnode.SliceID(nil), r.Tips...)
	n.Segments = append([]SegmentRef(nil), r.Segments...)
	for i := range n.Segments {
		n.Segments[i].Vnodes = n.Segments[i].Vnodes.Clone()
	}
	n.Cuts = append([]Cut(nil), r.Cuts...)
	n.Producers = append([]ProducerName(nil), r.Producers...)
	n.Pins = append([]Pin(nil), r.Pins...)
	return &n
}
