package main_test

import (
	"path/filepath"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	demo "github.com/sheaf-go/sheaf/cmd/demo"
)

// The configs that readers are shown are valid, and those of three members make a whole.
func TestSampleConfigsAreValid(t *testing.T) {
	paths, err := filepath.Glob("configs/*.toml")
	if err != nil || len(paths) != 5 {
		t.Fatalf("configs: got %v, %v, want 5", paths, err)
	}
	var claims []backend.Claim
	for _, path := range paths {
		c, err := backend.Load(path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if c.Discovery == backend.DiscoveryDynamic {
			if err := (sheaf.Config{State: c}).Validate(); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			continue
		}
		if ids, err := demo.MembersOf(c); err != nil || len(ids) != 3 {
			t.Errorf("%s: got members %v, %v, want three", path, ids, err)
		}
		if filepath.Base(path) != "tls.toml" {
			claims = append(claims, c.Claim())
		} else if c.Cluster.TLS == (backend.TLS{}) {
			t.Errorf("%s: got no TLS", path)
		}
	}
	if _, err := backend.ResolveClaims(256, claims); err != nil {
		t.Errorf("the members' vnodes: %v", err)
	}
}
