package backend_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
)

func TestFilesSayWhatStructsSay(t *testing.T) {
	for name, want := range fileConfigs() {
		got, err := backend.Load(filepath.Join("testdata", "config", name))
		if err != nil || !got.Equal(want) {
			t.Errorf("load %s\n got %v, %v\nwant %v", name, got, err, want)
		}
	}
}

// fileConfigs says as structs what testdata/config says as TOML.
func fileConfigs() map[string]backend.Config {
	local := backend.Local("/var/lib/app")
	local.VnodeCapacity = 64
	local.Cluster.Limits.History = 1 << 30

	static := backend.ObjectStore("s3://bucket/prefix", "node-0")
	static.VnodeCapacity = 256
	static.Vnodes = backend.ListVnodes(backend.VnodeRange{First: 0, Last: 2}, backend.VnodeRange{First: 8, Last: 63})
	static.MergerInstance = "node-0"
	static.SeedPeers = []string{"node-1=10.0.0.2:7070"}
	static.Storage = backend.Storage{
		Region: "eu-west-1", AccessKey: backend.SecretEnv("STORE_KEY"), SecretKey: backend.SecretFile("/run/secrets/store"),
	}
	static.Cluster = backend.Cluster{
		Name: "flights", Listen: "10.0.0.1:7070",
		TLS: backend.TLS{Cert: "/etc/app/node.pem", Key: "/etc/app/node.key", CA: "/etc/app/ca.pem"},
	}

	merger := backend.ObjectStore("file:///srv/shared", "merger")
	merger.Vnodes = backend.ListVnodes()
	merger.MergerInstance = "merger"
	merger.SeedPeers = []string{"node-1=127.0.0.1:7071"}

	dynamic := backend.ObjectStore("gs://bucket", "node-3")
	dynamic.Discovery = backend.DiscoveryDynamic
	dynamic.SeedPeers = []string{"10.0.0.1:7946", "seed.example.org:7946"}
	dynamic.Storage.Credentials = backend.SecretFile("/run/secrets/service-account.json")
	dynamic.Cluster = backend.Cluster{
		Listen: ":7070", Advertise: "10.0.0.3:7070", Zone: "b", Weight: 2, Balance: backend.BalanceZone,
		TLS:    backend.TLS{Cert: "node.pem", Key: "node.key", CA: "ca.pem"},
		Gossip: backend.Gossip{Listen: "0.0.0.0:7946", KeyFile: "gossip.key"},
		Limits: backend.Limits{InFlight: 128 << 20, Message: 1 << 20},
	}

	constellation := backend.ObjectStore("azblob://container/app", "node-3")
	constellation.Discovery = backend.DiscoveryDynamic
	constellation.Cluster = backend.Cluster{Listen: "10.0.0.3:7070", Insecure: true}

	return map[string]backend.Config{
		"empty.toml": {}, "in_process.toml": backend.InProcess(), "local.toml": local, "static.toml": static,
		"pure_merger.toml": merger, "dynamic.toml": dynamic, "constellation.toml": constellation,
	}
}

func TestFileMistakesAreNamed(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string // one per error, in order
	}{
		{"syntax", "[state]\nsecret = " + password, []string{`line 2, near key "state.secret": not valid TOML`}},
		{"key given twice", "[state]\npath = 'a'\npath = 'b'", []string{"key given twice"}},
		{"unknown table", "[sate]\nbackend = 'local'", []string{"sate is not a key of this configuration"}},
		{"unknown key, near", "[state]\nbackend = 'local'\npth = 'x'", []string{"state.pth is not a key of this configuration: remove it, or did you mean state.path?", "state.path is missing"}},
		{"unknown key, other table", "[state]\nlisten = ':1'", []string{"did you mean cluster.listen?"}},
		{"unknown key, far", "[state]\nzzzzzz = 1", []string{"state.zzzzzz is not a key of this configuration: remove it"}},
		{"another case", "[state]\nBackend = 'local'", []string{"state.Backend is not a key"}},
		{"a dot within a name", "'state.path' = 'x'", []string{"state.path is not a key"}},
		{"value for table", "state = 3", []string{"state is a value: write it as a table, [state]"}},
		{"list of tables", "[[cluster]]\nname = 'x'", []string{"cluster is a value"}},
		{"table for value", "[state.backend]\nx = 1", []string{"state.backend is a table, want a string"}},
		{"unknown backend", "[state]\nbackend = 's3'\npath = 'x'", []string{`state.backend = "s3" is none of in_process, local, object_store`}},
		{"unknown discovery", "[state]\nbackend = 'object_store'\nurl = 'mem://'\ninstance_id = 'a'\ndiscovery = 'magic'\nvnodes = [1]\nseed_peers = ['x']", []string{`state.discovery = "magic" is none of static, dynamic`}},
		{"types", "[state]\nbackend = 1\nvnode_capacity = '8'\nseed_peers = 'a'\n[cluster]\ninsecure = 'yes'\n[cluster.limits]\nhistory = true\nmessage = '64MB'", []string{
			"cluster.insecure is a string, want true or false", "cluster.limits.history is a boolean, want a string", `cluster.limits.message = "64MB" is no size`,
			"state.backend is a number, want a string", "state.seed_peers is a string, want a list of strings", "state.vnode_capacity is a string, want a whole number",
		}},
		{"list of numbers", "[state]\nbackend = 'object_store'\nurl = 'mem://'\ninstance_id = 'a'\nseed_peers = [1]", []string{"state.seed_peers holds a value that is a number"}},
		{"capacity 0", "[state]\nvnode_capacity = 0", []string{"state.vnode_capacity = 0 is out of range 1 to 65535"}},
		{"capacity beyond 32 bits", "[state]\nvnode_capacity = 4294967297", []string{"is out of range 1 to 65535"}},
		{"explicit default of another backend", "[state]\ndiscovery = 'static'", []string{`state.discovery = "static" does not go with state.backend = "in_process"`}},
		{"vnode strings", "[state]\nbackend = 'object_store'\nurl = 'mem://'\ninstance_id = 'a'\nvnodes = [0, '3']", []string{`state.vnodes holds 3: want vnode numbers and ranges`}},
		{"negative range", "[state]\nbackend = 'object_store'\nurl = 'mem://'\ninstance_id = 'a'\nvnodes = ['-1-3']", []string{"state.vnodes holds -1-3"}},
		{"fraction", "[state]\nbackend = 'object_store'\nurl = 'mem://'\ninstance_id = 'a'\nvnodes = [1.5]", []string{"state.vnodes holds 1.5"}},
		{"secret forms", "[state]\nbackend = 'object_store'\nurl = 's3://b'\ninstance_id = 'a'\n[state.storage]\naccess_key = ''\nsecret_key = 7\nsession_token = { file = 'a', env = 'b' }", []string{
			"state.storage.access_key is no secret", "state.storage.secret_key is no secret", "state.storage.session_token is no secret",
		}},
		{"three mistakes of three kinds", "[state]\nbackend = 'local'\nurl = 's3://b'\nvnode_capacity = 70000\nmergr = 'x'", []string{
			"state.mergr is not a key", "state.path is missing", `state.url = "s3://b" does not go with state.backend = "local"`, "state.vnode_capacity = 70000 is out of range",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := backend.Parse([]byte(test.file))
			checkErrors(t, err, test.want)
			if !c.Equal(backend.Config{}) {
				t.Errorf("parse returned %v beside an error", c)
			}
			if strings.Contains(fmt.Sprint(err), password) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// checkErrors wants as many joined errors as texts, each holding its text.
func checkErrors(t *testing.T, err error, want []string) {
	t.Helper()
	got := joined(err)
	if len(got) != len(want) {
		t.Fatalf("got %d errors, want %d\n%v", len(got), len(want), err)
	}
	for i := range want {
		if !strings.Contains(got[i].Error(), want[i]) {
			t.Errorf("error %d\n got %v\nwant %s", i, got[i], want[i])
		}
	}
}

func joined(err error) []error {
	if err == nil {
		return nil
	}
	var all interface{ Unwrap() []error }
	if errors.As(err, &all) {
		return all.Unwrap()
	}
	return []error{err}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.toml")
	if _, err := backend.Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("load an absent file: %v, want %v", err, os.ErrNotExist)
	}
	if err := os.WriteFile(path, []byte("[state]\nbackend = 'local'"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := backend.Load(path)
	var e *backend.ConfigError
	if !errors.As(err, &e) || e.Key != "state.path" || !strings.Contains(err.Error(), path) {
		t.Errorf("load a file without a path: %v, want a ConfigError of state.path that names %s", err, path)
	}
}

func TestEncodeRefusesWhatItCannotKeep(t *testing.T) {
	c := secretConfig(backend.SecretValue(password))
	_, err := c.Encode()
	checkErrors(t, errors.Unwrap(err), []string{
		`state.storage.access_key = "(redacted)" is held in memory`, `state.storage.secret_key = "(redacted)" is held in memory`,
	})
	if _, err := backend.Local("").Encode(); err == nil || !strings.Contains(err.Error(), "state.path is missing") {
		t.Errorf("encode an invalid config: %v, want what is wrong with it", err)
	}
}

func TestEncodeWritesTheFormOfTheDocumentation(t *testing.T) {
	c := fileConfigs()["static.toml"]
	const want = `[state]
backend = "object_store"
url = "s3://bucket/prefix"
instance_id = "node-0"
vnode_capacity = 256
vnodes = ["0-2", "8-63"]
merger_instance = "node-0"
seed_peers = ["node-1=10.0.0.2:7070"]
[state.storage]
region = "eu-west-1"
access_key = { env = "STORE_KEY" }
secret_key = { file = "/run/secrets/store" }
[cluster]
name = "flights"
listen = "10.0.0.1:7070"
[cluster.tls]
cert = "/etc/app/node.pem"
key = "/etc/app/node.key"
ca = "/etc/app/ca.pem"
`
	if got, err := c.Encode(); string(got) != want || err != nil {
		t.Errorf("encode: %v\n got %s\nwant %s", err, got, want)
	}
}

// Any valid config survives the way through a file.
func TestValidConfigRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := validConfig().Draw(t, "config")
		if err := c.Validate(); err != nil {
			t.Fatalf("drawn config %v is invalid: %v", c, err)
		}
		data, err := c.Encode()
		if err != nil {
			t.Fatalf("encode %v: %v", c, err)
		}
		got, err := backend.Parse(data)
		if err != nil || !got.Equal(c) {
			t.Fatalf("through a file\n got %v, %v\nwant %v\n%s", got, err, c, data)
		}
	})
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "config", "*.toml"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("[state]\nbackend = 'local'\nvnodes = ['9-1', 2, 1979-05-27]\n[state.storage]\nsecret_key = [{}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := backend.Parse(data)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("parsed %q to an invalid config: %v", data, err)
		}
		encoded, err := c.Encode()
		if err != nil { // it holds a secret
			return
		}
		if again, err := backend.Parse(encoded); err != nil || !again.Equal(c) {
			t.Fatalf("parse %q: %v\nencoded %s\nagain %v, %v", data, c, encoded, again, err)
		}
	})
}
