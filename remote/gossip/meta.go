package gossip

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"

	"github.com/sheaf-go/sheaf/remote"
)

// The first part of Meta, of fixed size; the table stands in doc.go.
const (
	metaVersion = 1
	metaFixed   = 44
	flagLeaving = 1
)

// MetaSizeError says that what a member would tell of itself is more than fits.
type MetaSizeError struct{ Size, Max int } // bytes

func (e *MetaSizeError) Error() string {
	return fmt.Sprintf("instance, address and zone make %d bytes of gossip, the limit is %d: use shorter names", e.Size, e.Max)
}

// identity is what all members have in common.
type identity struct {
	app      [16]byte
	capacity uint16
	format   uint32
}

func identityOf(cfg remote.GossipConfig) identity {
	sum := sha256.Sum256([]byte(cfg.App))
	return identity{app: [16]byte(sum[:]), capacity: uint16(cfg.Capacity), format: cfg.Format}
}

// refuse says why a peer is not one of a cluster; nil if it is.
func (id identity) refuse(peer string, of identity) *remote.RefusedError {
	e := &remote.RefusedError{Peer: peer}
	switch {
	case of.format != id.format:
		e.Kind, e.Reason = remote.RefusedFormat, fmt.Sprintf("it has format %d, this instance %d", of.format, id.format)
	case of.capacity != id.capacity:
		e.Kind, e.Reason = remote.RefusedCapacity, fmt.Sprintf("it has a vnode_capacity of %d, this instance %d", of.capacity, id.capacity)
	case of.app != id.app:
		e.Kind, e.Reason = remote.RefusedApp, "it runs another app, or has other codecs"
	default:
		return nil
	}
	return e
}

// nameOf is a node's name, of this process alone.
func nameOf(m remote.Member) string { return m.Instance + "-" + hex.EncodeToString(m.Incarnation[10:]) }

// encodeMeta returns Meta.
func encodeMeta(id identity, m remote.Member) ([]byte, error) {
	texts := []string{m.Instance, m.Address, m.Zone}
	size := metaFixed
	for _, s := range texts {
		size += 2 + len(s)
	}
	if size > memberlist.MetaMaxSize {
		return nil, &MetaSizeError{Size: size, Max: memberlist.MetaMaxSize}
	}
	var flags byte
	if m.Leaving {
		flags = flagLeaving
	}
	b := append(make([]byte, 0, size), metaVersion, flags)
	b = binary.BigEndian.AppendUint16(b, id.capacity)
	b = binary.BigEndian.AppendUint32(b, id.format)
	b = append(append(b, id.app[:]...), m.Incarnation[:]...)
	b = binary.BigEndian.AppendUint32(b, m.Weight)
	for _, s := range texts {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return b, nil
}

// decodeMeta takes Meta apart.
func decodeMeta(b []byte) (identity, remote.Member, error) {
	var id identity
	var m remote.Member
	switch {
	case len(b) == 0:
		return id, m, errors.New("meta is missing")
	case b[0] != metaVersion:
		return id, m, fmt.Errorf("meta is of version %d, want %d", b[0], metaVersion)
	case len(b) < metaFixed:
		return id, m, errors.New("meta is cut off")
	}
	id.capacity, id.format = binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	id.app = [16]byte(b[8:])
	copy(m.Incarnation[:], b[24:])
	m.Leaving, m.Weight = b[1]&flagLeaving != 0, binary.BigEndian.Uint32(b[40:])
	rest := b[metaFixed:]
	for _, s := range []*string{&m.Instance, &m.Address, &m.Zone} {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return id, m, errors.New("meta is cut off")
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		*s, rest = string(rest[2:end]), rest[end:]
	}
	return id, m, nil
}
