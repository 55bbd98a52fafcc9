package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// fetchPartials reads the partials of a sealed epoch from its segments.
func (in *Instance[K, E, S, R]) fetchPartials(ctx context.Context, s *merger.Sealed) ([]merger.Partial, error) {
	rec, err := in.recordOf(ctx, s.Epoch)
	if err != nil {
		return nil, err
	}
	partials, err := backend.Restorer{Objects: in.cfg.Store, Record: rec}.Partials(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the partials of epoch %d: %w", s.Epoch, err)
	}
	out := make([]merger.Partial, len(partials))
	for v, p := range partials {
		out[v] = merger.Partial{Vnode: vnode.ID(v), Slice: s.Tips[v], Bytes: p}
	}
	return out, nil
}

// recordOf finds the newest retained record that says that e is sealed.
func (in *Instance[K, E, S, R]) recordOf(ctx context.Context, e vnode.Epoch) (*backend.Record, error) {
	for r, err := range in.ledger.History(ctx, in.newest.Load().rec) {
		switch {
		case errors.Is(err, backend.ErrCollected):
			return nil, fmt.Errorf("epoch %d: %w", e, ErrNoEpoch) // the floor rose past it meanwhile
		case err != nil:
			return nil, fmt.Errorf("look for the record of epoch %d: %w", e, err)
		case r.Epoch == e:
			return r, nil
		}
		if r.Epoch < e {
			break
		}
	}
	return nil, fmt.Errorf("epoch %d: %w", e, ErrNoEpoch)
}

// ErrNoEpoch is returned for an epoch that no retained record seals.
var ErrNoEpoch = errors.New("no such epoch: it was never sealed, or is not retained any more")
