package driver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"

	"github.com/sheaf-go/sheaf/backend"
)

// wantNoSecret prints a value in every way that a program may.
func wantNoSecret(t *testing.T, what string, v any) {
	t.Helper()
	marshalled, _ := json.Marshal(v)
	texts := map[string]string{"JSON": string(marshalled)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		texts[verb] = fmt.Sprintf(verb, v)
	}
	for how, text := range texts {
		for _, secret := range []string{secretKey, signature, "that-nobody-sees", fmt.Sprintf("%x", secretKey), "password"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s as %s shows %s: %s", what, how, secret, text)
			}
		}
	}
}

// everyLink calls see with an error and all that it wraps.
func everyLink(err error, see func(error)) {
	if err == nil {
		return
	}
	see(err)
	switch e := err.(type) { //nolint:errorlint // every link is looked at
	case interface{ Unwrap() error }:
		everyLink(e.Unwrap(), see)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			everyLink(one, see)
		}
	}
}

// entrances are the ways to give a secret, as configs and environments.
func entrances(base string) map[string]func(t *testing.T) backend.Config {
	withEnv := func(name, value string, c backend.Config) func(*testing.T) backend.Config {
		return func(t *testing.T) backend.Config {
			t.Setenv(name, value)
			return c
		}
	}
	plain := func(c backend.Config) func(*testing.T) backend.Config {
		return func(*testing.T) backend.Config { return c }
	}
	s3, azure := s3Dialect().config(base), azureDialect().config(base)
	signed := azure
	signed.Storage.AccessKey, signed.Storage.SecretKey, signed.Storage.SessionToken = backend.Secret{}, backend.Secret{}, backend.SecretValue("?"+signature)
	bare := backend.ObjectStore("azblob://bucket/some/prefix", "a")
	named := bare
	named.Storage.Endpoint, named.Storage.AccessKey = base+"/account", backend.SecretValue("account")
	session := s3
	session.Storage.SessionToken = backend.SecretValue(secretKey)
	fromEnv := backend.ObjectStore("s3://bucket/some/prefix?use_path_style=true&region=eu-west-1&endpoint="+base, "a")
	return map[string]func(*testing.T) backend.Config{
		"s3 options":       plain(s3),
		"s3 session":       plain(session),
		"azure key":        plain(azure),
		"azure signature":  plain(signed),
		"azure key in env": withEnv("AZURE_STORAGE_KEY", secretKey, named),
		"azure signature in env": func(t *testing.T) backend.Config {
			t.Setenv("AZURE_STORAGE_SAS_TOKEN", signature)
			return named
		},
		"azure connection string": withEnv("AZURE_STORAGE_CONNECTION_STRING",
			"AccountName=account;AccountKey="+secretKey+";BlobEndpoint="+base+"/account", bare),
		"azure connection string, signed": withEnv("AZURE_STORAGE_CONNECTION_STRING",
			"BlobEndpoint="+base+"/account/;SharedAccessSignature="+signature, bare),
		"s3 env": func(t *testing.T) backend.Config {
			t.Setenv("AWS_ACCESS_KEY_ID", "id")
			t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
			return fromEnv
		},
	}
}

// TestSecretsAreNotSeen: neither in a config, nor in a store, nor in any error on the way, the caller's bucket included.
func TestSecretsAreNotSeen(t *testing.T) {
	for name := range entrances("") {
		t.Run(name, func(t *testing.T) {
			alone(t)
			d := s3Dialect()
			if strings.HasPrefix(name, "azure") {
				d = azureDialect()
			}
			s, base := newServer(t, d)
			c := entrances(base)[name](t)
			wantNoSecret(t, "config", c)
			store, err := c.Open(t.Context())
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			defer store.Close()
			wantNoSecret(t, "store", store)
			for _, f := range []fault{{says: denied}, {says: invalid}, {says: foreign}, {says: taken}, {says: broken}, {cut: "before"}} {
				for _, err := range failuresOf(t, s, f, store) {
					if err == nil {
						t.Errorf("%+v: got no error", f)
					}
					everyLink(err, func(err error) { wantNoSecret(t, fmt.Sprintf("error of %+v", f), err) })
				}
			}
		})
	}
}

// failuresOf makes a create and the caller's read fail, each for good.
func failuresOf(t *testing.T, s *server, f fault, store *backend.Store) []error {
	t.Helper()
	s.will(f)
	if f.says == broken || f.cut != "" { // it is repeated, and would then pass
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s.will(f, f, f, f, f, f)
		_, err := store.Bucket().ReadAll(ctx, "k")
		return []error{err}
	}
	create := store.Objects().Create(t.Context(), "k", []byte("x"))
	s.will(f)
	user := store.Bucket().WriteAll(t.Context(), "k", []byte("x"), &blob.WriterOptions{})
	return []error{create, user}
}

// TestErrorsOfConnectingShowNoSecret: what is wrong with a secret is said without it.
func TestErrorsOfConnectingShowNoSecret(t *testing.T) {
	alone(t)
	base := "http://127.0.0.1:1"
	for name, change := range map[string]func(c *backend.Config){
		"azure key that is no base64": func(c *backend.Config) { c.Storage.SecretKey = backend.SecretValue(signature) },
		"endpoint with a password":    func(c *backend.Config) { c.Storage.Endpoint = "http://user:password@127.0.0.1:1" },
		"URL with a signature":        func(c *backend.Config) { c.URL += "?" + signature },
		"URL with a password":         func(c *backend.Config) { c.URL = "azblob://user:password@bucket" },
		"no such file":                func(c *backend.Config) { c.Storage.SecretKey = backend.SecretFile("/absent") },
	} {
		c := azureDialect().config(base)
		change(&c)
		_, err := c.Open(t.Context())
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
		everyLink(err, func(err error) { wantNoSecret(t, name, err) })
	}
	google := gcsDialect().config(base)
	google.URL, google.Storage.Credentials = "gs://bucket", backend.SecretValue(`{"type": "service_account", "private_key": "`+secretKey+`"`)
	_, err := google.Open(t.Context())
	if err == nil {
		t.Error("credentials that are cut off: got no error")
	}
	everyLink(err, func(err error) { wantNoSecret(t, "credentials that are cut off", err) })
}

// TestConnectingSaysWhatIsMissing names the key or the variable that would help.
func TestConnectingSaysWhatIsMissing(t *testing.T) {
	for url, want := range map[string]string{
		"s3://bucket":                      "AWS_REGION",
		"s3://bucket?region=x":             "AWS_ACCESS_KEY_ID",
		"s3://bucket?region=x&ssetype=y":   "ssetype",
		"gs://bucket?anonymous=maybe":      "anonymous",
		"azblob://bucket":                  "AZURE_STORAGE_ACCOUNT",
		"azblob://bucket?localemu=perhaps": "localemu",
		"azblob://bucket?protocol=gopher":  "protocol",
	} {
		alone(t)
		_, err := backend.ObjectStore(url, "a").Open(t.Context())
		var config *backend.ConfigError
		if err == nil || errors.As(err, &config) || !strings.Contains(err.Error(), want) {
			t.Errorf("open %s: got %v, want an error that names %s", url, err, want)
		}
	}
}
