package backend

import (
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend/recordpb"
	"github.com/sheaf-go/sheaf/vnode"
)

// unpacker turns messages into what they stand for. It keeps the first thing that is wrong with them and goes on with
// zeros, so that the code reads as if nothing could be.
type unpacker struct {
	err error
}

func (u *unpacker) failf(format string, args ...any) {
	if u.err == nil {
		u.err = fmt.Errorf(format, args...)
	}
}

// unpackRecord turns a message into its record. It allocates no more than the message's own size warrants.
func unpackRecord(m *recordpb.Record, format uint32) (*Record, error) {
	var u unpacker
	r := &Record{
		Identity: u.identity(m.GetIdentity(), format),

		Seq:    m.GetSeq(),
		Prev:   u.digest(m.GetPrev()),
		Nonce:  u.uuid(m.GetNonce()),
		Writer: u.member(m.GetWriter()),
		Time:   u.time(m.GetTimeSeconds(), m.GetTimeNanos()),

		Term:        m.GetTerm(),
		Coordinator: u.member(m.GetCoordinator()),
		Assignment:  u.assignment(m.GetAssignment()),

		Epoch:    vnode.Epoch(m.GetEpoch()),
		Attempt:  u.attempt(m.GetAttempt()),
		High:     m.GetHigh(),
		Tips:     u.tips(m.GetTips()),
		Segments: each(m.GetSegments(), u.segment),
		Cuts: each(m.GetCuts(), func(c *recordpb.Cut) Cut {
			return Cut{Source: c.GetSource(), At: c.GetAt(), Ended: c.GetEnded()}
		}),
		Emitted: vnode.Epoch(m.GetEmitted()),

		Producers: each(m.GetProducers(), func(p *recordpb.Producer) ProducerName {
			return ProducerName{Name: p.GetName(), Generation: p.GetGeneration()}
		}),
		Generation: m.GetGeneration(),

		Floor: Floor{K: m.GetFloor().GetK(), Seq: m.GetFloor().GetSeq()},
		Pins: each(m.GetPins(), func(p *recordpb.Pin) Pin {
			return Pin{Name: p.GetName(), Seq: p.GetSeq(), Epoch: vnode.Epoch(p.GetEpoch()), Digest: u.digest(p.GetDigest())}
		}),
	}
	return r, u.err
}

func (u *unpacker) identity(m *recordpb.Identity, format uint32) Identity {
	id := Identity{
		Format: format, Capacity: int(m.GetCapacity()), App: m.GetApp(),
		KeyCodec: m.GetKeyCodec(), StateCodec: m.GetStateCodec(), ResultCodec: m.GetResultCodec(),
	}
	if p := m.GetParent(); p != nil {
		id.Parent = &Parent{URL: p.GetUrl(), Seq: p.GetSeq(), Epoch: vnode.Epoch(p.GetEpoch())}
	}
	return id
}

func (u *unpacker) assignment(m *recordpb.Assignment) vnode.Assignment {
	return vnode.Assignment{
		Version: m.GetVersion(),
		Members: each(m.GetMembers(), u.member),
		Since:   m.GetSince(),
		Owners:  each(m.GetOwners(), u.owner),
		Sources: each(m.GetSources(), func(s *recordpb.SourceOwner) vnode.SourceOwner {
			return vnode.SourceOwner{Source: s.GetSource(), Owner: u.owner(s.GetOwner())}
		}),
	}
}

func (u *unpacker) owner(o uint32) int { return int(o) + vnode.Unowned }

func (u *unpacker) member(m *recordpb.Member) vnode.Member {
	return vnode.Member{Instance: m.GetInstance(), Incarnation: u.uuid(m.GetIncarnation()), Address: m.GetAddress()}
}

func (u *unpacker) attempt(m *recordpb.Attempt) vnode.Attempt {
	return vnode.Attempt{Term: m.GetTerm(), Number: m.GetNumber(), Version: m.GetVersion()}
}

func (u *unpacker) tips(m *recordpb.Tips) []vnode.SliceID {
	n := len(m.GetIncarnation())
	if len(m.GetRestore()) != n || len(m.GetAttempt()) != n {
		u.failf("its tips have columns of %d, %d and %d", n, len(m.GetRestore()), len(m.GetAttempt()))
		return nil
	}
	incarnations, attempts := each(m.GetIncarnations(), u.uuid), each(m.GetAttempts(), u.attempt)
	last := make([]uint64, len(incarnations))
	tips := make([]vnode.SliceID, n)
	for i := range tips {
		of, at := m.GetIncarnation()[i], m.GetAttempt()[i]
		if int(of) >= len(incarnations) || int(at) >= len(attempts) {
			u.failf("the tip of vnode %d names incarnation %d of %d and attempt %d of %d", i, of, len(incarnations), at, len(attempts))
			return nil
		}
		last[of] += uint64(m.GetRestore()[i])
		tips[i] = vnode.SliceID{Life: vnode.Life{Incarnation: incarnations[of], N: last[of]}, Attempt: attempts[at]}
	}
	return tips
}

func (u *unpacker) segment(m *recordpb.Segment) SegmentRef {
	return SegmentRef{
		Prefix: m.GetPrefix(), Epoch: vnode.Epoch(m.GetEpoch()), Instance: m.GetInstance(), ID: u.uuid(m.GetId()),
		Size: u.count(m.GetSize()), Footer: u.digest(m.GetFooter()),
		From: vnode.Epoch(m.GetFrom()), Through: vnode.Epoch(m.GetThrough()), Vnodes: u.set(m.GetVnodes()),
		Live: u.count(m.GetLive()), Entries: u.count(m.GetEntries()),
	}
}

func (u *unpacker) count(n uint64) int64 {
	if n > math.MaxInt64 {
		u.failf("it names a segment with a size of %d", n)
	}
	return int64(n)
}

func (u *unpacker) set(b []byte) vnode.Set {
	if len(b) == 0 {
		return nil
	}
	if len(b) > vnode.MaxCapacity/8+1 || b[len(b)-1] == 0 {
		u.failf("it has a set of vnodes of %d bytes, the last %d", len(b), b[len(b)-1])
		return nil
	}
	s := make(vnode.Set, (len(b)+7)/8)
	for i, v := range b {
		s[i/8] |= uint64(v) << (i % 8 * 8)
	}
	return s
}

func (u *unpacker) time(seconds int64, nanos uint32) time.Time {
	if nanos >= 1e9 {
		u.failf("its time has %d nanoseconds", nanos)
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (u *unpacker) uuid(b []byte) (id uuid.UUID) {
	if len(b) != 0 && len(b) != len(id) {
		u.failf("it has a UUID of %d bytes", len(b))
	}
	copy(id[:], b)
	return id
}

func (u *unpacker) digest(b []byte) (d Digest) {
	if len(b) != 0 && len(b) != len(d) {
		u.failf("it has a digest of %d bytes", len(b))
	}
	copy(d[:], b)
	return d
}
