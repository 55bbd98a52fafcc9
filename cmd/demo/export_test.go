package main

import (
	"context"
	"io"

	"github.com/sheaf-go/sheaf/backend"
)

// Demo carries out a command line and returns the exit code.
func Demo(args []string, out, notes io.Writer) int { return demo(args, out, notes) }

// ClusterConfigs returns the configs that demo cluster writes.
func ClusterConfigs(ctx context.Context, url string, n int) ([]backend.Config, error) {
	return clusterConfigs(ctx, url, n)
}

// WriteConfig writes a config to a file of a directory.
func WriteConfig(dir string, c backend.Config) (string, error) { return writeConfig(dir, c) }

// MembersOf lists the members that a config names.
func MembersOf(c backend.Config) ([]string, error) {
	at, err := seatOf(c)
	return at.ids, err
}

// FreeAddresses returns addresses on loopback that nobody has.
func FreeAddresses(ctx context.Context, n int) ([]string, error) { return freeAddresses(ctx, n) }

// ElasticConfig is the config of a member on loopback that demo cluster writes with --dynamic.
func ElasticConfig(url, id, gossip string, seeds []string) backend.Config {
	return elasticConfig(url, id, gossip, seeds)
}
