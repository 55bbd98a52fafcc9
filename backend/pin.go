package backend

import (
	"cmp"
	"fmt"
	"slices"
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
