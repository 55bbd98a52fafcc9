package actors_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestCutWaitsForWhereVnodesStand shows that a source that is opened behind survivors names no cut that they would have to
// refuse, which would cost the attempt: it asks every vnode where it stands, and reads as far as the furthest.
func TestCutWaitsForWhereVnodesStand(t *testing.T) {
	view := &vnode.View{Cuts: map[string]uint64{"s": 10}, Assignment: vnode.Assignment{Version: 3, Owners: []int{0, 0}}}
	s := actors.NewSourceRules("s", view)
	a := vnode.Attempt{Number: 1, Version: 3}
	s.Open(a)
	s.Advance(1)
	for v := range vnode.ID(2) {
		if h, ok := s.Flush(v); !ok || h.From != 10 || h.To != 10 {
			t.Errorf("vnode %d is sent %+v, %t first, want a question at 10", v, h, ok)
		}
		if s.AskDue(v) {
			t.Errorf("vnode %d is to be asked twice", v)
		}
	}
	s.Reply(vnode.Reply{Kind: vnode.Took, Vnode: 0, Origin: "s", Standing: 12})
	if cut, named := s.Cut(); named {
		t.Errorf("the cut is %d, want none before vnode 1 answered", cut.At)
	}
	for _, underWay := range []bool{true, false} {
		s.AskAgain(func(vnode.ID) bool { return underWay })
		if s.AskDue(0) || s.AskDue(1) == underWay {
			t.Errorf("the question is under way: %t; to be asked again: vnode 0, which answered: %t, vnode 1: %t", underWay, s.AskDue(0), s.AskDue(1))
		}
	}
	s.Reply(vnode.Reply{Kind: vnode.Took, Vnode: 1, Origin: "s", Standing: 10})
	if cut, named := s.Cut(); named {
		t.Errorf("the cut is %d, want none below 12, where vnode 0 stands", cut.At)
	}
	s.Advance(1)
	if cut, named := s.Cut(); !named || cut.At != 12 || cut.Attempt != a {
		t.Errorf("the cut is %+v, %t, want 12", cut, named)
	}
}

// TestVnodeThatHoldsBackSaysWhereItStands shows that a question is answered by a vnode that holds the source back: two
// sources that were opened again within one attempt would else wait for each other's barriers.
func TestVnodeThatHoldsBackSaysWhereItStands(t *testing.T) {
	self := vnode.Member{Instance: "n", Incarnation: uuid.UUID{1}}
	view := &vnode.View{
		Seq: 1, Sources: []string{"s", "t"},
		Assignment: vnode.Assignment{Version: 3, Members: []vnode.Member{self}, Since: []uint64{1}, Owners: []int{0}},
	}
	r := vnode.NewRules(self, 0, vnode.Life{}, view, vnode.SliceID{}, nil)
	r.Deliver(&vnode.Header{Origin: "s", Version: 3, To: 7, Barrier: vnode.Attempt{Number: 1, Version: 3}})
	if got := r.Deliver(&vnode.Header{Origin: "s", Version: 3, From: 7, To: 9}); !got.Hold {
		t.Errorf("what comes behind the barrier: %+v, want it held", got)
	}
	got := r.Deliver(&vnode.Header{Origin: "s", Version: 3, From: 5, To: 5})
	if got.Hold || got.Reply.Kind != vnode.Took || got.Reply.Standing != 7 || !got.Reply.Barrier.IsZero() {
		t.Errorf("a question at 5: %+v, want an answer at once: 7, and no barrier counted", got)
	}
}
