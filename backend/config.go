package backend

import (
	"cmp"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// Kind says where state stays.
type Kind int

// The three backends. The zero Config is in-process.
const (
	KindInProcess   Kind = iota // in the memory of this process: nothing durable
	KindLocal                   // one durable instance on a local path
	KindObjectStore             // any number of instances over one store
)

// Discovery says how instances learn of each other.
type Discovery int

// The two discoveries.
const (
	DiscoveryStatic  Discovery = iota // the config lists members and who owns what
	DiscoveryDynamic                  // gossip, or a membership that the program hands in
)

// Config says where state stays and who shares it. Its zero value is valid: in-process, [vnode.DefaultCapacity] vnodes.
// A struct, a TOML file ([Load]) and the builders say the same thing. Printing a Config in any form shows no secret.
type Config struct {
	Backend        Kind
	Path           string     // local only: a directory
	URL            string     // object_store only: file:// mem:// s3:// gs:// azblob://
	InstanceID     string     // this instance; local defaults to "local"
	VnodeCapacity  int        // 1 to 65,535; 0 = 256
	Vnodes         *VnodeList // static only: what this instance owns; nil = what no other member lists, empty = none
	MergerInstance string     // static only; empty = the lowest instance id
	Discovery      Discovery  // object_store only
	SeedPeers      []string   // static: the other members, "id=host:port"; dynamic: gossip addresses, "host:port"
	Storage        Storage
	Cluster        Cluster
}

// Storage says how to reach and enter an object store. What is empty comes from the provider's usual environment.
type Storage struct {
	Endpoint     string // s3, gs, azblob: base URL of a server that speaks the provider's protocol; azblob: with the account
	Region       string // s3
	PathStyle    bool   // s3: the bucket is in the path, not in the host name
	AccessKey    Secret // s3: access key id; azblob: account name
	SecretKey    Secret // s3: secret access key; azblob: account key
	SessionToken Secret // s3: session token; azblob: shared access signature
	Credentials  Secret // gs: service account key, JSON
}

// Cluster says how this instance meets the others. All but Limits is for object_store only.
type Cluster struct {
	Name      string  // instances of another name are strangers; default "sheaf"
	Listen    string  // transport, "host:port"; default "127.0.0.1:7070"
	Advertise string  // what the others dial; default: the address that Listen came to
	Zone      string  // failure domain
	Weight    int     // dynamic: share of the vnodes relative to the others, 1 to 1,000; default 1
	Balance   Balance // dynamic
	Insecure  bool    // allow strangers off loopback (I12)
	TLS       TLS
	Gossip    Gossip
	Limits    Limits
}

// Balance says what a dynamic assignment evens out first.
type Balance int

// The two balances.
const (
	BalanceMember Balance = iota // vnodes per member
	BalanceZone                  // vnodes per zone, then per member
)

// TLS names PEM files of the transport's mutual TLS: all or none.
type TLS struct {
	Cert, Key, CA string
}

// Gossip is for dynamic discovery without a membership of the program's own.
type Gossip struct {
	Listen    string // "host:port"; default "127.0.0.1:7946"
	Advertise string // what the others are told; default: the address that Listen came to
	KeyFile   string // holds the key that all members share
}

// Limits bound what waits (I8), in bytes.
type Limits struct {
	InFlight Size // unacknowledged events per producer and receiving instance; default 64MiB
	History  Size // unsealed events that a plain producer keeps; default 256MiB
	Message  Size // largest message between instances, at most InFlight; default 16MiB
}

// InProcess keeps state in memory: nothing survives the process.
func InProcess() Config { return Config{} }

// Local keeps state in a directory, for one process. It is shorthand for an object store at file://path with instance
// id "local": either opens what the other wrote.
func Local(path string) Config { return Config{Backend: KindLocal, Path: path} }

// ObjectStore keeps state in a store that other instances may share.
func ObjectStore(url, instanceID string) Config {
	return Config{Backend: KindObjectStore, URL: url, InstanceID: instanceID}
}

// Clone returns a config that shares nothing changeable with c.
func (c Config) Clone() Config {
	c.SeedPeers = slices.Clone(c.SeedPeers)
	if c.Vnodes != nil {
		c.Vnodes = ListVnodes(*c.Vnodes...)
	}
	return c
}

// Equal reports whether c and other say the same. Lists of vnodes are compared as sets.
func (c Config) Equal(other Config) bool {
	return !slices.ContainsFunc(configKeys(), func(k configKey) bool {
		return !sameValue(k.field(&c), k.field(&other))
	})
}

// IsDurable reports whether state survives the process: not in_process, nor a mem:// store.
func (c Config) IsDurable() bool {
	switch c.Backend {
	case KindLocal:
		return true
	case KindObjectStore:
		u, err := ParseURL(c.URL)
		return err == nil && u.Scheme != "mem"
	default:
		return false
	}
}

// LocalDir returns the directory that holds the state; false if it is not on a file system.
func (c Config) LocalDir() (string, bool) {
	switch c.Backend {
	case KindLocal:
		return c.Path, true
	case KindObjectStore:
		u, err := ParseURL(c.URL)
		return u.Dir, err == nil && u.Scheme == "file"
	default:
		return "", false
	}
}

// Capacity returns the number of vnodes.
func (c Config) Capacity() int { return cmp.Or(c.VnodeCapacity, vnode.DefaultCapacity) }

// Instance returns the id of this instance, "local" unless the config gives one.
func (c Config) Instance() string { return cmp.Or(c.InstanceID, "local") }

// WithDefaults fills in what c leaves out. Advertise stays empty: only a listener knows the address it came to.
func (c Cluster) WithDefaults() Cluster {
	c.Name = cmp.Or(c.Name, "sheaf")
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:7070")
	c.Weight = cmp.Or(c.Weight, 1)
	c.Gossip.Listen = cmp.Or(c.Gossip.Listen, "127.0.0.1:7946")
	c.Limits = c.Limits.WithDefaults()
	return c
}

// WithDefaults fills in what l leaves out.
func (l Limits) WithDefaults() Limits {
	l.InFlight = cmp.Or(l.InFlight, 64<<20)
	l.History = cmp.Or(l.History, 256<<20)
	l.Message = cmp.Or(l.Message, min(16<<20, l.InFlight))
	return l
}
