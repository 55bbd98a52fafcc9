package backend

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend/recordpb"
	"github.com/sheaf-go/sheaf/vnode"
)

// packRecord turns a record into its message.
func packRecord(r *Record) *recordpb.Record {
	return &recordpb.Record{
		Identity: packIdentity(r.Identity),

		Seq:         r.Seq,
		Prev:        packDigest(r.Prev),
		Nonce:       packUUID(r.Nonce),
		Writer:      packMember(r.Writer),
		TimeSeconds: r.Time.Unix(),
		TimeNanos:   uint32(r.Time.Nanosecond()),

		Term:        r.Term,
		Coordinator: packMember(r.Coordinator),
		Assignment:  packAssignment(r.Assignment),

		Epoch:    uint64(r.Epoch),
		Attempt:  packAttempt(r.Attempt),
		High:     r.High,
		Tips:     packTips(r.Tips),
		Segments: each(r.Segments, packSegment),
		Cuts: each(r.Cuts, func(c Cut) *recordpb.Cut {
			return &recordpb.Cut{Source: c.Source, At: c.At, Ended: c.Ended}
		}),
		Emitted: uint64(r.Emitted),

		Producers: each(r.Producers, func(p ProducerName) *recordpb.Producer {
			return &recordpb.Producer{Name: p.Name, Generation: p.Generation}
		}),
		Generation: r.Generation,

		Floor: &recordpb.Floor{K: r.Floor.K, Seq: r.Floor.Seq},
		Pins: each(r.Pins, func(p Pin) *recordpb.Pin {
			return &recordpb.Pin{Name: p.Name, Seq: p.Seq, Epoch: uint64(p.Epoch), Digest: packDigest(p.Digest)}
		}),
	}
}

// each maps a slice; an empty one becomes nil.
func each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

func packIdentity(id Identity) *recordpb.Identity {
	m := &recordpb.Identity{
		Capacity: uint32(id.Capacity), App: id.App,
		KeyCodec: id.KeyCodec, StateCodec: id.StateCodec, ResultCodec: id.ResultCodec,
	}
	if p := id.Parent; p != nil {
		m.Parent = &recordpb.Parent{Url: p.URL, Seq: p.Seq, Epoch: uint64(p.Epoch)}
	}
	return m
}

func packAssignment(a vnode.Assignment) *recordpb.Assignment {
	return &recordpb.Assignment{
		Version: a.Version,
		Members: each(a.Members, packMember),
		Since:   a.Since,
		Owners:  each(a.Owners, packOwner),
		Sources: each(a.Sources, func(s vnode.SourceOwner) *recordpb.SourceOwner {
			return &recordpb.SourceOwner{Source: s.Source, Owner: packOwner(s.Owner)}
		}),
	}
}

func packOwner(o int) uint32 { return uint32(o - vnode.Unowned) }

func packMember(m vnode.Member) *recordpb.Member {
	return &recordpb.Member{Instance: m.Instance, Incarnation: packUUID(m.Incarnation), Address: m.Address}
}

func packAttempt(a vnode.Attempt) *recordpb.Attempt {
	return &recordpb.Attempt{Term: a.Term, Number: a.Number, Version: a.Version}
}

func packTips(tips []vnode.SliceID) *recordpb.Tips {
	m := &recordpb.Tips{
		Incarnation: make([]uint32, len(tips)),
		Restore:     make([]int64, len(tips)),
		Attempt:     make([]uint32, len(tips)),
	}
	incarnations, attempts := map[uuid.UUID]uint32{}, map[vnode.Attempt]uint32{}
	var last []uint64 // by incarnation
	for i, t := range tips {
		of, known := incarnations[t.Life.Incarnation]
		if !known {
			of = uint32(len(last))
			incarnations[t.Life.Incarnation] = of
			m.Incarnations = append(m.Incarnations, packUUID(t.Life.Incarnation))
			last = append(last, 0)
		}
		at, known := attempts[t.Attempt]
		if !known {
			at = uint32(len(m.Attempts))
			attempts[t.Attempt] = at
			m.Attempts = append(m.Attempts, packAttempt(t.Attempt))
		}
		m.Incarnation[i], m.Restore[i], m.Attempt[i] = of, int64(t.Life.N-last[of]), at
		last[of] = t.Life.N
	}
	return m
}

func packSegment(s SegmentRef) *recordpb.Segment {
	return &recordpb.Segment{
		Prefix: s.Prefix, Epoch: uint64(s.Epoch), Instance: s.Instance, Id: packUUID(s.ID),
		Size: uint64(s.Size), Footer: packDigest(s.Footer),
		From: uint64(s.From), Through: uint64(s.Through), Vnodes: packSet(s.Vnodes),
		Live: uint64(s.Live), Entries: uint64(s.Entries),
	}
}

func packSet(s vnode.Set) []byte {
	var b []byte
	for _, word := range s {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

func packUUID(id uuid.UUID) []byte {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

func packDigest(d Digest) []byte {
	if d == (Digest{}) {
		return nil
	}
	return d[:]
}
