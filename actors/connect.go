package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheaf-go/sheaf/vnode"
)

// Connect starts a client of a cluster: an instance without a store and without vnodes. It returns once a member has
// told it of the newest record, or with the error of ctx.
func Connect[K vnode.Key, E, S, R any](ctx context.Context, cfg Config[K, E, S, R]) (*Instance[K, E, S, R], error) {
	in, err := newInstance(cfg)
	if err != nil {
		return nil, err
	}
	in.spawnActors(nil)
	in.system.Root.Send(in.follower, beginFollowing{self: in.self, role: Role{Client: true}})
	in.hear()
	if err := in.await(ctx, func() bool { return in.routes.Load() != nil }); err != nil {
		for _, p := range in.transport.Status() {
			if p.Err != nil {
				err = errors.Join(err, fmt.Errorf("member %s at %s: %w", p.Instance, p.Address, p.Err))
			}
		}
		in.Abort(err)
		in.stops.Wait()
		return nil, err
	}
	return in, nil
}
