package actors_test

import (
	"fmt"
	"testing"

	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestEveryMemberHasANumberOfItsOwn: of an elastic cluster that goes through any number of ids, those who are members at one
// time share no count of what is in flight (I8), and keep theirs as long as they are.
func TestEveryMemberHasANumberOfItsOwn(t *testing.T) {
	var p actors.Places
	var a vnode.Assignment
	has := map[string]uint16{}
	for n := range 4 * actors.MaxDestinations {
		a.Members = append(a.Members, vnode.Member{Instance: fmt.Sprint("node-", n)})
		if len(a.Members) > 5 {
			delete(has, a.Members[2].Instance)
			a.Members = append(a.Members[:2:2], a.Members[3:]...)
		}
		taken := map[uint16]string{}
		for _, m := range a.Members {
			at := p.Of(m.Instance, a)
			if before, known := has[m.Instance]; known && before != at {
				t.Fatalf("%s had number %d and has %d", m.Instance, before, at)
			}
			if other := taken[at]; other != "" {
				t.Fatalf("after %d ids %s and %s share number %d", n+1, other, m.Instance, at)
			}
			has[m.Instance], taken[at] = at, m.Instance
		}
	}
}
