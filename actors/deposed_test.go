package actors_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestWhoWasDeposedIsNotHeeded: the coordinator of an earlier term, which has not heard of the next, does not take back what
// that one plans, whether or not its record is known here yet.
func TestWhoWasDeposedIsNotHeeded(t *testing.T) {
	self := vnode.Member{Instance: "b", Incarnation: uuid.New(), Address: "b:1"}
	at := func(seq, term uint64) *backend.Record {
		return &backend.Record{Seq: seq, Term: term, Assignment: vnode.Assignment{Members: []vnode.Member{self}, Owners: []int{0}}}
	}
	f, _ := actors.NewFollowerRules(self, actors.Role{}, actors.Claimed{}, at(9, 2), 0)
	for i, x := range []struct {
		learn *backend.Record
		term  uint64
		heeds bool
	}{
		{nil, 1, false},
		{nil, 2, true},
		{nil, 3, true}, // its record is on its way
		{nil, 2, false},
		{at(10, 3), 3, true},
		{at(11, 5), 4, false},
		{nil, 5, true},
	} {
		if x.learn != nil {
			f.Learn(x.learn)
		}
		if got := f.Heeds(x.term); got != x.heeds {
			t.Errorf("step %d: what is said in term %d counts: %v, want %v", i, x.term, got, x.heeds)
		}
	}
}
