package transport

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/mem"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

// self is what this end says of itself now.
func (t *Transport) self() remote.Hello {
	h := t.cfg.Handler.Self()
	h.Client = t.cfg.Listen == ""
	if h.Address == "" {
		h.Address = t.address
	}
	return h
}

func refusal(peer, kind, format string, args ...any) *remote.RefusedError {
	return &remote.RefusedError{Peer: peer, Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// refusedBy is a refusal that the peer tells of. What it counts as is one of ours.
func refusedBy(peer, kind, reason string) *remote.RefusedError {
	switch kind {
	case remote.RefusedCertificate, remote.RefusedCluster, remote.RefusedFormat, remote.RefusedInstance, remote.RefusedByCheck,
		remote.RefusedFrame, remote.RefusedSize, remote.RefusedByHandler, remote.RefusedPanic:
	default:
		kind = remote.RefusedProtocol
	}
	return refusal(peer, kind, "the peer says: %s", reason)
}

// stranger checks what holds for a probe too: that the certificate is the peer's, and that it is of this cluster.
func stranger(self, h remote.Hello, id identity) *remote.RefusedError {
	peer := h.Member.Instance
	switch {
	case !id.allows(h):
		return refusal(peer, remote.RefusedCertificate, "the certificate is of %q, not of %q", id.names, peer)
	case h.Cluster != self.Cluster:
		return refusal(peer, remote.RefusedCluster, "cluster %q, not %q", h.Cluster, self.Cluster)
	}
	return nil
}

// judge checks the hello of the other end; nil: it is taken.
func (t *Transport) judge(self, h remote.Hello, id identity) *remote.RefusedError {
	if e := stranger(self, h, id); e != nil {
		return e
	}
	peer := h.Member.Instance
	switch {
	case max(h.Lowest, self.Lowest) > min(h.Highest, self.Highest):
		return refusal(peer, remote.RefusedFormat, "formats %d to %d, not %d to %d", h.Lowest, h.Highest, self.Lowest, self.Highest)
	case peer == "":
		return refusal(peer, remote.RefusedInstance, "it has no name")
	case peer == self.Member.Instance:
		return refusal(peer, remote.RefusedInstance, "it goes by the name of this instance")
	}
	if err := t.cfg.Handler.Check(h); err != nil {
		return refusal(peer, remote.RefusedByCheck, "%v", err)
	}
	return nil
}

// sendHello sends a hello, which is a message of its own.
func sendHello(s stream, h wire.Hello) error {
	return s.SendMsg(smallMessage(wire.AppendHello(nil, h)))
}

// receiveHello receives the first message. An end in its place is a refusal by the peer; what is neither is one by us.
func receiveHello(s stream, peer string) (wire.Hello, error) {
	var m mem.BufferSlice
	if err := s.RecvMsg(&m); err != nil {
		return wire.Hello{}, err
	}
	r := wire.NewReader(0)
	r.Reset([][]byte{m.Materialize()})
	m.Free()
	f, ok, err := r.Next()
	if err == nil && ok {
		switch f.Kind {
		case wire.KindHello:
			h, err := wire.ParseHello(f.Body)
			if err == nil {
				return h, nil
			}
			return h, notHello(peer, err)
		case wire.KindEnd:
			kind, reason, err := wire.ParseEnd(f.Body)
			if err == nil {
				return wire.Hello{}, told{refusedBy(peer, kind, reason)}
			}
		default:
		}
	}
	return wire.Hello{}, notHello(peer, err)
}

func notHello(peer string, err error) *remote.RefusedError {
	var format *wire.FormatError
	switch {
	case errors.As(err, &format):
		return refusal(peer, remote.RefusedFormat, "%v", err)
	case err == nil:
		err = errors.New("what came first is no hello")
	}
	return refusal(peer, remote.RefusedProtocol, "%v", err)
}
