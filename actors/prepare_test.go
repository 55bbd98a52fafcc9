package actors_test

import (
	"slices"
	"testing"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestWhatDoesNotComeIsFreed: what was loaded for a plan goes when the plan does (I8), but for what has become this
// instance's own, and is about to be taken.
func TestWhatDoesNotComeIsFreed(t *testing.T) {
	p := actors.NewPrefetch(1, 2, 3)
	plan := &actors.Plan{ID: actors.PlanID{Term: 2, Number: 1}}
	for i, x := range []struct {
		plan *actors.Plan
		news bool
	}{{nil, false}, {plan, true}, {plan, false}, {&actors.Plan{ID: actors.PlanID{Term: 2, Number: 2}}, true}, {nil, true}, {nil, false}} {
		if got := p.Told(x.plan); got != x.news {
			t.Errorf("plan %d: what is loaded is looked at: %v, want %v", i, got, x.news)
		}
	}
	for i, x := range []struct{ comes, owned, to, loaded []vnode.ID }{
		{comes: []vnode.ID{1, 2, 3, 4}, to: []vnode.ID{1, 2, 3, 4}, loaded: []vnode.ID{1, 2, 3}},
		{comes: []vnode.ID{1, 2, 3, 4}, owned: []vnode.ID{2, 4}, to: []vnode.ID{1, 3}, loaded: []vnode.ID{1, 2, 3}},
		{comes: []vnode.ID{3}, owned: []vnode.ID{2}, to: []vnode.ID{3}, loaded: []vnode.ID{2, 3}},
		{owned: []vnode.ID{2}, loaded: []vnode.ID{2}},
		{},
	} {
		if to, loaded := p.Keep(x.comes, x.owned); !slices.Equal(to, x.to) || !slices.Equal(loaded, x.loaded) {
			t.Errorf("step %d: %v are to be loaded and %v are, want %v and %v", i, to, loaded, x.to, x.loaded)
		}
	}
}
