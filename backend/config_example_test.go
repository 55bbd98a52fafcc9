package backend_test

import (
	"fmt"

	"github.com/sheaf-go/sheaf/backend"
)

func ExampleConfig() {
	c := backend.ObjectStore("s3://bucket/prefix", "node-0")
	c.Vnodes = backend.ListVnodes(backend.VnodeRange{First: 0, Last: 127})
	c.SeedPeers = []string{"node-1=127.0.0.1:7071"}
	c.Storage.Region = "eu-west-1"
	c.Storage.AccessKey = backend.SecretEnv("STORE_KEY_ID")
	c.Storage.SecretKey = backend.SecretFile("/run/secrets/store")
	file, err := c.Encode()
	fmt.Printf("%s%v\n", file, err)
	// Output:
	// [state]
	// backend = "object_store"
	// url = "s3://bucket/prefix"
	// instance_id = "node-0"
	// vnodes = ["0-127"]
	// seed_peers = ["node-1=127.0.0.1:7071"]
	// [state.storage]
	// region = "eu-west-1"
	// access_key = { env = "STORE_KEY_ID" }
	// secret_key = { file = "/run/secrets/store" }
	// <nil>
}

func ExampleParse() {
	_, err := backend.Parse([]byte(`
[state]
backend = "local"
vnode_capacity = 0
url = "s3://bucket"
vnode = [1, 2]
`))
	fmt.Println(err)
	// Output:
	// state.vnode is not a key of this configuration: remove it, or did you mean state.vnodes?
	// state.path is missing with state.backend = "local": set it
	// state.url = "s3://bucket" does not go with state.backend = "local": remove it, or set state.backend = "object_store"
	// state.vnode_capacity = 0 is out of range 1 to 65535: choose a value in it, or leave the key out for the default
}

func ExampleResolveClaims() {
	_, err := backend.ResolveClaims(256, []backend.Claim{
		{Instance: "node-0", Vnodes: backend.ListVnodes(backend.VnodeRange{First: 0, Last: 99})},
		{Instance: "node-1", Vnodes: backend.ListVnodes(backend.VnodeRange{First: 90, Last: 254})},
	})
	fmt.Println(err)
	// Output:
	// static ownership: vnodes 90-99: claimed by two members: take them out of one list (node-0, node-1)
	// static ownership: vnodes 255: claimed by no member: add them to a list, or omit vnodes in one config (node-0, node-1)
}
