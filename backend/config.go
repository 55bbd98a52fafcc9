package backend

// Kind says where state stays.
type Kind int

// The three backends. The zero Config is in-process.
const (
	KindInProcess   Kind = iota // in memory of this process: nothing durable
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
type Config struct {
	Backend        Kind
	Path           string     // local only: a directory
	URL            string     // object_store only: file:// mem:// s3:// gs:// azblob://
	InstanceID     string     // this instance; local and in_process default to "local"
	VnodeCapacity  int        // 1 to 65,535; 0 = 256
	Vnodes         *VnodeList // static only: what this instance owns; nil = all that no member lists, empty = none
	MergerInstance string     // static only; empty = the lowest instance id
	Discovery      Discovery
	SeedPeers      []string // static: the other members, "id=host:port"; dynamic: gossip addresses, "host:port"
	Storage        Storage
	Cluster        Cluster
}

// VnodeList names vnodes by ranges.
type VnodeList []VnodeRange

// VnodeRange is the vnodes from First to Last, both included.
type VnodeRange struct {
	First, Last int
}

// Storage says how to reach and enter an object store. What is empty comes from the provider's usual environment.
type Storage struct {
	Endpoint     string // base URL of a server that speaks the provider's protocol
	Region       string
	PathStyle    bool   // s3 only: the bucket is in the path, not in the host name
	AccessKey    Secret // s3: access key id; azblob: account name
	SecretKey    Secret // s3: secret access key; azblob: account key
	SessionToken Secret // s3: session token; azblob: shared access signature
	Credentials  Secret // gs: service account key, JSON
}

// Cluster says how this instance meets the others.
type Cluster struct {
	Name      string // instances of another name are strangers; default "sheaf"
	Listen    string // transport, "host:port"; default "127.0.0.1:7070"
	Advertise string // what the others dial; default Listen
	Zone      string // failure domain
	Weight    int    // dynamic: share of the vnodes relative to the others; default 1
	Balance   Balance
	Insecure  bool // allow strangers off loopback (I12)
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

// TLS names PEM files of the transport's mutual TLS. All or none are set.
type TLS struct {
	Cert, Key, CA string
}

// Gossip is used by dynamic discovery.
type Gossip struct {
	Listen    string // "host:port"; default "127.0.0.1:7946"
	Advertise string // what the others are told; default Listen
	KeyFile   string // a 16, 24 or 32 byte key, base64
}

// Limits bound what waits (I8). 0 is the default.
type Limits struct {
	InFlight Size // unacknowledged events per producer and receiving instance; default 64MiB
	History  Size // unsealed events that a plain producer keeps; default 256MiB
	Message  Size // largest message; default 16MiB
}

// Size is a number of bytes, written "64MiB" in a file.
type Size int64

// Secret is a password or token, or says where to read it.
type Secret struct {
	value     *string // behind a pointer, so that no printer of an enclosing struct reaches it
	file, env string
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
