package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// PreconditionError says that a store does not honour create-if-absent, on which everything rests (I1).
type PreconditionError struct {
	Object string // the key that was created twice
	Reason string
}

func (e *PreconditionError) Error() string {
	return fmt.Sprintf("the store does not honour create-if-absent (%s: %s): use a store that does", e.Object, e.Reason)
}

// probe creates a new object twice. The second must be refused, and the object must be the first. Four requests.
// It cannot show that racing creators are told apart; the conformance suite does.
func probe(ctx context.Context, store Objects) error {
	key := "probe/" + uuid.NewString()
	err := probeAt(ctx, store, key)
	return errors.Join(err, store.Delete(ctx, key))
}

func probeAt(ctx context.Context, store Objects, key string) error {
	first, second := []byte(uuid.NewString()), []byte(uuid.NewString())
	// The key is new: if it is taken, then by a first try of this create whose answer was lost. Get tells.
	if err := store.Create(ctx, key, first); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	err := store.Create(ctx, key, second)
	if err == nil {
		return &PreconditionError{Object: key, Reason: "a second create succeeded"}
	}
	if !errors.Is(err, ErrExists) {
		return err
	}
	got, err := store.Get(ctx, key, Range{})
	if err != nil {
		return err
	}
	if !bytes.Equal(got, first) {
		return &PreconditionError{Object: key, Reason: fmt.Sprintf("it holds %q, not the first create's %q", got, first)}
	}
	return nil
}
