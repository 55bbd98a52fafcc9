//go:build cloud

package main_test

import (
	"testing"

	"github.com/sheaf-go/sheaf/internal/servertest"
)

// As TestSurvivesKills, with the state on each real server.
func TestSurvivesKillsOnServers(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		survivesKills(t, func(t *testing.T) string { return server.URL(t) })
	})
}
