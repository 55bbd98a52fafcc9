package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Put creates the segment's object. Its name is its own: if the name is taken, an earlier try has landed, and the object
// holds these bytes. If it does not, that is a [CorruptError]. After [ErrUnknown] Put may be called again.
func (s Segment) Put(ctx context.Context, objects Objects) error {
	key := s.Ref.Key()
	err := objects.Create(ctx, key, s.Data)
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrExists) {
		return fmt.Errorf("put segment %s: %w", key, err)
	}
	stands, err := objects.Get(ctx, key, Range{})
	switch {
	case err != nil:
		return fmt.Errorf("put segment %s: its name is taken: %w", key, err)
	case !bytes.Equal(stands, s.Data):
		return fmt.Errorf("put segment: %w", corrupt(key, "it is not what was put there"))
	}
	return nil
}
