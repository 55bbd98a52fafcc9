package remote

import (
	"errors"
	"fmt"

	"go.uber.org/zap"
)

// GossipConfig is what a membership by gossip is made of.
type GossipConfig struct {
	Cluster   string   // name; others are strangers
	Listen    string   // "host:port", TCP and UDP; port 0 is any free one
	Advertise string   // that the others call; port 0 is the one that Listen came to; default: the address that Listen came to
	Seeds     []string // "host:port" of members; a host may have several addresses
	// KeyFile holds the keys that all members share, one a line, in base64 or hex: the first encrypts, each decrypts. It is
	// read again when it changes. Without one, gossip stays on loopback (I12).
	KeyFile string
	// What all members must have in common. Who has another is refused.
	App      string // name of the app and ids of its codecs
	Capacity int    // vnodes
	Format   uint32 // of what the instances exchange

	Insecure bool        // no key off loopback
	Log      *zap.Logger // nil is silent
}

// ErrMembershipEnded is returned by a membership after Leave, Close or the end of its context.
var ErrMembershipEnded = errors.New("the membership has ended")

// linkedGossip is the provider that the program links; nil: none. Only an init function writes it.
var linkedGossip func(GossipConfig) (Membership, error) //nolint:gochecknoglobals // linking by import needs a place

// RegisterGossip links a membership by gossip. It is for init functions.
func RegisterGossip(open func(GossipConfig) (Membership, error)) { linkedGossip = open }

// OpenGossip makes the membership by gossip that the program links; an [ImportError] if it links none.
func OpenGossip(cfg GossipConfig) (Membership, error) {
	if linkedGossip == nil {
		return nil, &ImportError{Import: "github.com/sheaf-go/sheaf/remote/gossip"}
	}
	return linkedGossip(cfg)
}

// ImportError says that the program does not link gossip. There is no fallback to another membership.
type ImportError struct {
	Import string // the package that links it
}

func (e *ImportError) Error() string {
	return fmt.Sprintf("no gossip is linked into this program: import _ %q, or hand in a membership", e.Import)
}
