package backend_test

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

func TestStoreURLInParts(t *testing.T) {
	tests := map[string]backend.StoreURL{
		"file:///srv/state":          {Scheme: "file", Dir: "/srv/state"},
		"file:///srv/state/":         {Scheme: "file", Dir: "/srv/state"},
		"file://localhost/a%20b%3Fc": {Scheme: "file", Dir: "/a b?c"},
		"mem://":                     {Scheme: "mem"},
		"mem://shared/p":             {Scheme: "mem", Bucket: "shared", Prefix: "p"},
		"s3://b":                     {Scheme: "s3", Bucket: "b"},
		"S3://b":                     {Scheme: "s3", Bucket: "b"},
		"s3://b/":                    {Scheme: "s3", Bucket: "b"},
		"s3://b/a/b/":                {Scheme: "s3", Bucket: "b", Prefix: "a/b"},
		"gs://b/a%2Fb":               {Scheme: "gs", Bucket: "b", Prefix: "a/b"},
		"azblob://c/p":               {Scheme: "azblob", Bucket: "c", Prefix: "p"},
		"s3://b/p?region=eu&endpoint=http://127.0.0.1:9000": {
			Scheme: "s3", Bucket: "b", Prefix: "p", Query: url.Values{"region": {"eu"}, "endpoint": {"http://127.0.0.1:9000"}},
		},
	}
	for raw, want := range tests {
		got, err := backend.ParseURL(raw)
		if len(got.Query) == 0 {
			got.Query = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseURL(%q) = %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

func TestStoreURLRefused(t *testing.T) {
	tests := []struct {
		raw  string
		want error
		says string
	}{
		{"", backend.ErrNoScheme, "file://"},
		{"/var/lib/app", backend.ErrNoScheme, "file://"},
		{"://x", backend.ErrNoScheme, "file://"},
		{"s3:bucket", backend.ErrNoScheme, "s3://"},
		{"ftp://host/x", backend.ErrUnknownScheme, "want file, mem, s3, gs or azblob"},
		{"file://", backend.ErrEmptyPath, "file:///directory"},
		{"file:///", backend.ErrEmptyPath, "file:///directory"},
		{"file://srv/state", backend.ErrURL, "file:///srv/state"},
		{"file:///a/../b", backend.ErrURL, "write /b"},
		{"file:///a?create_dir=1", backend.ErrURL, "no parameters"},
		{"s3://", backend.ErrNoBucket, "s3://bucket/prefix"},
		{"gs:///p", backend.ErrNoBucket, "gs://bucket/prefix"},
		{"s3://b/a//b", backend.ErrURL, "write /a/b"},
		{"s3://b/./a", backend.ErrURL, "write /a"},
		{"s3://b/a%0ab", backend.ErrURL, "control"},
		{"s3://b:9000/p", backend.ErrURL, "state.storage.endpoint"},
		{"s3://b/p#f", backend.ErrURL, "%23"},
		{"s3://b/%zz", backend.ErrURL, "%-escapes"},
		{"s3://k:x@b", backend.ErrURL, "[state.storage]"},
		{"s3://b?endpoint=127.0.0.1:9000", backend.ErrURL, "base URL"},
		{"gs://b?region=eu", backend.ErrURL, "no parameters but [anonymous]"},
	}
	for _, test := range tests {
		got, err := backend.ParseURL(test.raw)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("ParseURL(%q) = %+v, %v; want %q that says %q", test.raw, got, err, test.want, test.says)
		}
	}
}

func TestHarmlessURLIsShownWhole(t *testing.T) {
	for _, raw := range []string{
		"file:///srv/a@b", "mem://", "s3://b/p?region=eu&use_path_style=true", "/var/lib/app", "http://127.0.0.1:9000", "",
	} {
		if got := backend.RedactURL(raw); got != raw {
			t.Errorf("RedactURL(%q) = %q, want it unchanged", raw, got)
		}
	}
	if got, want := backend.RedactURL("s3://b/p?region=eu&sig=x"), "s3://b/p?region=eu&redacted"; got != want {
		t.Errorf("RedactURL = %q, want %q", got, want)
	}
}

func TestMissingDriverNamesTheImport(t *testing.T) {
	for scheme, want := range map[string]string{
		"s3": "github.com/sheaf-go/sheaf/backend/s3", "gs": "github.com/sheaf-go/sheaf/backend/gcs",
		"azblob": "github.com/sheaf-go/sheaf/backend/azure", "mem": "", "file": "",
	} {
		if got := (backend.StoreURL{Scheme: scheme}).Driver(); got != want {
			t.Errorf("driver of %s: %q, want %q", scheme, got, want)
		}
	}
	err := &backend.DriverError{Scheme: "s3", Import: "github.com/sheaf-go/sheaf/backend/s3"}
	if want := `import _ "github.com/sheaf-go/sheaf/backend/s3"`; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want it to say %s", err, want)
	}
}
