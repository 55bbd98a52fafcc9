package backend

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sheaf-go/sheaf/vnode"
)

// shape is a set of the ways in which a config can be meant.
type shape uint8

const (
	shapeInProcess shape = 1 << iota
	shapeLocal
	shapeStatic  // object_store with static discovery
	shapeDynamic // object_store with dynamic discovery

	shapeObjectStore = shapeStatic | shapeDynamic
	shapeEverywhere  = shapeInProcess | shapeLocal | shapeObjectStore
)

// configKey is a key of the file and a field of the struct. Reading, writing, printing, comparing and validating a
// config all walk the one table of keys.
type configKey struct {
	name     string
	shapes   shape  // that read the key
	needs    shape  // that cannot do without it
	schemes  string // of the store URLs that read it; empty: any
	min, max int64  // of a number
	rule     func(string) *configFault
	field    func(*Config) any // a pointer to the field
}

// configKeys is the table, in the order in which a config is judged and written: first the keys that decide which others
// are read.
func configKeys() []configKey {
	return slices.Concat(stateKeys(), storageKeys(), clusterKeys())
}

func stateKeys() []configKey {
	return []configKey{
		{name: "state.backend", shapes: shapeEverywhere, field: func(c *Config) any { return &c.Backend }},
		{name: "state.discovery", shapes: shapeObjectStore, field: func(c *Config) any { return &c.Discovery }},
		{name: "state.path", shapes: shapeLocal, needs: shapeLocal, rule: pathRule, field: func(c *Config) any { return &c.Path }},
		{name: "state.url", shapes: shapeObjectStore, needs: shapeObjectStore, rule: urlRule, field: func(c *Config) any { return &c.URL }},
		{name: "state.instance_id", shapes: shapeLocal | shapeObjectStore, needs: shapeObjectStore, rule: nameRule, field: func(c *Config) any { return &c.InstanceID }},
		{name: "state.vnode_capacity", shapes: shapeEverywhere, min: 1, max: vnode.MaxCapacity, field: func(c *Config) any { return &c.VnodeCapacity }},
		{name: "state.vnodes", shapes: shapeStatic, field: func(c *Config) any { return &c.Vnodes }},
		{name: "state.merger_instance", shapes: shapeStatic, rule: nameRule, field: func(c *Config) any { return &c.MergerInstance }},
		{name: "state.seed_peers", shapes: shapeObjectStore, field: func(c *Config) any { return &c.SeedPeers }},
	}
}

func storageKeys() []configKey {
	return []configKey{
		{name: "state.storage.endpoint", shapes: shapeObjectStore, schemes: "s3 gs azblob", rule: endpointRule, field: func(c *Config) any { return &c.Storage.Endpoint }},
		{name: "state.storage.region", shapes: shapeObjectStore, schemes: "s3", field: func(c *Config) any { return &c.Storage.Region }},
		{name: "state.storage.path_style", shapes: shapeObjectStore, schemes: "s3", field: func(c *Config) any { return &c.Storage.PathStyle }},
		{name: "state.storage.access_key", shapes: shapeObjectStore, schemes: "s3 azblob", field: func(c *Config) any { return &c.Storage.AccessKey }},
		{name: "state.storage.secret_key", shapes: shapeObjectStore, schemes: "s3 azblob", field: func(c *Config) any { return &c.Storage.SecretKey }},
		{name: "state.storage.session_token", shapes: shapeObjectStore, schemes: "s3 azblob", field: func(c *Config) any { return &c.Storage.SessionToken }},
		{name: "state.storage.credentials", shapes: shapeObjectStore, schemes: "gs", field: func(c *Config) any { return &c.Storage.Credentials }},
	}
}

func clusterKeys() []configKey {
	return []configKey{
		{name: "cluster.name", shapes: shapeObjectStore, rule: nameRule, field: func(c *Config) any { return &c.Cluster.Name }},
		{name: "cluster.listen", shapes: shapeObjectStore, rule: listenRule, field: func(c *Config) any { return &c.Cluster.Listen }},
		{name: "cluster.advertise", shapes: shapeObjectStore, rule: addressRule, field: func(c *Config) any { return &c.Cluster.Advertise }},
		{name: "cluster.zone", shapes: shapeObjectStore, rule: nameRule, field: func(c *Config) any { return &c.Cluster.Zone }},
		{name: "cluster.weight", shapes: shapeDynamic, min: 1, max: 1000, field: func(c *Config) any { return &c.Cluster.Weight }},
		{name: "cluster.balance", shapes: shapeDynamic, field: func(c *Config) any { return &c.Cluster.Balance }},
		{name: "cluster.insecure", shapes: shapeObjectStore, field: func(c *Config) any { return &c.Cluster.Insecure }},
		{name: "cluster.tls.cert", shapes: shapeObjectStore, field: func(c *Config) any { return &c.Cluster.TLS.Cert }},
		{name: "cluster.tls.key", shapes: shapeObjectStore, field: func(c *Config) any { return &c.Cluster.TLS.Key }},
		{name: "cluster.tls.ca", shapes: shapeObjectStore, field: func(c *Config) any { return &c.Cluster.TLS.CA }},
		{name: "cluster.gossip.listen", shapes: shapeDynamic, rule: listenRule, field: func(c *Config) any { return &c.Cluster.Gossip.Listen }},
		{name: "cluster.gossip.advertise", shapes: shapeDynamic, rule: addressRule, field: func(c *Config) any { return &c.Cluster.Gossip.Advertise }},
		{name: "cluster.gossip.key_file", shapes: shapeDynamic, field: func(c *Config) any { return &c.Cluster.Gossip.KeyFile }},
		{name: "cluster.limits.in_flight", shapes: shapeEverywhere, min: minLimit, max: maxLimit, field: func(c *Config) any { return &c.Cluster.Limits.InFlight }},
		{name: "cluster.limits.history", shapes: shapeEverywhere, min: minLimit, max: maxLimit, field: func(c *Config) any { return &c.Cluster.Limits.History }},
		{name: "cluster.limits.message", shapes: shapeEverywhere, min: minLimit, max: maxLimit, field: func(c *Config) any { return &c.Cluster.Limits.Message }},
	}
}

const (
	minLimit = 1 << 10 // bytes
	maxLimit = 1 << 40
)

// isZero reports whether c leaves the key out. An empty list of vnodes is not left out.
func (k configKey) isZero(c *Config) bool {
	if seeds, ok := k.field(c).(*[]string); ok {
		return len(*seeds) == 0
	}
	return reflect.ValueOf(k.field(c)).Elem().IsZero()
}

// hasURL reports whether the key's value may hold a secret although it is a plain string.
func (k configKey) hasURL() bool { return k.name == "state.url" || k.name == "state.storage.endpoint" }

// shown returns the key's value for people: secrets and URLs are redacted. It is a bool, string, int64 or []any.
func (k configKey) shown(c *Config) any {
	switch p := k.field(c).(type) {
	case *Secret:
		return p.String()
	case *string:
		if k.hasURL() {
			return RedactURL(*p)
		}
		return *p
	case *bool:
		return *p
	case *int:
		return int64(*p)
	case *[]string:
		return anySlice(*p)
	case **VnodeList:
		if *p == nil {
			return []any{}
		}
		return (*p).encode()
	case fmt.Stringer: // Kind, Discovery, Balance, Size
		return p.String()
	default:
		return nil
	}
}

func anySlice(s []string) []any {
	items := make([]any, len(s))
	for i := range s {
		items[i] = s[i]
	}
	return items
}

// literal writes a value as TOML. Strings of a valid config hold nothing that Go and TOML quote differently.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = literal(v[i])
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any: // a secret's reference, one entry
		for name, value := range v {
			return fmt.Sprintf("{ %s = %s }", name, literal(value))
		}
	}
	return fmt.Sprint(v)
}

// sameValue compares two fields of the same key.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case *[]string:
		return slices.Equal(*a, *b.(*[]string))
	case **VnodeList:
		x, y := *a, *b.(**VnodeList)
		if x == nil || y == nil {
			return x == y
		}
		return slices.Equal(x.normal(), y.normal())
	default:
		return reflect.DeepEqual(a, b)
	}
}
