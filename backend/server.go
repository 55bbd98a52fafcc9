package backend

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strconv"

	"gocloud.dev/blob"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

// onServer opens a store behind a connection. Nothing is asked of it yet.
func (c Config) onServer(ctx context.Context, h home) (*Store, error) {
	remote, err := h.connect(ctx, c.target(h.url))
	if err != nil {
		return nil, connectError(err)
	}
	objects, err := openPrefix(remote, h.url, "", false)
	if err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	user, err := openPrefix(remote, h.url, userPrefix, true)
	if err != nil {
		return nil, errors.Join(err, objects.Close(), remote.Close())
	}
	return &Store{
		config: c.Clone(), gate: newGate(), count: &requestCounts{},
		objects: objects, user: user, remote: remote,
	}, nil
}

// serverBucket opens a bucket that is the caller's. Its connection is left to itself when the bucket is closed: it holds
// no more than idle sockets then, which end in a minute.
func (c Config) serverBucket(ctx context.Context, h home, prefix string) (*blob.Bucket, error) {
	remote, err := h.connect(ctx, c.target(h.url))
	if err != nil {
		return nil, connectError(err)
	}
	b, err := openPrefix(remote, h.url, prefix, true)
	if err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	return b, nil
}

// connectError is what a cloud's library says of its configuration, in words alone, like a server's error.
func connectError(err error) error { return &serverError{text: hideTokens(err.Error())} }

// openPrefix opens what is under the store's prefix and another, empty or with a slash at its end.
func openPrefix(remote driver.Connection, u StoreURL, prefix string, retries bool) (*blob.Bucket, error) {
	b, err := remote.Bucket(retries)
	if err != nil {
		return nil, connectError(err)
	}
	if u.Prefix != "" {
		prefix = u.Prefix + "/" + prefix
	}
	if prefix == "" {
		return b, nil
	}
	return blob.PrefixedBucket(b, prefix), nil
}

// target is what a driver needs to know of the config. Validation has seen to it that nothing is said twice.
func (c Config) target(u StoreURL) driver.Target {
	query := maps.Clone(u.Query)
	if c.Storage.PathStyle {
		query.Set("use_path_style", strconv.FormatBool(true))
	}
	t := driver.Target{
		Bucket:   u.Bucket,
		Query:    query,
		Endpoint: cmp.Or(c.Storage.Endpoint, query.Get("endpoint")),
		Region:   cmp.Or(c.Storage.Region, query.Get("region")),
	}
	query.Del("endpoint")
	query.Del("region")
	for field, s := range map[*func() (string, error)]Secret{
		&t.AccessKey: c.Storage.AccessKey, &t.SecretKey: c.Storage.SecretKey,
		&t.SessionToken: c.Storage.SessionToken, &t.Credentials: c.Storage.Credentials,
	} {
		if !s.IsZero() {
			*field = s.Reveal
		}
	}
	return t
}
