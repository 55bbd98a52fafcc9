package actors_test

import (
	"testing"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestNothingUnderWayIsSentAgain shows that silence alone repeats nothing for a vnode that was not delivered what was
// sent before: for an instance that is away it would grow without a bound (I8).
func TestNothingUnderWayIsSentAgain(t *testing.T) {
	toFirst := func(v vnode.ID) bool { return v == 0 }
	p := actors.NewProducerRules[int]("p", 1, 2)
	for v := range vnode.ID(2) {
		p.Count()
		p.Flush(v, int(v))
	}
	if got := p.Resend(toFirst); len(got) != 1 || got[0].Vnode != 1 {
		t.Errorf("a producer sends again %+v, want what vnode 1 lacks", got)
	}
	s := actors.NewSourceRules("s", &vnode.View{Assignment: vnode.Assignment{Owners: []int{0, 0}}})
	s.Advance(1)
	for v := range vnode.ID(2) {
		s.Flush(v)
	}
	if got := s.Resend(toFirst); len(got) != 1 || got[0] != 1 {
		t.Errorf("a source sends again to %v, want vnode 1", got)
	}
}
