//go:build cloud

package servertest_test

import (
	"errors"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/servertest"
)

func TestOneAppenderWinsEachRecordOnServers(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		oneAppenderWinsEachRecord(t, 1000, func(t *testing.T) backend.Config { return server.Config(t) })
	})
}

func TestServersConform(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		backendtest.Conformance(t, func(t *testing.T) backend.Objects {
			return backendtest.Open(t, server.Config(t)).Objects()
		})
	})
}

// I1: a store that ignores the condition of a create is refused when it is opened.
func TestServerThatIgnoresTheConditionIsRefused(t *testing.T) {
	s, err := servertest.Control().Config(t).Open(t.Context())
	var refused *backend.PreconditionError
	if !errors.As(err, &refused) {
		t.Fatalf("open %s: got %v, %v, want a PreconditionError", servertest.Control().Name, s, err)
	}
	t.Log(err)
}
