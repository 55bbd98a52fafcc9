package backend

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ConfigError is one thing that is wrong with a config. Secrets in it are redacted.
type ConfigError struct {
	Key     string // as a file names it: "state.path"
	Value   string // what the config says, as TOML; empty if that is nothing, or may be a secret
	Problem string // begins with a verb and names what the value clashes with: the other key and its value, or the bound
	Remedy  string
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s %s: %s", e.Key, e.Problem, e.Remedy)
	}
	return fmt.Sprintf("%s = %s %s: %s", e.Key, e.Value, e.Problem, e.Remedy)
}

// configFault is a ConfigError without its key.
type configFault struct {
	problem, remedy string
}

// Validate returns everything that is wrong with c, each as a [*ConfigError], joined.
func (c Config) Validate() error {
	ch := configCheck{config: c, wrong: map[string]bool{}}
	ch.run()
	return errors.Join(ch.errs...)
}

// configCheck collects what is wrong with a config.
type configCheck struct {
	config Config
	file   map[string]bool // the keys that the file gives; nil if the config comes from no file
	wrong  map[string]bool // the keys with a fault: rules over several keys leave them alone
	errs   []error
}

func (ch *configCheck) add(key, value string, f *configFault) {
	if f != nil {
		ch.wrong[key] = true
		ch.errs = append(ch.errs, &ConfigError{key, value, f.problem, f.remedy})
	}
}

func (ch *configCheck) run() {
	for _, k := range configKeys() {
		if !ch.wrong[k.name] {
			ch.add(k.name, ch.value(k), ch.key(k))
		}
	}
	ch.vnodes()
	ch.seeds()
	ch.merger()
	ch.store()
	ch.reachable()
	ch.tls()
	ch.strangers()
	ch.limits()
}

func (ch *configCheck) given(k configKey) bool { return ch.file[k.name] || !k.isZero(&ch.config) }

func (ch *configCheck) value(k configKey) string {
	if !ch.given(k) {
		return ""
	}
	return literal(k.shown(&ch.config))
}

// shape returns the shapes that the config may mean: one, unless backend or discovery is wrong.
func (ch *configCheck) shape() shape {
	c := &ch.config
	switch {
	case ch.wrong["state.backend"]:
		return shapeEverywhere
	case c.Backend == KindInProcess:
		return shapeInProcess
	case c.Backend == KindLocal:
		return shapeLocal
	case ch.wrong["state.discovery"]:
		return shapeObjectStore
	case c.Discovery == DiscoveryStatic:
		return shapeStatic
	default:
		return shapeDynamic
	}
}

// applies reports whether the config gives the key, means it, and nothing is wrong with it so far.
func (ch *configCheck) applies(name string) bool {
	for _, k := range configKeys() {
		if k.name == name {
			return !ch.wrong[name] && ch.given(k) && k.shapes&ch.shape() != 0
		}
	}
	return false
}

// key judges one key on its own.
func (ch *configCheck) key(k configKey) *configFault {
	c, now := &ch.config, ch.shape()
	switch {
	case !k.isKnown(c):
		return &configFault{"is unknown", "use one of the constants"}
	case k.isZero(c) && now&^k.needs == 0:
		return &configFault{fmt.Sprintf("is missing with state.backend = %q", c.Backend), "set it"}
	case !ch.given(k):
		return nil
	case k.shapes&now == 0:
		return ch.misplaced(k)
	}
	if f := ch.wrongScheme(k); f != nil {
		return f
	}
	return k.valueFault(c)
}

// misplaced says which key makes k one that nothing reads.
func (ch *configCheck) misplaced(k configKey) *configFault {
	c := &ch.config
	if ch.shape()&shapeObjectStore != 0 && k.shapes&shapeObjectStore != 0 {
		other := DiscoveryStatic
		if k.shapes&shapeDynamic != 0 {
			other = DiscoveryDynamic
		}
		return &configFault{
			fmt.Sprintf("does not go with state.discovery = %q", c.Discovery),
			fmt.Sprintf("remove it, or set state.discovery = %q", other),
		}
	}
	var homes []string
	for kind, s := range []shape{KindInProcess: shapeInProcess, KindLocal: shapeLocal, KindObjectStore: shapeObjectStore} {
		if k.shapes&s != 0 {
			homes = append(homes, fmt.Sprintf("state.backend = %q", Kind(kind)))
		}
	}
	return &configFault{
		fmt.Sprintf("does not go with state.backend = %q", c.Backend),
		"remove it, or set " + strings.Join(homes, " or "),
	}
}

func (ch *configCheck) wrongScheme(k configKey) *configFault {
	u, err := splitURL(ch.config.URL)
	if k.schemes == "" || err != nil || ch.shape()&shapeObjectStore == 0 {
		return nil
	}
	for s := range strings.FieldsSeq(k.schemes) {
		if s == u.Scheme {
			return nil
		}
	}
	return &configFault{
		fmt.Sprintf("does not go with state.url = %q", RedactURL(ch.config.URL)),
		"remove it: it is for " + strings.ReplaceAll(k.schemes, " ", ", ") + " only",
	}
}

// isKnown reports whether an enumeration holds one of its constants.
func (k configKey) isKnown(c *Config) bool {
	switch p := k.field(c).(type) {
	case *Kind:
		return *p >= 0 && int(*p) < len(kindNames())
	case *Discovery:
		return *p >= 0 && int(*p) < len(discoveryNames())
	case *Balance:
		return *p >= 0 && int(*p) < len(balanceNames())
	default:
		return true
	}
}

// valueFault judges a value that is given.
func (k configKey) valueFault(c *Config) *configFault {
	v := reflect.ValueOf(k.field(c)).Elem()
	if k.max > 0 && (v.Int() < k.min || v.Int() > k.max) {
		return &configFault{fmt.Sprintf("is out of range %d to %d", k.min, k.max), "choose a value in it, or leave the key out for the default"}
	}
	if v.Kind() != reflect.String {
		return nil
	}
	if !utf8.ValidString(v.String()) || strings.ContainsFunc(v.String(), unicode.IsControl) {
		return &configFault{"holds control characters or is not UTF-8", "use printable text"}
	}
	if k.rule == nil || v.String() == "" {
		return nil
	}
	return k.rule(v.String())
}

func (ch *configCheck) vnodes() {
	if !ch.applies("state.vnodes") || ch.wrong["state.vnode_capacity"] {
		return
	}
	ch.config.Vnodes.check(ch.config.Capacity(), func(r VnodeRange, problem string) {
		ch.add("state.vnodes", literal(VnodeList{r}.encode()), &configFault{problem, "correct or remove it"})
	})
}

func (ch *configCheck) merger() {
	c := &ch.config
	if !ch.applies("state.merger_instance") || !ch.applies("state.instance_id") || ch.wrong["state.seed_peers"] {
		return
	}
	members := []string{c.InstanceID}
	for _, seed := range c.SeedPeers {
		id, _, _ := strings.Cut(seed, "=")
		members = append(members, id)
	}
	for _, id := range members {
		if id == c.MergerInstance {
			return
		}
	}
	ch.add("state.merger_instance", literal(c.MergerInstance), &configFault{
		fmt.Sprintf("is not a member: state.instance_id = %q, state.seed_peers = %s", c.InstanceID, literal(anySlice(c.SeedPeers))),
		"name this instance or one of the seed peers",
	})
}

// store finds what the URL and [state.storage] say twice, and half of a pair.
func (ch *configCheck) store() {
	u, err := splitURL(ch.config.URL)
	if err != nil || ch.shape()&shapeObjectStore == 0 {
		return
	}
	twice := map[string]string{
		"state.storage.endpoint": "endpoint", "state.storage.region": "region", "state.storage.path_style": "use_path_style",
	}
	for _, k := range storageKeys() {
		if param := twice[k.name]; param != "" && ch.applies(k.name) && u.Query.Has(param) {
			ch.add(k.name, ch.value(k), &configFault{
				fmt.Sprintf("is also said by state.url = %q", RedactURL(ch.config.URL)), "remove one of them",
			})
		}
	}
	s := &ch.config.Storage
	if u.Scheme == "s3" && s.AccessKey.IsZero() != s.SecretKey.IsZero() {
		have, lack := "state.storage.access_key", "state.storage.secret_key"
		if s.AccessKey.IsZero() {
			have, lack = lack, have
		}
		ch.missing(lack, have, cmp.Or(s.AccessKey.String(), s.SecretKey.String()), "set both or none")
	}
}

func (ch *configCheck) missing(key, with, value, remedy string) {
	if !ch.wrong[key] {
		ch.add(key, "", &configFault{fmt.Sprintf("is missing with %s = %q", with, value), remedy})
	}
}

func (ch *configCheck) limits() {
	l := ch.config.Cluster.Limits
	for _, key := range []string{"cluster.limits.message", "cluster.limits.in_flight"} {
		if ch.wrong[key] {
			return
		}
	}
	if full := l.WithDefaults(); full.Message > full.InFlight {
		ch.add("cluster.limits.message", literal(full.Message.String()), &configFault{
			fmt.Sprintf("is more than cluster.limits.in_flight = %q", full.InFlight), "no message could be sent: raise in_flight or lower message",
		})
	}
}
