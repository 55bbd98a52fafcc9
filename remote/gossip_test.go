package remote_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/remote"
)

func TestGossipThatIsNotLinkedNamesItsImport(t *testing.T) {
	m, err := remote.OpenGossip(remote.GossipConfig{})
	var missing *remote.ImportError
	if m != nil || !errors.As(err, &missing) {
		t.Fatalf("open: got %v, %v, want an ImportError", m, err)
	}
	if want := `import _ "github.com/sheaf-go/sheaf/remote/gossip"`; !strings.Contains(err.Error(), want) {
		t.Errorf("open: error %q, want %s in it", err, want)
	}
}
