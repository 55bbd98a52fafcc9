package backend

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// A vnode's slice that was loaded from one record is brought to a newer one by the end of its chain, if the beginning is
// still there: if the newest segment that ends at or below the epoch that was loaded ends where the chain ended then. For
//
//   - an epoch is sealed once, so both chains come from it, and hold the same up to it, in one segment or many. Neither
//     holds a change from there to the epoch that was loaded. That is so even if a record between goes back to an older
//     epoch: numbers go on, and what is sealed then ends above;
//   - a fold that drops tombstones replaces all that the chain begins with. Had one passed the epoch that was loaded, no
//     segment would end below. Of a fold that leaves nothing there is no other trace, hence no rule that looks for folds.
//
// A segment may begin below the epoch and end above it: a capture that builds on a slice before the newest one, or a fold
// of such. It repeats what is loaded already, tombstones too, and each key is as it was at its end.

// Loaded says how much of a vnode's chain a slice holds. The zero Loaded is an empty slice that knows of no record.
type Loaded struct {
	Epoch     vnode.Epoch     // of the record that it was loaded from
	Through   vnode.Epoch     // of the newest segment in the chain then; 0 if there was none
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
	n := 0
	for n < len(places) && r.Segments[places[n]].Through <= l.Epoch {
		n++
	}
	if n == 0 || r.Segments[places[n-1]].Through != l.Through {
		return places, false
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
	if chain := rec.Chain(s.Vnode); len(chain) > 0 {
		s.Loaded.Through = rec.Segments[chain[len(chain)-1]].Through
	}
	return s
}
