package backend_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

// edit changes a valid config into the one under test.
type edit = func(*backend.Config)

func static(edits ...edit) backend.Config {
	c := backend.ObjectStore("s3://bucket/prefix", "node-0")
	for _, e := range edits {
		e(&c)
	}
	return c
}

func dynamic(edits ...edit) backend.Config {
	return static(append([]edit{func(c *backend.Config) { c.Discovery = backend.DiscoveryDynamic }}, edits...)...)
}

func seeds(peers ...string) edit { return func(c *backend.Config) { c.SeedPeers = peers } }

func insecure(c *backend.Config) { c.Cluster.Insecure = true }

func vnodes(ranges ...backend.VnodeRange) edit {
	return func(c *backend.Config) { c.Vnodes = backend.ListVnodes(ranges...) }
}

func TestMistakesNameKeyAndBothValues(t *testing.T) {
	tests := []struct {
		name   string
		config backend.Config
		want   []string
	}{
		{"local without path", backend.Local(""), []string{`state.path is missing with state.backend = "local": set it`}},
		{"store without url and id", backend.ObjectStore("", ""), []string{
			`state.url is missing with state.backend = "object_store"`, `state.instance_id is missing with state.backend = "object_store"`,
		}},
		{"path with a store", static(func(c *backend.Config) { c.Path = "/x" }), []string{
			`state.path = "/x" does not go with state.backend = "object_store": remove it, or set state.backend = "local"`,
		}},
		{"store keys with local", backend.Config{
			Backend: backend.KindLocal, Path: "/x", URL: "mem://", MergerInstance: "a", Discovery: backend.DiscoveryDynamic,
			SeedPeers: []string{"a"}, Vnodes: backend.ListVnodes(), Storage: backend.Storage{Region: "eu"}, Cluster: backend.Cluster{Listen: ":1"},
		}, []string{
			`state.discovery = "dynamic" does not go with state.backend = "local"`, `state.url = "mem://" does not go with state.backend = "local": remove it, or set state.backend = "object_store"`,
			`state.vnodes = [] does not go`, `state.merger_instance = "a" does not go`, `state.seed_peers = ["a"] does not go`,
			`state.storage.region = "eu" does not go`, `cluster.listen = ":1" does not go`,
		}},
		{"id in process", backend.Config{InstanceID: "a"}, []string{
			`state.instance_id = "a" does not go with state.backend = "in_process": remove it, or set state.backend = "local" or state.backend = "object_store"`,
		}},
		{"url as path", backend.Local("file:///x"), []string{`state.path = "file:///x" is a URL`}},
		{"unknown constants", backend.Config{Backend: 7, Discovery: -1, Cluster: backend.Cluster{Balance: 2}}, []string{
			`state.backend = "unknown(7)" is unknown`, `state.discovery = "unknown(-1)" is unknown`, `cluster.balance = "unknown(2)" is unknown`,
		}},
		{"capacity", backend.Config{VnodeCapacity: 65536}, []string{`state.vnode_capacity = 65536 is out of range 1 to 65535`}},
		{"negative capacity", backend.Config{VnodeCapacity: -1}, []string{`state.vnode_capacity = -1 is out of range 1 to 65535`}},
		{"url", static(func(c *backend.Config) { c.URL = "ftp://x" }), []string{`state.url = "ftp://x" is refused: unknown scheme`}},
		{"names", static(func(c *backend.Config) {
			c.InstanceID, c.Cluster.Name, c.Cluster.Zone = "a/b", "-x", strings.Repeat("z", 64)
		}), []string{
			`state.instance_id = "a/b" is no name`, `cluster.name = "-x" is no name`, `cluster.zone = "zzz`,
		}},
		{"control characters", backend.Local("a\nb"), []string{`state.path = "a\nb" holds control characters`}},
		{"not UTF-8", backend.Local("a\xff"), []string{"is not UTF-8"}},
		{"vnodes with dynamic", dynamic(vnodes(), func(c *backend.Config) { c.MergerInstance = "node-0" }), []string{
			`state.vnodes = [] does not go with state.discovery = "dynamic": remove it, or set state.discovery = "static"`,
			`state.merger_instance = "node-0" does not go with state.discovery = "dynamic"`,
		}},
		{"gossip with static", static(func(c *backend.Config) { c.Cluster.Gossip.Listen, c.Cluster.Weight = ":1", 2 }), []string{
			`cluster.weight = 2 does not go with state.discovery = "static": remove it, or set state.discovery = "dynamic"`, `cluster.gossip.listen = ":1" does not go`,
		}},
		{"vnodes", static(vnodes(backend.VnodeRange{First: 250, Last: 256}, backend.VnodeRange{First: 3, Last: 9}, backend.VnodeRange{First: 9, Last: 12},
			backend.VnodeRange{First: 4, Last: 4}, backend.VnodeRange{First: 20, Last: 19}, backend.VnodeRange{First: -1, Last: 0})), []string{
			`state.vnodes = ["-1-0"] is out of range 0 to 255 (vnode_capacity = 256)`, `state.vnodes = [4] overlaps 3-9`, `state.vnodes = ["9-12"] overlaps 3-9`,
			`state.vnodes = ["20-19"] ends before it begins`, `state.vnodes = ["250-256"] is out of range 0 to 255`,
		}},
		{"duplicate vnode", static(vnodes(backend.VnodeRange{First: 5, Last: 5}, backend.VnodeRange{First: 5, Last: 5})), []string{`state.vnodes = [5] overlaps 5`}},
		{"static seeds", static(insecure, seeds("10.0.0.1:1", "a=b", "a=b:0", "=x:1", "a=x:1", "a=y:1", "c=x:1", "d=:1", "e=h:99999", "f=u@h:1")), []string{
			`state.seed_peers = "10.0.0.1:1" is not id=host:port`, `state.seed_peers = "a=b" is not host:port`, `"a=b:0" is not host:port`, `"=x:1" is no name`,
			`state.seed_peers = "a=y:1" clashes with "a=x:1"`, `state.seed_peers = "c=x:1" clashes with "a=x:1"`, `"d=:1" names no single host`,
			`"e=h:99999" is not host:port`, `"f=u@h:1" is not host:port`,
		}},
		{"dynamic seeds", dynamic(insecure, seeds("a=x:1", "x:1", "x:1", "y", "0.0.0.0:1")), []string{
			`state.seed_peers = "a=x:1" is not host:port, as state.discovery = "dynamic"`, `state.seed_peers = "x:1" clashes with "x:1"`, `"y" is not host:port`, `"0.0.0.0:1" names no single host`,
		}},
		{"this instance elsewhere", static(insecure, seeds("node-0=10.0.0.1:7070")), []string{
			`state.seed_peers = "node-0=10.0.0.1:7070" is this instance, but cluster.listen = "127.0.0.1:7070": remove it, or set cluster.advertise = "10.0.0.1:7070"`,
		}},
		{"merger is no member", static(seeds("node-1=localhost:1"), func(c *backend.Config) { c.MergerInstance = "node-2" }), []string{
			`state.merger_instance = "node-2" is not a member: state.instance_id = "node-0", state.seed_peers = ["node-1=localhost:1"]`,
		}},
		{"addresses", dynamic(insecure, func(c *backend.Config) {
			c.Cluster.Listen, c.Cluster.Advertise, c.Cluster.Gossip.Advertise = "7070", ":7070", "host"
		}), []string{
			`cluster.listen = "7070" is not host:port`, `cluster.advertise = ":7070" names no single host`, `cluster.gossip.advertise = "host" is not host:port`,
		}},
		{"nobody can dial", dynamic(insecure, func(c *backend.Config) { c.Cluster.Listen = "0.0.0.0:7070" }), []string{
			`cluster.advertise is missing with cluster.listen = "0.0.0.0:7070"`,
		}},
		{"weight", dynamic(func(c *backend.Config) { c.Cluster.Weight = 1001 }), []string{`cluster.weight = 1001 is out of range 1 to 1000`}},
		{"half of TLS", static(func(c *backend.Config) { c.Cluster.TLS.Key = "k" }), []string{
			`cluster.tls.cert is missing with cluster.tls.key = "k"`, `cluster.tls.ca is missing with cluster.tls.key = "k"`,
		}},
		{"limits", backend.Config{Cluster: backend.Cluster{Limits: backend.Limits{InFlight: -5, History: 1}}}, []string{
			`cluster.limits.in_flight = "-5B" is out of range`, `cluster.limits.history = "1B" is out of range`,
		}},
		{"message beyond in flight", backend.Config{Cluster: backend.Cluster{Limits: backend.Limits{InFlight: 1 << 20, Message: 2 << 20}}}, []string{
			`cluster.limits.message = "2MiB" is more than cluster.limits.in_flight = "1MiB"`,
		}},
		{"storage of another scheme", static(func(c *backend.Config) {
			c.URL, c.Storage.Endpoint, c.Storage.Region, c.Storage.Credentials = "gs://b", "http://h:1", "eu", backend.SecretEnv("X")
		}), []string{`state.storage.region = "eu" does not go with state.url = "gs://b": remove it: it is for s3 only`}},
		{"storage with a file store", static(func(c *backend.Config) { c.URL, c.Storage.SecretKey = "file:///x", backend.SecretValue(password) }), []string{
			`state.storage.secret_key = "(redacted)" does not go with state.url = "file:///x"`,
		}},
		{"endpoint", static(func(c *backend.Config) { c.Storage.Endpoint = "127.0.0.1:9000" }), []string{`state.storage.endpoint = "127.0.0.1:9000" is no base URL`}},
		{"endpoint twice", static(func(c *backend.Config) { c.URL, c.Storage.Endpoint = "s3://b?endpoint=http://h", "http://g" }), []string{
			`state.storage.endpoint = "http://g" is also said by state.url = "s3://b?endpoint=http`,
		}},
		{"half of a key pair", static(func(c *backend.Config) { c.Storage.AccessKey = backend.SecretEnv("KEY") }), []string{
			`state.storage.secret_key is missing with state.storage.access_key = "env:KEY"`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.config.Validate()
			checkErrors(t, err, test.want)
			for _, e := range joined(err) {
				if c := (*backend.ConfigError)(nil); !errors.As(e, &c) || c.Key == "" || c.Remedy == "" {
					t.Errorf("%v is no ConfigError with a key and a remedy", e)
				}
			}
		})
	}
}

// I12: off loopback no stranger gets in.
func TestOffLoopbackNeedsTLSAndAGossipKey(t *testing.T) {
	const noTLS, noKey = "cluster.tls is missing with ", "cluster.gossip.key_file is missing with "
	tls := func(c *backend.Config) { c.Cluster.TLS = backend.TLS{Cert: "a", Key: "b", CA: "c"} }
	key := func(c *backend.Config) { c.Cluster.Gossip.KeyFile = "k" }
	listen := func(address string) edit { return func(c *backend.Config) { c.Cluster.Listen = address } }
	advertise := func(address string) edit { return func(c *backend.Config) { c.Cluster.Advertise = address } }
	gossip := func(address string) edit { return func(c *backend.Config) { c.Cluster.Gossip.Listen = address } }
	tests := []struct {
		name   string
		config backend.Config
		want   []string
	}{
		{"nothing said", static(), nil},
		{"loopback addresses", static(listen("[::1]:1"), advertise("localhost:1"), seeds("a=127.1.2.3:1")), nil},
		{"loopback in IPv6", static(listen("[::ffff:127.0.0.1]:1")), nil},
		{"listen", static(listen("10.0.0.1:1")), []string{noTLS + `cluster.listen = "10.0.0.1:1"`}},
		{"all interfaces", static(listen(":1")), []string{noTLS + `cluster.listen = ":1"`}},
		{"a name", static(listen("localhost.example.org:1")), []string{noTLS}},
		{"advertise", static(advertise("node:1")), []string{noTLS + `cluster.advertise = "node:1"`}},
		{"static seed", static(seeds("a=127.0.0.1:1", "b=10.0.0.1:1")), []string{noTLS + `state.seed_peers = "b=10.0.0.1:1"`}},
		{"dynamic seed", dynamic(seeds("10.0.0.1:1")), []string{noKey + `state.seed_peers = "10.0.0.1:1"`}},
		{"gossip", dynamic(gossip(":1")), []string{noKey + `cluster.gossip.listen = ":1"`}},
		{"both", dynamic(listen("10.0.0.1:1"), gossip("10.0.0.1:2")), []string{noTLS, noKey}},
		{"TLS alone", dynamic(tls, listen("10.0.0.1:1"), gossip("10.0.0.1:2")), []string{noKey}},
		{"key alone", dynamic(key, listen("10.0.0.1:1"), gossip("10.0.0.1:2")), []string{noTLS}},
		{"TLS and key", dynamic(tls, key, listen("10.0.0.1:1"), gossip("10.0.0.1:2")), nil},
		{"insecure", dynamic(insecure, listen("10.0.0.1:1"), gossip("10.0.0.1:2"), seeds("10.0.0.1:1")), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkErrors(t, test.config.Validate(), test.want) })
	}
}

func TestMembersMayShareOneSeedList(t *testing.T) {
	c := static(insecure, seeds("node-0=10.0.0.1:7070", "node-1=10.0.0.2:7070"), func(c *backend.Config) {
		c.Cluster.Listen, c.Cluster.Advertise, c.MergerInstance = ":7070", "10.0.0.1:7070", "node-1"
	})
	if err := c.Validate(); err != nil {
		t.Errorf("%v: %v", c, err)
	}
}
