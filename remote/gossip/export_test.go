package gossip

import "github.com/sheaf-go/sheaf/remote"

// EncodeMeta returns Meta of a member.
func EncodeMeta(cfg remote.GossipConfig, m remote.Member) ([]byte, error) {
	return encodeMeta(identityOf(cfg), m)
}

// DecodeMeta returns the member of Meta, and why one of that config refuses it.
func DecodeMeta(cfg remote.GossipConfig, b []byte) (remote.Member, error) {
	id, m, err := decodeMeta(b)
	if err != nil {
		return m, err
	}
	if refused := identityOf(cfg).refuse(m.Instance, id); refused != nil {
		return m, refused
	}
	return m, nil
}
