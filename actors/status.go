package actors

import (
	"encoding/json"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// Status is what an instance knows of itself at one moment. It costs a look at each vnode, source and producer, at no
// key, and asks nothing of the store; so it can be read every second, and it encodes as JSON.
//
// What comes from the newest known record (Term to Bytes, but Emitted and Waiting) is of one record, and lags behind the
// store by what another writer created meanwhile. The rest is read one by one while the instance goes on: of two counts
// that grow together one may be ahead. But no epoch is emitted here that is not sealed, sealed that was not opened, or
// the like. A gauge says how it is now; a counter ([Counts], Requests) only grows, from zero at each start.
type Status struct {
	Member  vnode.Member // this instance and its incarnation
	Started time.Time    // when this incarnation was made

	Coordinator vnode.Member        // of the newest known record
	Members     []MemberStatus      // of the newest known record, by instance
	Moving      int                 // gauge: vnodes that are to move by the coordinator's plan
	Zone        ZoneStatus          // of an elastic cluster
	Peers       []remote.PeerStatus // of a cluster: by instance
	Refused     map[string]uint64   // connections, either way, by kind of reason

	Term     uint64      // of the newest known record
	Record   uint64      // its sequence number
	Epoch    vnode.Epoch // newest sealed
	Emitted  vnode.Epoch // newest that the sinks took
	Waiting  int         // gauge: epochs that are sealed and that the sinks did not take; the bound is 4
	Segments int         // gauge: live ones
	Bytes    int64       // gauge: stored, of live segments
	Restored int         // gauge: vnodes that have their slice, of Owned
	Owned    int

	Attempt  AttemptStatus // the epoch that is being sealed, and what it waits for
	LastSeal SealStatus    // of the newest epoch sealed by this start, and where the time went
	LastEmit EmitStatus    // of the newest epoch emitted; it may lag behind LastSeal

	Sources   []SourceStatus   // by name
	Producers []ProducerStatus // by name
	// Problems are what goes wrong now and is tried again, oldest first.
	Problems []Problem
	// Held says who is held back now and by which bound: those who send, or, where the coordinator is, epochs that are
	// not opened for want of a sink or of a fold.
	Held []string

	Counts Counts
	// Requests counts what was asked of the store since it was opened, by kind; every try for itself.
	Requests backend.Requests
}

// MemberStatus is what a member has.
type MemberStatus struct {
	vnode.Member
	Vnodes  int
	Sources int // that it reads
}

// ZoneStatus names the failure domain whose loss would take the most vnodes, and their share of all, 0 to 1. It is empty
// until the membership has told who is in which.
type ZoneStatus struct {
	Largest string
	Share   float64
}

// Phase is what an epoch that is being sealed waits for.
type Phase string

// The phases of an epoch, in their order.
const (
	PhaseBarrier Phase = "barrier" // the sources' cuts, and the first vnode to stand at all of them
	PhaseCapture Phase = "capture" // the other vnodes
	PhaseWrite   Phase = "write"   // the segment, to be encoded and put
	PhaseAppend  Phase = "append"  // the record, to be created
)

// AttemptStatus is the open attempt at an epoch; zero if none is open.
type AttemptStatus struct {
	Epoch    vnode.Epoch
	Opened   time.Time
	Phase    Phase
	Since    time.Time // it is in this phase
	Captured int       // vnodes whose capture is in, of Owned
}

// SealStatus says how long the phases of a sealed epoch took.
type SealStatus struct {
	Epoch                           vnode.Epoch
	Barrier, Capture, Write, Append time.Duration
	Bytes                           int64 // of its segment
}

// Total is the time from the open to the seal.
func (s SealStatus) Total() time.Duration { return s.Barrier + s.Capture + s.Write + s.Append }

// EmitStatus says how long the phases of an emission took.
type EmitStatus struct {
	Epoch vnode.Epoch
	Merge time.Duration // from the seal, or the emission before if that came later, to the first sink
	Emit  time.Duration // until the last sink took it, tries included
}

// Counts are counters: what happened since this start.
type Counts struct {
	AttemptCounts

	Applied  uint64 // events that vnodes took; those rejected, and those replayed, too
	Replayed uint64 // events given to vnodes again that had lost them in this process, or did not answer
	Rejected uint64 // dead letters: events that the hook was given
	Panics   uint64 // restarts of vnodes after a panic of the app

	Slices     uint64 // restored: at the start, and whenever a vnode restarted
	SliceBytes uint64 // of those, uncompressed

	Folds     uint64 // compactions put
	FoldsLate uint64 // of those, the ones that came too late to enter the ledger
	FoldBytes uint64 // stored, of all those

	Passes      uint64 // of the collector
	OldRecords  uint64 // deleted
	OldSegments uint64 // deleted
}

// AttemptCounts counts attempts at epochs.
type AttemptCounts struct {
	Opened    uint64
	Sealed    uint64 // an epoch of the process before, sealed late, is one more than was opened
	Abandoned uint64 // opened, and neither sealed nor open any more: what they captured is in a later epoch
	Emitted   uint64 // epochs; those that the process before had left, too
}

// SourceStatus is where a source stands; a resumable producer is a source too.
type SourceStatus struct {
	Name     string
	Read     uint64 // position of the newest event read
	Sealed   uint64 // position of the newest event sealed; Read - Sealed is its lag in events
	InFlight int64  // gauge: bytes sent and not applied
	Ended    bool
}

// ProducerStatus is where a plain producer stands.
type ProducerStatus struct {
	Name     string
	Sent     uint64 // position of the newest event
	Unsealed int64  // gauge: bytes kept for a replay
}

// Problem is something that failed and is being tried again.
type Problem struct {
	Doing string
	Err   error // of the last try
	Since time.Time
	Times int // in a row
}

// MarshalJSON encodes the error as its text.
func (p Problem) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"Doing": p.Doing, "Err": p.Err.Error(), "Since": p.Since, "Times": p.Times})
}

// Status says where the instance stands.
func (in *Instance[K, E, S, R]) Status() Status {
	st := Status{
		Member: in.self, Started: in.began, Restored: in.restored(),
		Emitted: vnode.Epoch(in.emittedAt.Load()), Waiting: int(in.waiting.Load()),
		Problems: in.problems.list(), Counts: in.meters.counts(), Requests: in.cfg.Requests(),
	}
	in.watch.tell(&st)
	k := in.newest.Load() // after all that is about epochs which it must hold
	st.Owned, st.Coordinator = len(k.owned), k.rec.Coordinator
	st.Term, st.Record, st.Epoch, st.Segments = k.rec.Term, k.rec.Seq, k.rec.Epoch, len(k.rec.Segments)
	for i := range k.rec.Segments {
		st.Bytes += k.rec.Segments[i].Size
	}
	st.Members = membersIn(k.view.Assignment)
	in.elasticStatus(k, &st)
	if st.Attempt.Epoch <= st.Epoch {
		st.Attempt = AttemptStatus{} // sealed by now
	}
	if in.clustered() {
		st.Peers, st.Refused = in.transport.Status(), in.transport.Refused()
	}
	in.intake(&st)
	return st
}

func membersIn(a vnode.Assignment) []MemberStatus {
	out := make([]MemberStatus, len(a.Members))
	for i, m := range a.Members {
		out[i].Member = m
	}
	for _, owner := range a.Owners {
		if owner != vnode.Unowned {
			out[owner].Vnodes++
		}
	}
	for _, s := range a.Sources {
		if s.Owner != vnode.Unowned {
			out[s.Owner].Sources++
		}
	}
	return out
}

// elasticStatus writes into a status what only an elastic cluster has.
func (in *Instance[K, E, S, R]) elasticStatus(k *known, st *Status) {
	if t := in.plan.Load(); t != nil && t.plan != nil {
		for _, m := range t.plan.Moves {
			st.Moving += m.Vnodes.Len()
		}
	}
	if list := in.present.Load(); list != nil {
		st.Zone.Largest, st.Zone.Share = vnode.LargestZone(k.view.Assignment, func(m vnode.Member) string { return (*list)[m.Instance].Zone })
	}
}

// intake writes into a status where sources and producers stand, and what is held back.
func (in *Instance[K, E, S, R]) intake(st *Status) {
	held := func(what string) {
		if what != "" {
			st.Held = append(st.Held, what)
		}
	}
	held(in.heldBySink())
	held(in.heldByFold())
	for _, s := range in.allSources() {
		sealed := s.sealed.Load() // before what was read
		st.Sources = append(st.Sources, SourceStatus{
			Name: s.name, Read: s.read.Load(), Sealed: sealed, InFlight: s.flying(), Ended: s.ended.Load(),
		})
		for i := range s.inFlight {
			if s.inFlight[i].Load() >= s.credit {
				held("in_flight of source " + s.name + in.toDest(i))
			}
		}
		if s.pushed != nil {
			held(s.pushed.held())
		}
	}
	for _, p := range in.allProducers() {
		st.Producers = append(st.Producers, p.status())
		held(p.held(in.toDest))
	}
}

// toDest names the instance to which something is in flight, in a cluster: routes.dest.
func (in *Instance[K, E, S, R]) toDest(dest int) string {
	switch {
	case !in.clustered():
		return ""
	case dest == 0:
		return " to " + in.self.Instance
	}
	if ids := in.memberIDs(); !in.isClient() && dest <= len(ids) {
		return " to " + ids[dest-1]
	}
	return " to " + in.peers.places.name(uint16(dest))
}

// Timeline says what the instance did to recover, oldest first: at its start, and whenever something failed since.
func (in *Instance[K, E, S, R]) Timeline() []Event { return in.cfg.Timeline.Events() }
