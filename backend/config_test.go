package backend_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
)

func TestZeroConfigIsInProcess(t *testing.T) {
	if c := backend.InProcess(); !c.Equal(backend.Config{}) || c.Validate() != nil {
		t.Errorf("InProcess() = %v, %v; want the zero config, valid", c, c.Validate())
	}
}

func TestConfigSaysWhereStateIs(t *testing.T) {
	tests := []struct {
		config   backend.Config
		durable  bool
		dir      string
		isLocal  bool
		instance string
	}{
		{backend.InProcess(), false, "", false, "local"},
		{backend.Local("/var/lib/app"), true, "/var/lib/app", true, "local"},
		{backend.ObjectStore("file:///srv/a%20b/", "n"), true, "/srv/a b", true, "n"},
		{backend.ObjectStore("mem://", "n"), false, "", false, "n"},
		{backend.ObjectStore("s3://b/p", "n"), true, "", false, "n"},
		{backend.ObjectStore("gs://b", "n"), true, "", false, "n"},
		{backend.ObjectStore("azblob://b", "n"), true, "", false, "n"},
		{backend.ObjectStore("nonsense", "n"), false, "", false, "n"},
	}
	for _, test := range tests {
		c := test.config
		dir, isLocal := c.LocalDir()
		if c.IsDurable() != test.durable || dir != test.dir || isLocal != test.isLocal || c.Instance() != test.instance {
			t.Errorf("%v: durable %t, dir %q %t, instance %q; want %t, %q %t, %q",
				c, c.IsDurable(), dir, isLocal, c.Instance(), test.durable, test.dir, test.isLocal, test.instance)
		}
	}
}

func TestCapacityDefaultsTo256(t *testing.T) {
	if got := (backend.Config{}).Capacity(); got != 256 {
		t.Errorf("Capacity() = %d, want 256", got)
	}
	if got := (backend.Config{VnodeCapacity: 7}).Capacity(); got != 7 {
		t.Errorf("Capacity() = %d, want 7", got)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	c := backend.ObjectStore("mem://", "a")
	c.Vnodes, c.SeedPeers = backend.ListVnodes(backend.VnodeRange{First: 0, Last: 3}), []string{"b=localhost:1"}
	clone := c.Clone()
	if !clone.Equal(c) {
		t.Fatalf("clone %v, want %v", clone, c)
	}
	(*clone.Vnodes)[0].Last, clone.SeedPeers[0] = 9, "changed"
	if (*c.Vnodes)[0].Last != 3 || c.SeedPeers[0] != "b=localhost:1" {
		t.Errorf("a change of the clone reached the original: %v", c)
	}
}

func TestEqualTellsOmittedVnodesFromNone(t *testing.T) {
	list := func(ranges ...backend.VnodeRange) backend.Config {
		return backend.Config{Vnodes: backend.ListVnodes(ranges...)}
	}
	tests := []struct {
		a, b backend.Config
		want bool
	}{
		{backend.Config{}, backend.Config{}, true},
		{backend.Config{}, list(), false},
		{list(), list(), true},
		{list(backend.VnodeRange{First: 0, Last: 1}), list(backend.VnodeRange{First: 1, Last: 1}, backend.VnodeRange{First: 0, Last: 0}), true},
		{list(backend.VnodeRange{First: 0, Last: 1}), list(backend.VnodeRange{First: 0, Last: 2}), false},
		{backend.Config{SeedPeers: []string{}}, backend.Config{}, true},
		{secretConfig(backend.SecretValue("x")), secretConfig(backend.SecretValue("x")), true},
		{secretConfig(backend.SecretValue("x")), secretConfig(backend.SecretValue("y")), false},
		{secretConfig(backend.SecretFile("x")), secretConfig(backend.SecretEnv("x")), false},
	}
	for _, test := range tests {
		if got := test.a.Equal(test.b); got != test.want {
			t.Errorf("%v.Equal(%v) = %t, want %t", test.a, test.b, got, test.want)
		}
	}
}

// A field that no key of a file says would be lost in Equal, in print and in a file.
func TestEveryFieldIsAKey(t *testing.T) {
	var zero backend.Config
	var c backend.Config
	for name, field := range leaves(reflect.ValueOf(&c).Elem(), "Config") {
		c = backend.Config{}
		setSample(t, name, field)
		if c.Equal(zero) || c.String() == zero.String() {
			t.Errorf("%s set: String() = %s, Equal(zero) = %t; want it shown and compared", name, c, c.Equal(zero))
		}
	}
}

// leaves yields the fields of a struct that are no structs of the package's own, addressable.
func leaves(v reflect.Value, name string) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		f, full := v.Field(i), name+"."+v.Type().Field(i).Name
		if f.Kind() != reflect.Struct || f.Type() == reflect.TypeFor[backend.Secret]() {
			all[full] = f
			continue
		}
		for inner, leaf := range leaves(f, full) {
			all[inner] = leaf
		}
	}
	return all
}

func setSample(t *testing.T, name string, f reflect.Value) {
	t.Helper()
	switch f.Interface().(type) {
	case backend.Secret:
		f.Set(reflect.ValueOf(backend.SecretEnv("X")))
		return
	case *backend.VnodeList:
		f.Set(reflect.ValueOf(backend.ListVnodes()))
		return
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString("x")
	case reflect.Int, reflect.Int64:
		f.SetInt(1)
	case reflect.Bool:
		f.SetBool(true)
	case reflect.Slice:
		f.Set(reflect.ValueOf([]string{"x"}))
	default:
		t.Fatalf("no sample for %s of type %s", name, f.Type())
	}
}

func TestDefaultsOfTheClusterAreValid(t *testing.T) {
	for _, discovery := range []backend.Discovery{backend.DiscoveryStatic, backend.DiscoveryDynamic} {
		c := backend.ObjectStore("mem://", "a")
		c.Discovery = discovery
		c.Cluster.Name, c.Cluster.Listen = c.Cluster.WithDefaults().Name, c.Cluster.WithDefaults().Listen
		c.Cluster.Limits = c.Cluster.Limits.WithDefaults()
		if err := c.Validate(); err != nil {
			t.Errorf("%v: %v", discovery, err)
		}
	}
}

func TestDefaultMessageFitsInFlight(t *testing.T) {
	l := backend.Limits{InFlight: 4 << 20}.WithDefaults()
	if l.Message != 4<<20 || l.History != 256<<20 {
		t.Errorf("limits of 4MiB in flight: %+v, want message 4MiB, history 256MiB", l)
	}
}

func TestSizeIsPrintedAsItIsRead(t *testing.T) {
	for text, bytes := range map[string]backend.Size{
		"0B": 0, "1B": 1, "1023B": 1023, "1KiB": 1 << 10, "1025B": 1025, "64MiB": 64 << 20, "3GiB": 3 << 30, "1024TiB": 1 << 50,
	} {
		var got backend.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != bytes || bytes.String() != text {
			t.Errorf("read %q: %d, %v; print %d: %q; want each the other", text, got, err, bytes, bytes)
		}
	}
	for _, text := range []string{"", "MiB", "64", "64MB", "64 MiB", "-1B", "1.5GiB", "99999999999TiB", "8388608TiB", "1iB"} {
		if err := new(backend.Size).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "64MiB") {
			t.Errorf("read size %q: %v, want an error with an example", text, err)
		}
	}
}
