package sheaf_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/remote"
)

// blind is a membership that knows nobody; joins ends in fails.
type blind struct{ fails error }

func (b blind) Join(context.Context, remote.Member, func([]remote.Member)) error { return b.fails }
func (blind) Update(remote.Member) error                                         { return nil }
func (blind) Leave(context.Context) error                                        { return nil }
func (blind) Close() error                                                       { return nil }

// TestMembershipThatCannotBeJoinedLeavesNothingBehind: the actors are there by then.
func TestMembershipThatCannotBeJoinedLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	broken := errors.New("broken")
	cfg := elastic("file://"+t.TempDir(), "n0")
	cfg.Membership = blind{broken}
	if _, err := sheaf.Open(t.Context(), cfg, tallies()); !errors.Is(err, broken) {
		t.Fatalf("open: got %v, want %v", err, broken)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
