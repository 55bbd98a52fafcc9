package servertest

import (
	"net/url"
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
)

// Server is an object store that runs beside the tests.
type Server struct {
	Name     string
	Variable string // of the environment: a store URL
}

// Servers returns the stores that must be as good as any other.
func Servers() []Server {
	return []Server{
		{"versitygw", "SHEAF_TEST_S3_VERSITYGW"},
		{"minio", "SHEAF_TEST_S3_MINIO"},
		{"fakegcs", "SHEAF_TEST_GS_FAKE"},
		{"azurite", "SHEAF_TEST_AZBLOB_AZURITE"},
	}
}

// Control returns the store that ignores the condition of a create, and must be refused.
func Control() Server { return Server{"s3rver", "SHEAF_TEST_S3_S3RVER"} }

// Run runs a subtest for each server, those that are not there included.
func Run(t *testing.T, test func(t *testing.T, server Server)) {
	for _, s := range Servers() {
		t.Run(s.Name, func(t *testing.T) {
			s.URL(t)
			test(t, s)
		})
	}
}

// URL returns the URL of a new, empty store on the server. Credentials are in the environment.
func (s Server) URL(t testing.TB) string {
	t.Helper()
	raw := os.Getenv(s.Variable)
	if raw == "" {
		s.missing(t)
	}
	if err := checkLoopback(raw, os.Getenv); err != nil {
		t.Fatalf("%s: %v", s.Variable, err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatalf("%s: %v", s.Variable, err)
	}
	return u.JoinPath(uuid.NewString()).String()
}

// Config returns a new, empty store on the server.
func (s Server) Config(t testing.TB) backend.Config {
	t.Helper()
	c := backend.ObjectStore(s.URL(t), "node-0")
	if s == Control() { // its only account is built in
		c.Storage.AccessKey, c.Storage.SecretKey = backend.SecretValue("S3RVER"), backend.SecretValue("S3RVER")
	}
	return c
}

func (s Server) missing(t testing.TB) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("no server %s: %s is not set; begin the command with .ci/servers run", s.Name, s.Variable)
	}
	t.Skipf("━━━━ NOT TESTED: no server %s: %s is not set; begin the command with .ci/servers run", s.Name, s.Variable)
}
