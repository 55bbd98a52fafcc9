package remote

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/vnode"
)

// Hello is what both ends of a connection say of themselves before anything else.
type Hello struct {
	Cluster  string
	Lowest   uint32 // format of frames that is understood
	Highest  uint32
	Member   vnode.Member
	Address  string // that the others dial; empty for a client
	Capacity int
	App      string // name of the app and ids of its codecs
	Version  uint64 // of the newest assignment known
	Term     uint64
	Client   bool // no member: it listens nowhere, and is answered on the connection that it made
}

// Frame is one message to a peer. It is encoded when its turn comes, by one goroutine at a time.
type Frame interface {
	// Size is what the frame counts for against the bounds of a peer, in bytes.
	Size() int
	// Append encodes the frame behind b. An error drops this frame alone, and is logged.
	Append(b []byte) ([]byte, error)
}

// Tracked is a frame that the transport keeps until its receiver is done with it. Until then it is sent again over each
// new connection to the same incarnation, in its order.
type Tracked interface {
	Frame
	// Done is called once: the receiver is done with the frame, or it will not be sent to it any more.
	Done()
}

// Handler is the instance behind a transport. Its methods return soon: they are called by the goroutine of a connection.
type Handler interface {
	// Self is what this end says of itself now. The transport fills in Client, and Address where it is empty.
	Self() Hello
	// Check refuses a peer of the same cluster and format by returning the reason, which the peer is told.
	Check(peer Hello) error
	// Up says that frames sent from now on reach this incarnation of a peer.
	Up(peer Hello)
	// Down says that they do not any more, and why.
	Down(peer Hello, why error)
	// Receive takes a frame, in the order in which the peer sent those of one connection. Data is valid until it returns.
	// Done is nil unless the frame is tracked; then it must be called once, at any time. An error closes the connection.
	Receive(from Hello, data []byte, done func()) error
}

// Transport moves frames between this instance and its peers. It loses frames that are not tracked when a connection
// breaks, and repeats tracked ones: positions repair both (I4).
type Transport interface {
	// Address is what peers dial; empty for a client.
	Address() string
	// Dial keeps a connection to each of these members, and to no other.
	Dial(members []Member)
	// Send queues a frame for a peer, by its instance id, and never waits. False: it was dropped, since there is no such peer,
	// or it is not tracked and the bound of the queue is reached or the peer is down; then Done is not called. Tracked frames
	// are bounded by their senders: each is of somebody's credit until it is done with.
	Send(instance string, f Frame) bool
	// GiveUp is done with the tracked frames that wait for a peer, if that is down.
	GiveUp(instance string)
	// Probe asks who is at an address, once.
	Probe(ctx context.Context, address string) (Hello, error)
	// Status describes every peer, by instance.
	Status() []PeerStatus
	// Refused counts the connections that were refused, either way, by the kind of reason.
	Refused() map[string]uint64
	// Close ends every connection and waits for its goroutines. What is queued for peers that are up is sent if that takes
	// no longer than half a second. It may be called twice, but not by a method of the handler.
	Close() error
}

// PeerStatus is what a transport knows of one peer.
type PeerStatus struct {
	Instance string
	Address  string
	Up       bool
	Queued   int64 // bytes that were not sent or that the receiver is not done with
	Sent     uint64
	Received uint64 // frames
	Dropped  uint64 // frames, at the bound of the queue, or not tracked while the peer was down
	Err      error  // why it is not up
}

// TransportConfig is what a transport is made of.
type TransportConfig struct {
	Listen    string // "host:port"; empty for a client
	Advertise string // empty: the address that Listen came to
	Insecure  bool   // no TLS off loopback
	// Cert, Key and CA name PEM files for mutual TLS, which are read again when they change; all are empty without TLS.
	Cert, Key, CA string
	MaxFrame      int   // of a frame's encoding; bytes, default 16 MiB
	MaxQueue      int64 // of frames per peer that wait and are not tracked; bytes, default 64 MiB
	Handler       Handler
	Log           *zap.Logger // nil is silent
}

// RefusedError is a connection that one end refused, or ended for what came over it.
type RefusedError struct {
	Peer   string // instance id or address
	Kind   string // one of the constants below
	Reason string
}

// The kinds of refusals, of the transport and of gossip.
const (
	RefusedTLS         = "tls"         // no TLS, no certificate, one of another authority
	RefusedCertificate = "certificate" // it names somebody else
	RefusedCluster     = "cluster"     // another cluster
	RefusedFormat      = "format"      // no common format
	RefusedInstance    = "instance"    // not who was meant
	RefusedByCheck     = "check"       // by the handler
	RefusedSilent      = "silent"      // no hello in time
	RefusedProtocol    = "protocol"    // something else than a transport
	RefusedFrame       = "frame"       // a frame that cannot be decoded
	RefusedSize        = "size"        // a message above the limit
	RefusedByHandler   = "handler"     // an error of Receive
	RefusedPanic       = "panic"       // a panic in the handler
	RefusedCapacity    = "capacity"    // another number of vnodes
	RefusedApp         = "app"         // another app, or other codecs
	RefusedMeta        = "meta"        // what a member says of itself cannot be read
)

func (e *RefusedError) Error() string { return fmt.Sprintf("%s refused: %s", e.Peer, e.Reason) }

// ExposedError is an address off loopback where nothing protects what is sent (I12).
type ExposedError struct {
	Address string
	Gossip  bool // it is of gossip, else of the transport
}

func (e *ExposedError) Error() string {
	takes := "a certificate, its key and an authority"
	if e.Gossip {
		takes = "a gossip key"
	}
	return fmt.Sprintf("%s is not on loopback: that takes %s, or insecure = true", e.Address, takes)
}
