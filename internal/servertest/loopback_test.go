package servertest_test

import (
	"testing"

	"github.com/sheaf-go/sheaf/internal/servertest"
)

func TestOnlyLoopbackIsTested(t *testing.T) {
	const s3, azure = "s3://b/p?use_path_style=true&region=r", "azblob://b?protocol=http&localemu=true"
	for _, c := range []struct {
		url, emulator string
		ok            bool
	}{
		{url: s3 + "&endpoint=http://127.0.0.1:9000", ok: true},
		{url: s3 + "&endpoint=http://[::1]:9000", ok: true},
		{url: s3},
		{url: "s3://b"},
		{url: "s3://b?endpoint=http://127.0.0.1:9000"},
		{url: "s3://b?use_path_style=false&endpoint=http://127.0.0.1:9000"},
		{url: s3 + "&endpoint=http://localhost:9000"},
		{url: s3 + "&endpoint=http://127.0.0.1"},
		{url: s3 + "&endpoint=127.0.0.1:9000"},
		{url: s3 + "&endpoint=https://s3.amazonaws.com"},
		{url: s3 + "&endpoint=http://10.0.0.1:9000"},
		{url: s3 + "&endpoint=http://127.0.0.1.example.com:9000"},
		{url: "gs://b", emulator: "127.0.0.1:4443", ok: true},
		{url: "gs://b", emulator: "[::1]:4443", ok: true},
		{url: "gs://b"},
		{url: "gs://b", emulator: "http://127.0.0.1:4443"},
		{url: "gs://b", emulator: "localhost:4443"},
		{url: "gs://b", emulator: "storage.googleapis.com:443"},
		{url: azure + "&domain=127.0.0.1:10000", ok: true},
		{url: azure},
		{url: azure + "&domain=localhost:10000"},
		{url: azure + "&domain=blob.core.windows.net"},
		{url: "azblob://b?protocol=http&domain=127.0.0.1:10000"},
		{url: "file:///tmp/x"},
		{url: "mem://"},
		{url: ""},
	} {
		env := func(name string) string {
			if name == "STORAGE_EMULATOR_HOST" {
				return c.emulator
			}
			return ""
		}
		if err := servertest.CheckLoopback(c.url, env); (err == nil) != c.ok {
			t.Errorf("url %q, STORAGE_EMULATOR_HOST %q: got %v, want it to be taken: %t", c.url, c.emulator, err, c.ok)
		}
	}
}
