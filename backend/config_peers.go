package backend

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// nameRule is for ids that become part of object names and log lines.
func nameRule(name string) *configFault {
	if regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`).MatchString(name) {
		return nil
	}
	return &configFault{"is no name", "use 1 to 63 letters, digits, '.', '_' and '-', a letter or digit first"}
}

func pathRule(path string) *configFault {
	if !strings.Contains(path, "://") {
		return nil
	}
	return &configFault{"is a URL", `set state.backend = "object_store" and state.url, or give a directory`}
}

func urlRule(raw string) *configFault {
	if _, err := splitURL(raw); err != nil {
		return &configFault{"is refused", err.Error()}
	}
	return nil
}

func endpointRule(raw string) *configFault {
	u, err := url.Parse(raw)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return nil
	}
	return &configFault{"is no base URL of a server", "write http://host:port or https://host, credentials go to the keys of [state.storage]"}
}

// addressRule is for an address that another instance dials.
func addressRule(address string) *configFault {
	const remedy = `write "host:port" with a host that the others can dial and a port from 1 to 65535`
	host, port, ok := splitAddress(address)
	switch {
	case !ok || port == 0:
		return &configFault{"is not host:port", remedy}
	case unspecified(host):
		return &configFault{"names no single host", remedy}
	}
	return nil
}

// listenRule is for an address of this instance: the host may be all interfaces, the port any free one.
func listenRule(address string) *configFault {
	if _, _, ok := splitAddress(address); !ok {
		return &configFault{"is not host:port", `write "host:port", ":port" for all interfaces, port 0 for any free one`}
	}
	return nil
}

func splitAddress(address string) (host string, port uint64, ok bool) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, false
	}
	port, err = strconv.ParseUint(digits, 10, 16)
	if _, notIP := netip.ParseAddr(host); notIP != nil && !regexp.MustCompile(`^[A-Za-z0-9._-]*$`).MatchString(host) {
		return "", 0, false
	}
	return host, port, err == nil
}

func unspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func isLoopback(address string) bool {
	host, _, _ := splitAddress(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// seeds judges the list of peers: addresses alone with dynamic discovery, members with static.
func (ch *configCheck) seeds() {
	if !ch.applies("state.seed_peers") || ch.wrong["state.discovery"] {
		return
	}
	isDynamic := ch.config.Discovery == DiscoveryDynamic
	ids, addresses := map[string]string{}, map[string]string{}
	for _, seed := range ch.config.SeedPeers {
		id, address, hasID := strings.Cut(seed, "=")
		if !hasID {
			id, address = "", seed
		}
		switch f := seedFault(id, address, hasID, isDynamic); {
		case f != nil:
			ch.add("state.seed_peers", literal(seed), f)
			continue
		case hasID && ids[id] != "":
			ch.seedTwice(seed, ids[id])
		case addresses[address] != "":
			ch.seedTwice(seed, addresses[address])
		case hasID && id == ch.config.InstanceID:
			ch.self(seed, address)
		}
		ids[id], addresses[address] = seed, seed
	}
}

func seedFault(id, address string, hasID, isDynamic bool) *configFault {
	switch {
	case isDynamic && hasID:
		return &configFault{`is not host:port, as state.discovery = "dynamic" wants it`, "leave the id out: members tell theirs"}
	case !isDynamic && !hasID:
		return &configFault{`is not id=host:port, as state.discovery = "static" wants it`, "put the member's instance_id before it"}
	}
	if hasID {
		if f := nameRule(id); f != nil {
			return f
		}
	}
	return addressRule(address)
}

func (ch *configCheck) seedTwice(seed, other string) {
	ch.add("state.seed_peers", literal(seed), &configFault{fmt.Sprintf("clashes with %q", other), "list each member once, with an id and an address of its own"})
}

// self lets all members share one list, as long as it says the truth about this one.
func (ch *configCheck) self(seed, address string) {
	cluster := ch.config.Cluster.WithDefaults()
	key, own := "cluster.listen", cluster.Listen
	if cluster.Advertise != "" {
		key, own = "cluster.advertise", cluster.Advertise
	}
	if own != address {
		ch.add("state.seed_peers", literal(seed), &configFault{
			fmt.Sprintf("is this instance, but %s = %q", key, own),
			fmt.Sprintf("remove it, or set cluster.advertise = %q", address),
		})
	}
}

// reachable: with dynamic discovery the others learn this instance's address from itself.
func (ch *configCheck) reachable() {
	c := &ch.config.Cluster
	if ch.shape() != shapeDynamic || !ch.applies("cluster.listen") || c.Advertise != "" {
		return
	}
	if host, _, _ := splitAddress(c.Listen); unspecified(host) {
		ch.add("cluster.advertise", "", &configFault{fmt.Sprintf("is missing with cluster.listen = %q", c.Listen), "set it to an address that the others can dial"})
	}
}

func (ch *configCheck) tls() {
	if ch.shape()&shapeObjectStore == 0 {
		return
	}
	files := ch.config.Cluster.TLS
	given, value := "cluster.tls.cert", files.Cert
	switch {
	case files.Cert == "" && files.Key != "":
		given, value = "cluster.tls.key", files.Key
	case files.Cert == "" && files.CA != "":
		given, value = "cluster.tls.ca", files.CA
	case files.Cert == "":
		return
	}
	for _, k := range clusterKeys() {
		if strings.HasPrefix(k.name, "cluster.tls.") && k.isZero(&ch.config) {
			ch.missing(k.name, given, value, "mutual TLS needs cert, key and ca")
		}
	}
}

// strangers asks for TLS and a gossip key where the network could hold somebody else (I12).
func (ch *configCheck) strangers() {
	c := &ch.config
	if c.Cluster.Insecure || ch.wrong["cluster.insecure"] {
		return
	}
	if key, address := ch.offLoopback("cluster.listen", "cluster.advertise", DiscoveryStatic); key != "" && c.Cluster.TLS == (TLS{}) {
		ch.missing("cluster.tls", key, address, "off loopback set cert, key and ca for mutual TLS, or cluster.insecure = true")
	}
	if key, address := ch.offLoopback("cluster.gossip.listen", "cluster.gossip.advertise", DiscoveryDynamic); key != "" && c.Cluster.Gossip.KeyFile == "" {
		ch.missing("cluster.gossip.key_file", key, address, "off loopback gossip needs a key, or cluster.insecure = true")
	}
}

// offLoopback returns the first address off loopback: of the two keys, or of the seeds if they are of that discovery.
func (ch *configCheck) offLoopback(listen, advertise string, seeds Discovery) (key, address string) {
	for _, k := range clusterKeys() {
		if k.name != listen && k.name != advertise || !ch.applies(k.name) {
			continue
		}
		if address := *k.field(&ch.config).(*string); !isLoopback(address) {
			return k.name, address
		}
	}
	if !ch.applies("state.seed_peers") || ch.config.Discovery != seeds {
		return "", ""
	}
	for _, seed := range ch.config.SeedPeers {
		_, address, hasID := strings.Cut(seed, "=")
		if address = cmp.Or(address, seed); hasID == (seeds == DiscoveryStatic) && !isLoopback(address) {
			return "state.seed_peers", seed
		}
	}
	return "", ""
}
