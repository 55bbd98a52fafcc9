package remote_test

import (
	"errors"
	"testing"

	"github.com/sheaf-go/sheaf/remote"
)

func TestTransportIsLinkedByImport(t *testing.T) {
	if _, err := remote.NewTransport(remote.TransportConfig{}); !errors.Is(err, remote.ErrNotLinked) {
		t.Errorf("a transport without import: %v", err)
	}
	remote.Register(func(cfg remote.TransportConfig) (remote.Transport, error) { return nil, errors.New(cfg.Listen) })
	defer remote.Register(nil)
	if _, err := remote.NewTransport(remote.TransportConfig{Listen: "there"}); err == nil || err.Error() != "there" {
		t.Errorf("a linked transport: %v", err)
	}
}
