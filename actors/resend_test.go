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
		s.Flush(v) // which asks it where it stands
		s.Flush(v)
		s.Reply(vnode.Reply{Kind: vnode.Took, Vnode: v, Origin: "s"})
	}
	if got := s.Resend(toFirst); len(got) != 1 || got[0] != 1 {
		t.Errorf("a source sends again to %v, want vnode 1", got)
	}
}

// TestWhatIsLostWithABatchIsReadOnce: the first vnode that lacks a batch makes its source send again, in one reading, all that
// nobody has answered for and that is not under way. The others need not find out one by one.
func TestWhatIsLostWithABatchIsReadOnce(t *testing.T) {
	const lacks, silent, took, flying = 0, 1, 2, 3
	s := actors.NewReading("s", &vnode.View{Assignment: vnode.Assignment{Owners: make([]int, 4)}})
	s.Advance(10)
	for v := range vnode.ID(4) {
		s.Flush(v) // which asks it where it stands
		s.Flush(v)
		s.Reply(vnode.Reply{Kind: vnode.Took, Vnode: v, Origin: "s"})
	}
	s.Fly(flying)
	s.Hear(
		vnode.Reply{Kind: vnode.Took, Vnode: took, Origin: "s", Standing: 10},
		vnode.Reply{Kind: vnode.Gap, Vnode: lacks, Origin: "s"},
	)
	for v, want := range map[vnode.ID]bool{lacks: true, silent: true, took: false, flying: false} {
		if got := s.Takes(v, 1); got != want {
			t.Errorf("vnode %d is given event 1 again: %v, want %v", v, got, want)
		}
	}
	if s.At() != 0 {
		t.Errorf("it reads behind %d, want 0", s.At())
	}
	s.Advance(10)
	s.Hear(vnode.Reply{Kind: vnode.Gap, Vnode: silent, Origin: "s"}) // about the batch that was lost
	if s.At() != 10 {
		t.Errorf("it reads once more behind %d", s.At())
	}
}
