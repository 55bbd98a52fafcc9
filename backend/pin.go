package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf/vnode"
)

// MaxPins is the number of pins of a store: each keeps an epoch's segments from collection (I8).
const MaxPins = 64

// Errors of pins.
var (
	ErrPinName  = errors.New("a pin's name is 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', and begins with a letter or a digit")
	ErrPinTaken = errors.New("there is a pin of this name: drop it first, or take another name")
	ErrNoPin    = errors.New("no such pin")
	ErrPins     = fmt.Errorf("a store has at most %d pins: drop one first", MaxPins)
	ErrUnsealed = errors.New("no epoch is sealed yet")
)

// Pin keeps a record and the segments that it names from collection, however far the floor rises. It is durable, and in
// force, from the record on that first holds it, until the record that no longer does.
type Pin struct {
	Name   string
	Seq    uint64 // of the record that is kept
	Digest Digest // of that record's object
	Epoch  vnode.Epoch
}

// CheckPinName returns [ErrPinName] for what cannot be a pin's name.
func CheckPinName(name string) error {
	if ok, err := regexp.MatchString(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`, name); err != nil || !ok {
		return fmt.Errorf("pin %.100q: %w", name, ErrPinName)
	}
	return nil
}

// WithPin makes rec, which [Record.Next] returned, keep another record of the ledger under a name. The error says which
// of the errors of pins it is, or [ErrCollected] for a record below rec's floor.
func WithPin(rec *Record, name string, pinned *Record) error {
	at, taken := rec.findPin(name)
	err := CheckPinName(name)
	switch {
	case err != nil:
		return err
	case taken:
		err = ErrPinTaken
	case len(rec.Pins) >= MaxPins:
		err = ErrPins
	case pinned.Epoch == 0:
		err = ErrUnsealed
	case pinned.Seq < rec.Floor.Seq:
		err = ErrCollected
	}
	if err != nil {
		return fmt.Errorf("pin epoch %d as %q: %w", pinned.Epoch, name, err)
	}
	rec.Pins = slices.Insert(rec.Pins, at, Pin{Name: name, Seq: pinned.Seq, Digest: pinned.digest, Epoch: pinned.Epoch})
	return nil
}

// WithoutPin makes rec, which [Record.Next] returned, drop a pin: what it alone kept may go from now on. It returns
// [ErrNoPin] if there is none of that name.
func WithoutPin(rec *Record, name string) error {
	at, found := rec.findPin(name)
	if !found {
		return fmt.Errorf("drop pin %q: %w: there is %s", name, ErrNoPin, rec.pinNames())
	}
	rec.Pins = slices.Delete(rec.Pins, at, at+1)
	return nil
}

func (r *Record) findPin(name string) (int, bool) {
	return slices.BinarySearchFunc(r.Pins, name, func(p Pin, name string) int { return cmp.Compare(p.Name, name) })
}

func (r *Record) pinNames() string {
	if len(r.Pins) == 0 {
		return "none"
	}
	names := make([]string, len(r.Pins))
	for i, p := range r.Pins {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// PinNamed returns the pin of a name.
func (r *Record) PinNamed(name string) (Pin, bool) {
	i, found := r.findPin(name)
	if !found {
		return Pin{}, false
	}
	return r.Pins[i], true
}

// PinOf returns a pin of an epoch.
func (r *Record) PinOf(e vnode.Epoch) (Pin, bool) {
	i := slices.IndexFunc(r.Pins, func(p Pin) bool { return p.Epoch == e })
	if i < 0 {
		return Pin{}, false
	}
	return r.Pins[i], true
}

// keeps reports whether collection leaves a record alone while this one is the newest.
func (r *Record) keeps(seq uint64) bool {
	return seq >= r.Floor.Seq || slices.ContainsFunc(r.Pins, func(p Pin) bool { return p.Seq == seq })
}

// Pinned reads the record that a pin keeps, one of by, which the ledger returned. It returns [ErrCollected] if the pin
// was dropped meanwhile, and else a [MissingError] for a record that is not there (I9, I10).
func (l *Ledger) Pinned(ctx context.Context, by *Record, p Pin) (*Record, error) {
	key := recordKey(p.Seq)
	r, err := l.get(ctx, p.Seq)
	switch {
	case err == nil && r.digest == p.Digest:
		return r, nil
	case err == nil: // a sleeper wrote it, after the pin was dropped
		err = corrupt(key, "it is not the record that pin %q keeps", p.Name)
	case errors.Is(err, ErrNotFound):
		err = &MissingError{Object: key, NamedBy: recordKey(by.Seq)}
	}
	return nil, l.explain(ctx, p.Seq, err)
}
