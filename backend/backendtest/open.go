package backendtest

import (
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

// Open opens a store, which is closed at the end of the test.
func Open(t *testing.T, c backend.Config) *backend.Store {
	t.Helper()
	s, err := c.Open(t.Context())
	if err != nil {
		t.Fatalf("open %v: %v", c, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close %v: %v", c, err)
		}
	})
	return s
}
