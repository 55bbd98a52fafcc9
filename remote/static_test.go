package remote_test

import (
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/remote"
)

func member(id string) remote.Member { return remote.Member{Instance: id, Address: id + ":7070"} }

func TestStaticMembersAreSortedAndKeepTheirAddresses(t *testing.T) {
	m, err := remote.NewStatic(member("b"), member("c"), member("a"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, x := range m.Members() {
		ids = append(ids, x.Instance+"@"+x.Address)
	}
	if got, want := strings.Join(ids, " "), "a@a:7070 b@b:7070 c@c:7070"; got != want {
		t.Errorf("members: got %s, want %s", got, want)
	}
	if got := m.Self(); got != member("b") {
		t.Errorf("self: got %v, want b", got)
	}
}

func TestStaticRefusesAnInstanceNamedTwice(t *testing.T) {
	_, err := remote.NewStatic(member("a"), member("b"), member("a"))
	if err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("members a, b, a: got %v, want an error that names a", err)
	}
}

func TestCoordinatorIsTheMergerElseTheLowest(t *testing.T) {
	m, err := remote.NewStatic(member("b"), member("c"), member("a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		merger, want string
		ok           bool
	}{{"", "a", true}, {"c", "c", true}, {"z", "", false}} {
		if got, ok := remote.Coordinator(m, x.merger); got.Instance != x.want || ok != x.ok {
			t.Errorf("merger %q: got %v %v, want %s %v", x.merger, got, ok, x.want, x.ok)
		}
	}
}
