package sheaf

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/vnode"
)

// Client is a program outside of a cluster that sends to it and reads from it. It keeps no state, and needs no store.
// Its methods may be called from many goroutines at once.
type Client[K Key, E, S, R any] struct {
	in *actors.Instance[K, E, S, R]
}

// Dial connects to a cluster as a client. Of the config it reads State.SeedPeers, which names members as "id=host:port"
// (one that answers is enough, it tells of the others), State.InstanceID, the client's own name (default "client"),
// State.VnodeCapacity, and of State.Cluster the name, the TLS files, whose certificate must be for that name or for
// "client", insecure and the limits. The app is that of the members; it must have the same name and codecs. Dial returns
// once the cluster has told where it stands, or with the error of ctx.
func Dial[K Key, E, S, R any](ctx context.Context, cfg Config, app App[K, E, S, R]) (*Client[K, E, S, R], error) {
	if cfg.State.InstanceID == "" {
		cfg.State.InstanceID = "client"
	}
	if cfg.State.URL == "" {
		cfg.State.URL = "mem://"
	}
	if err := errors.Join(app.validate(0), cfg.Validate(), checkSeeds(cfg.State)); err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	cfg, app = cfg.withDefaults(), app.withDefaults()
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	cluster := cfg.State.Cluster.WithDefaults()
	link := transportOf(cluster)
	link.Listen, link.Advertise = "", ""
	identity := identityOf(cfg, app)
	members, err := remote.NewStatic(peersOf(cfg.State)[0], peersOf(cfg.State)[1:]...)
	if err != nil {
		return nil, fmt.Errorf("dial: seed_peers: %w", err)
	}
	in, err := actors.Connect(ctx, actors.Config[K, E, S, R]{
		App: app.inVnodes(), Identity: identity, Events: app.EventCodec,
		Instance: cfg.State.InstanceID + "-" + id.String(),
		Cluster: &actors.ClusterConfig{
			Name: cluster.Name, Members: members.Members(), Client: true,
			App: appID(identity, app.EventCodec.ID()), Transport: link, Open: openTransport,
		},
		Log: cfg.Log, Timeline: actors.NewTimeline(cfg.Log), Limits: limitsOf(cfg),
		Requests: func() backend.Requests { return backend.Requests{} },
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &Client[K, E, S, R]{in}, nil
}

// checkSeeds makes sure that a client knows whom to call.
func checkSeeds(c backend.Config) error {
	if len(peersOf(c)) == 0 {
		return &backend.ConfigError{
			Key: "state.seed_peers", Value: fmt.Sprint(c.SeedPeers), Problem: "names nobody to call",
			Remedy: `name every member of the cluster, as "id=host:port"`,
		}
	}
	return nil
}

// Producer opens a plain producer's name. Whoever had it open is fenced: its sends return [ErrFenced]. Sources and
// resumable producers belong to members.
func (c *Client[K, E, S, R]) Producer(ctx context.Context, name string) (*Producer[K, E], error) {
	p, err := c.in.Producer(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Producer[K, E]{p}, nil
}

// Get returns a copy of the live state of a key; false if the key has none. A crash may take back what it shows.
func (c *Client[K, E, S, R]) Get(ctx context.Context, k K) (S, bool, error) { return c.in.Get(ctx, k) }

// Scan iterates over copies of the live states of all keys, as [Instance.Scan] does.
func (c *Client[K, E, S, R]) Scan(ctx context.Context) *Scan[K, S] {
	return &Scan[K, S]{run: func(yield func(K, S) bool) error { return c.in.Scan(ctx, yield) }}
}

// Flush returns when everything that the client sent before is sealed.
func (c *Client[K, E, S, R]) Flush(ctx context.Context) error { return c.in.Flush(ctx) }

// Status says where the client stands, and what of the cluster it knows.
func (c *Client[K, E, S, R]) Status() Status { return c.in.Status() }

// Done is closed when the client has ended.
func (c *Client[K, E, S, R]) Done() <-chan struct{} { return c.in.Done() }

// Err says why the client ended; nil while it runs, [ErrClosed] after Close.
func (c *Client[K, E, S, R]) Err() error { return c.in.Err() }

// Close takes nothing more, flushes what was sent, and ends the client. If ctx ends first, the error says what is not
// known to be sealed. It may be called twice.
func (c *Client[K, E, S, R]) Close(ctx context.Context) error { return c.in.Close(ctx) }

// identityOf is what a store of the app says of itself.
func identityOf[K Key, E, S, R any](cfg Config, app App[K, E, S, R]) backend.Identity {
	return backend.Identity{
		Capacity: cfg.State.Capacity(), App: app.Name,
		KeyCodec: vnode.NewKeyOps[K]().ID(), StateCodec: app.StateCodec.ID(), ResultCodec: app.ResultCodec.ID(),
	}
}

// inVnodes is the part of the app that vnodes run.
func (a App[K, E, S, R]) inVnodes() vnode.App[K, E, S, R] {
	return vnode.App[K, E, S, R]{
		Keys: vnode.NewKeyOps[K](), KeyOf: a.KeyOf, Update: a.Update, Fold: a.Fold,
		State: a.StateCodec, Result: a.ResultCodec, MaxPartial: backend.MaxPartial,
	}
}

func limitsOf(cfg Config) actors.Limits {
	limits := cfg.State.Cluster.Limits.WithDefaults()
	return actors.Limits{InFlight: int64(limits.InFlight), History: int64(limits.History), Producers: cfg.Names, Sources: cfg.Names}
}
