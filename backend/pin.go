package backend

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// WithPin makes rec, which [Record.Next] returned, keep what a record names from collection, under a name; a pin of that
// name is replaced. It returns [ErrCollected] for a record below rec's floor.
func WithPin(rec *Record, name string, pinned *Record) error {
	if pinned.Seq < rec.Floor.Seq {
		return fmt.Errorf("pin record %d as %q: %w", pinned.Seq, name, ErrCollected)
	}
	pin := Pin{Name: name, Seq: pinned.Seq, Epoch: pinned.Epoch, Segments: slices.Clone(pinned.Segments)}
	at, found := slices.BinarySearchFunc(rec.Pins, name, func(p Pin, name string) int { return cmp.Compare(p.Name, name) })
	if found {
		rec.Pins[at] = pin
	} else {
		rec.Pins = slices.Insert(rec.Pins, at, pin)
	}
	return nil
}

// Pinned returns a record to read the state of a pinned epoch by (see [Restorer], [Export]), also when the record that
// was pinned is collected. It holds no results and is no record of the ledger.
func (r *Record) Pinned(e vnode.Epoch) (*Record, bool) {
	i := slices.IndexFunc(r.Pins, func(p Pin) bool { return p.Epoch == e })
	if i < 0 {
		return nil, false
	}
	pin := &Record{Identity: r.Identity, Seq: r.Pins[i].Seq, Epoch: e, Segments: r.Pins[i].Segments, Tips: make([]vnode.SliceID, len(r.Tips))}
	for v := range pin.Tips {
		pin.Tips[v].Attempt.Number = uint64(e) + 1 // above every slice of the epoch
	}
	return pin, true
}
