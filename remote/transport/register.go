package transport

import "github.com/sheaf-go/sheaf/remote"

func init() { //nolint:gochecknoinits // linking by import
	remote.Register(func(cfg remote.TransportConfig) (remote.Transport, error) { return New(cfg) })
}
