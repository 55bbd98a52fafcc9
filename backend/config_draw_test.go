package backend_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
)

// validConfig draws valid configs of every shape.
func validConfig() *rapid.Generator[backend.Config] {
	return rapid.Custom(func(t *rapid.T) backend.Config {
		var c backend.Config
		switch rapid.IntRange(0, 3).Draw(t, "shape") {
		case 1:
			c = backend.Local(drawText(t, "path"))
			c.InstanceID = drawMaybe(t, drawName(t, "instance"))
		case 2:
			c = drawStatic(t)
		case 3:
			c = drawDynamic(t)
		}
		if c.VnodeCapacity == 0 {
			c.VnodeCapacity = rapid.IntRange(0, 65535).Draw(t, "capacity")
		}
		c.Cluster.Limits = backend.Limits{
			InFlight: backend.Size(rapid.Int64Range(1<<20, 1<<40).Draw(t, "in flight")),
			Message:  backend.Size(rapid.Int64Range(1<<10, 1<<20).Draw(t, "message")),
			History:  backend.Size(rapid.Int64Range(1<<10, 1<<40).Draw(t, "history")),
		}
		return c
	})
}

func drawStatic(t *rapid.T) backend.Config {
	c := drawStore(t)
	c.VnodeCapacity = rapid.IntRange(1, 65535).Draw(t, "capacity")
	c.InstanceID = "self-" + drawName(t, "instance")[:1]
	if rapid.Bool().Draw(t, "list") {
		c.Vnodes = drawList(t, c.VnodeCapacity)
	}
	members := []string{"", c.InstanceID}
	for i := range rapid.IntRange(0, 3).Draw(t, "peers") {
		id := fmt.Sprintf("peer-%d", i)
		c.SeedPeers = append(c.SeedPeers, fmt.Sprintf("%s=10.0.0.%d:7070", id, i+1))
		members = append(members, id)
	}
	c.MergerInstance = rapid.SampledFrom(members).Draw(t, "merger")
	return c
}

func drawDynamic(t *rapid.T) backend.Config {
	c := drawStore(t)
	c.Discovery = backend.DiscoveryDynamic
	c.Cluster.Weight = rapid.IntRange(0, 1000).Draw(t, "weight")
	c.Cluster.Balance = rapid.SampledFrom([]backend.Balance{backend.BalanceMember, backend.BalanceZone}).Draw(t, "balance")
	c.Cluster.Gossip.Listen = rapid.SampledFrom([]string{"", ":7946", "127.0.0.1:0", "[::1]:7946"}).Draw(t, "gossip listen")
	c.Cluster.Gossip.KeyFile = drawText(t, "key file")
	for i := range rapid.IntRange(0, 3).Draw(t, "seeds") {
		c.SeedPeers = append(c.SeedPeers, fmt.Sprintf("host-%d:7946", i))
	}
	return c
}

func drawStore(t *rapid.T) backend.Config {
	url := rapid.SampledFrom([]string{"file:///srv/x", "mem://", "s3://b/p", "gs://b", "azblob://c/a/b", "s3://b?profile=p"}).Draw(t, "url")
	c := backend.ObjectStore(url, drawName(t, "instance"))
	switch url[0] {
	case 's':
		c.Storage.Region = drawMaybe(t, drawText(t, "region"))
		c.Storage.PathStyle = rapid.Bool().Draw(t, "path style")
		c.Storage.AccessKey, c.Storage.SecretKey = drawSecret(t), drawSecret(t)
		c.Storage.Endpoint = drawMaybe(t, "http://127.0.0.1:9000")
	case 'g':
		c.Storage.Credentials = drawSecret(t)
	case 'a':
		c.Storage.SessionToken = drawSecret(t)
	}
	c.Cluster.Name = drawMaybe(t, drawName(t, "name"))
	c.Cluster.Zone = drawMaybe(t, drawName(t, "zone"))
	c.Cluster.Listen = rapid.SampledFrom([]string{"", ":7070", "127.0.0.1:0", "localhost:7070", "[::]:1"}).Draw(t, "listen")
	c.Cluster.Advertise = "10.1.1.1:7070"
	c.Cluster.Insecure = rapid.Bool().Draw(t, "insecure")
	c.Cluster.TLS = backend.TLS{Cert: drawText(t, "cert"), Key: drawText(t, "key"), CA: drawText(t, "ca")}
	return c
}

func drawName(t *rapid.T, label string) string {
	return rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,62}`).Draw(t, label)
}

// drawText draws what TOML and Go might quote differently.
func drawText(t *rapid.T, label string) string {
	return rapid.StringMatching(`[ -~äß–\x{200b}\x{2028}\x{feff}\x{1f600}\x{e0001}]{1,20}`).
		Filter(func(s string) bool { return backend.Local(s).Validate() == nil }).Draw(t, label)
}

func drawMaybe(t *rapid.T, s string) string {
	return rapid.SampledFrom([]string{"", s}).Draw(t, "or nothing")
}

func drawSecret(t *rapid.T) backend.Secret {
	if rapid.Bool().Draw(t, "from a file") {
		return backend.SecretFile(drawText(t, "file"))
	}
	return backend.SecretEnv(drawText(t, "variable"))
}

// drawList draws ranges that do not overlap.
func drawList(t *rapid.T, capacity int) *backend.VnodeList {
	list := backend.ListVnodes()
	for next := 0; next < capacity && rapid.Bool().Draw(t, "more"); {
		first := rapid.IntRange(next, capacity-1).Draw(t, "first")
		last := rapid.IntRange(first, capacity-1).Draw(t, "last")
		*list = append(*list, backend.VnodeRange{First: first, Last: last})
		next = last + 1
	}
	return list
}
