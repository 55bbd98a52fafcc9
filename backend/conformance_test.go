package backend_test

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// configs are the stores that need no server.
func configs(t *testing.T) map[string]backend.Config {
	t.Helper()
	return map[string]backend.Config{
		"InProcess": backend.InProcess(),
		"Mem":       backend.ObjectStore("mem://", "node-0"),
		"File":      backend.ObjectStore(fileURL(filepath.Join(t.TempDir(), "new", "store")), "node-0"),
		"Local":     backend.Local(filepath.Join(t.TempDir(), "new", "store")),
	}
}

func fileURL(dir string) string {
	slashed := filepath.ToSlash(dir)
	if slashed[0] != '/' {
		slashed = "/" + slashed // C:/x
	}
	return (&url.URL{Scheme: "file", Path: slashed}).String()
}

func TestStoresConform(t *testing.T) {
	for name := range configs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Conformance(t, func(t *testing.T) backend.Objects {
				return backendtest.Open(t, configs(t)[name]).Objects()
			})
		})
	}
}
