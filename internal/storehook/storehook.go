// Package storehook lets Sheaf's own tests, and sheaftest, put a store of theirs between an instance and the store that
// its config opens: one that fails, that counts, or that outlives the instance. Programs cannot reach it.
package storehook

import (
	"context"

	"github.com/sheaf-go/sheaf/backend"
)

type key struct{}

// With returns a context under which an instance is opened on what wrap makes of its store's objects.
func With(ctx context.Context, wrap func(own backend.Objects) backend.Objects) context.Context {
	return context.WithValue(ctx, key{}, wrap)
}

// Apply returns the objects that an instance opened under ctx works on.
func Apply(ctx context.Context, own backend.Objects) backend.Objects {
	if wrap, ok := ctx.Value(key{}).(func(backend.Objects) backend.Objects); ok {
		return wrap(own)
	}
	return own
}
