package backend

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// A vnode's slice that was loaded from one record is brought to a newer one by what its chain holds above, if the chain
// still begins at or below the epoch that was loaded. For only a fold that replaces all that a chain begins with drops
// tombstones. Once one has passed the epoch that was loaded, the chain begins with it, or, if it left nothing, above it.
//
// A segment may begin below the epoch and end above it: a fold, or a capture that builds on a slice before the newest one.
// It repeats what is loaded already, tombstones too, and each key is as it was at its end.

// Loaded says what a slice holds. The zero Loaded is an empty slice that knows of no record.
type Loaded struct {
	Epoch     vnode.Epoch     // of the record that it was loaded from
	Positions vnode.Positions // of plain producers at the epoch; nil if there are none
}

// Continue is [Restorer.Restore] for slices that were loaded from other records of the ledger and not changed since: of
// each it reads only what is above, where the chain of this record continues what was loaded
// ([RestoredSlice.Continues]), else all. Loaded is only read, until Continue returns.
func (r Restorer) Continue(ctx context.Context, loaded map[vnode.ID]Loaded, yield func(RestoredSlice) error) error {
	above := map[vnode.ID]Loaded{}
	chain := func(v vnode.ID) []int {
		places, ok := r.Record.above(v, loaded[v])
		if ok {
			above[v] = loaded[v]
		}
		return places
	}
	c, err := r.open(ctx, slices.Collect(maps.Keys(loaded)), chain)
	if err != nil {
		return fmt.Errorf("restore epoch %d: %w", r.Record.Epoch, err)
	}
	parts := c.split(r.bytes() / int64(r.parallel()))
	return inParallel(ctx, r.parallel(), len(parts), func(ctx context.Context, i int) error {
		return c.load(ctx, parts[i], func(s RestoredSlice) error {
			l, ok := above[s.Vnode]
			return yield(s.on(l, ok, r.Record))
		})
	})
}

// above returns the part of the chain of v that ends above what is loaded; all of it, and false, if it does not continue
// that.
func (r *Record) above(v vnode.ID, l Loaded) (places []int, continues bool) {
	places = r.Chain(v)
	if len(places) == 0 || r.Segments[places[0]].Through > l.Epoch {
		return places, false
	}
	n := 0
	for n < len(places) && r.Segments[places[n]].Through <= l.Epoch {
		n++
	}
	return places[n:], true
}

// on says what the slice holds once it is loaded, on what was loaded before if it continues that.
func (s RestoredSlice) on(l Loaded, continues bool, rec *Record) RestoredSlice {
	s.Continues = continues
	if continues && s.Positions == nil {
		s.Positions = l.Positions
	}
	s.Loaded = Loaded{Epoch: rec.Epoch, Positions: s.Positions}
	return s
}
