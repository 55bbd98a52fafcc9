//go:build cloud

package servertest_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/servertest"
)

// explicit says in [state.storage] what config takes from its URL and the environment, and makes that lead nowhere.
func explicit(t *testing.T, config backend.Config) backend.Config {
	t.Helper()
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	take := func(name string) string {
		value := os.Getenv(name)
		t.Setenv(name, "")
		return value
	}
	query := u.Query()
	u.RawQuery = ""
	switch u.Scheme {
	case "s3":
		config.Storage = backend.Storage{
			Endpoint: query.Get("endpoint"), Region: query.Get("region"), PathStyle: true,
			AccessKey: backend.SecretValue(take("AWS_ACCESS_KEY_ID")), SecretKey: backend.SecretValue(take("AWS_SECRET_ACCESS_KEY")),
		}
		take("AWS_REGION")
	case "gs":
		config.Storage = backend.Storage{Endpoint: "http://" + take("STORAGE_EMULATOR_HOST")}
		u.RawQuery = "anonymous=true"
	case "azblob":
		account := take("AZURE_STORAGE_ACCOUNT")
		config.Storage = backend.Storage{
			Endpoint:  "http://" + query.Get("domain") + "/" + account,
			AccessKey: backend.SecretValue(account), SecretKey: backend.SecretValue(take("AZURE_STORAGE_KEY")),
		}
	}
	config.URL = u.String()
	return config
}

func TestServersAreReachedByOptionsAndByEnvironment(t *testing.T) {
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		config := server.Config(t)
		if err := backendtest.Open(t, config).Objects().Create(t.Context(), "k", []byte("v")); err != nil {
			t.Fatal(err)
		}
		got, err := backendtest.Open(t, explicit(t, config)).Objects().Get(t.Context(), "k", backend.Range{})
		if err != nil || string(got) != "v" {
			t.Errorf("get what was created by the environment's account: got %q, %v, want v", got, err)
		}
	})
}

// I10: what is not to be had is an error, soon, and shows no secret.
func TestServerThatRefusesIsNoEmptyStore(t *testing.T) {
	const wrong = "d3Jvbmcgc2VjcmV0"
	wantRefused := func(t *testing.T, c backend.Config) {
		t.Helper()
		s, err := c.Open(t.Context())
		if err == nil || strings.Contains(err.Error(), wrong) {
			t.Errorf("open %v: got %v, %v, want an error that shows no secret", c, s, err)
		}
		t.Log(err)
	}
	servertest.Run(t, func(t *testing.T, server servertest.Server) {
		config := server.Config(t)
		t.Run("AbsentBucket", func(t *testing.T) {
			absent := config
			absent.URL = strings.Replace(config.URL, "://sheaf/", "://absent/", 1)
			wantRefused(t, absent)
		})
		t.Run("WrongKey", func(t *testing.T) {
			if strings.HasPrefix(config.URL, "gs:") {
				t.Skip("it lets everybody in")
			}
			t.Setenv("AWS_SECRET_ACCESS_KEY", wrong)
			t.Setenv("AZURE_STORAGE_KEY", wrong)
			wantRefused(t, config)
		})
	})
}
