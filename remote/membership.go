package remote

import (
	"context"

	"github.com/google/uuid"
)

// Member is an instance that may take part.
type Member struct {
	Instance    string
	Incarnation uuid.UUID // zero if the provider does not know it
	Address     string    // host:port of its transport; empty for an instance that nobody calls
	Zone        string    // failure domain; may be empty
	Weight      uint32    // share of the vnodes relative to the others; 0 counts as 1
	Leaving     bool      // it goes on purpose
}

// Reporter is a [Membership] that says what goes wrong with it. A program's own need not be one.
type Reporter interface {
	// Failing returns what fails now and is tried again, by what is being done; it names addresses. It returns at once, and
	// what it holds is bounded.
	Failing() map[string]error
}

// Membership says who is there. A program may hand in one of its own, over whatever manages its instances; package gossip
// below has one that needs no manager.
//
// All of it is a hint (I7): it decides when something is tried, never whether it is right. A list may be late, miss
// somebody, name somebody who is dead, or differ from what another instance is told; that costs time, not correctness.
type Membership interface {
	// Join makes self known and returns. From then on until Leave, Close or the end of ctx, changed is called with
	// everybody who is there: soon, and after each change. Self may be among them. Each list names an instance once, is
	// sorted by instance, and is the receiver's. Calls come one at a time, the first perhaps before Join returns; states
	// between two calls may be left out. Changed returns soon and calls neither Leave nor Close.
	//
	// The end of ctx is a Close; a deadline for joining does not belong there. An error means that nothing was begun.
	Join(ctx context.Context, self Member, changed func([]Member)) error
	// Update changes what is said of self: its address, zone, weight, and that it is leaving. It may be called by changed.
	Update(self Member) error
	// Leave says that self goes on purpose, and ends. It returns after the last call of changed. The end of ctx shortens
	// what is said, not the end. It may be called twice, and before or after Close.
	Leave(ctx context.Context) error
	// Close ends at once, as a crash would look to others. It returns after the last call of changed, and may be called
	// twice.
	Close() error
}
