package backend_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
)

func span(first, last int) *backend.VnodeList {
	return backend.ListVnodes(backend.VnodeRange{First: first, Last: last})
}

func TestClaimsDecideWhoOwnsWhat(t *testing.T) {
	tests := []struct {
		name   string
		claims []backend.Claim
		want   backend.Ownership
	}{
		{"one member owns all", []backend.Claim{{Instance: "a"}}, backend.Ownership{Members: []string{"a"}, Owners: []int{0, 0, 0, 0}}},
		{
			"all listed",
			[]backend.Claim{{Instance: "b", Vnodes: span(0, 2)}, {Instance: "a", Vnodes: span(3, 3)}},
			backend.Ownership{Members: []string{"a", "b"}, Owners: []int{1, 1, 1, 0}},
		},
		{
			"the one that omits owns the rest",
			[]backend.Claim{{Instance: "a"}, {Instance: "b", Vnodes: span(1, 2)}},
			backend.Ownership{Members: []string{"a", "b"}, Owners: []int{0, 1, 1, 0}},
		},
		{
			"the rest may be empty",
			[]backend.Claim{{Instance: "a"}, {Instance: "b", Vnodes: span(0, 3)}},
			backend.Ownership{Members: []string{"a", "b"}, Owners: []int{1, 1, 1, 1}},
		},
		{
			"a pure merger",
			[]backend.Claim{{Instance: "a", Merger: "m"}, {Instance: "m", Vnodes: backend.ListVnodes(), Merger: "m"}},
			backend.Ownership{Members: []string{"a", "m"}, Owners: []int{0, 0, 0, 0}, Merger: 1},
		},
		{
			"one names the merger for all",
			[]backend.Claim{{Instance: "a"}, {Instance: "b", Vnodes: span(0, 0), Merger: "b"}},
			backend.Ownership{Members: []string{"a", "b"}, Owners: []int{1, 0, 0, 0}, Merger: 1},
		},
	}
	for _, test := range tests {
		got, err := backend.ResolveClaims(4, test.claims)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

func TestContradictingClaimsNameTheClaimants(t *testing.T) {
	tests := []struct {
		name   string
		claims []backend.Claim
		want   []string
	}{
		{"nobody", nil, []string{"static ownership: there is no member"}},
		{"two omissions", []backend.Claim{{Instance: "b"}, {Instance: "c", Vnodes: span(0, 0)}, {Instance: "a"}}, []string{
			"more than one member omits vnodes and so owns the rest: list the vnodes of all but one (a, b)",
		}},
		{"gap", []backend.Claim{{Instance: "a", Vnodes: span(1, 1)}, {Instance: "b", Vnodes: backend.ListVnodes()}}, []string{
			"vnodes 0, 2-3: claimed by no member: add them to a list, or omit vnodes in one config (a, b)",
		}},
		{"overlaps", []backend.Claim{{Instance: "c", Vnodes: span(0, 3)}, {Instance: "a", Vnodes: span(0, 1)}, {Instance: "b", Vnodes: span(2, 2)}}, []string{
			"vnodes 0-1: claimed by two members: take them out of one list (a, c)", "vnodes 2: claimed by two members: take them out of one list (b, c)",
		}},
		{"double id", []backend.Claim{{Instance: "a"}, {Instance: "a", Vnodes: span(0, 0)}}, []string{"two members have one instance_id: give each its own (a, a)"}},
		{"out of range", []backend.Claim{{Instance: "a"}, {Instance: "b", Vnodes: span(3, 4)}}, []string{"is out of range 0 to 3 (vnode_capacity = 4) (b lists 3-4)"}},
		{"merger is no member", []backend.Claim{{Instance: "a", Merger: "x"}, {Instance: "b", Vnodes: span(0, 0)}}, []string{
			`merger_instance = "x" is not a member: members are a, b (a)`,
		}},
		{"two mergers", []backend.Claim{{Instance: "a", Merger: "a"}, {Instance: "b", Vnodes: span(0, 0), Merger: "b"}}, []string{
			`merger_instance = "a" and "b": name one (a, b)`,
		}},
		{"all at once", []backend.Claim{{Instance: "a", Vnodes: span(0, 1)}, {Instance: "b", Vnodes: span(1, 2), Merger: "x"}}, []string{
			"vnodes 1: claimed by two", "vnodes 3: claimed by no", `"x" is not a member`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := backend.ResolveClaims(4, test.claims)
			checkErrors(t, err, test.want)
			for _, e := range joined(err) {
				if o := (*backend.OwnershipError)(nil); !errors.As(e, &o) {
					t.Errorf("%v is no OwnershipError", e)
				}
			}
		})
	}
}

func TestConfigClaimsWhatItLists(t *testing.T) {
	c := static(vnodes(backend.VnodeRange{First: 1, Last: 2}), func(c *backend.Config) { c.MergerInstance = "node-0" })
	want := backend.Claim{Instance: "node-0", Vnodes: span(1, 2), Merger: "node-0"}
	if got := c.Claim(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v claims %+v, want %+v", c, got, want)
	}
	if got, want := backend.Local("/x").Claim(), (backend.Claim{Instance: "local"}); got != want {
		t.Errorf("local claims %+v, want %+v", got, want)
	}
}

func TestCapacityOutOfRangeIsNoPanic(t *testing.T) {
	for _, capacity := range []int{-1, 0, 65536} {
		if _, err := backend.ResolveClaims(capacity, []backend.Claim{{Instance: "a"}}); err == nil {
			t.Errorf("capacity %d: no error", capacity)
		}
	}
}

// Whatever members list, either every vnode goes to a member that may have it, or the claims do contradict each other:
// counted here vnode by vnode, without ranges. The order of the claims says nothing.
func TestOwnershipIsTotalOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 40).Draw(t, "capacity")
		claims := drawClaims(t, capacity)
		got, err := backend.ResolveClaims(capacity, claims)
		if want := consistent(capacity, claims); (err == nil) != want {
			t.Fatalf("claims %+v of %d vnodes: %+v, %v; consistent: %t", claims, capacity, got, err, want)
		}
		again, _ := backend.ResolveClaims(capacity, rapid.Permutation(claims).Draw(t, "order"))
		if !reflect.DeepEqual(got, again) {
			t.Fatalf("claims %+v: %+v, in another order %+v", claims, got, again)
		}
		for v, owner := range got.Owners {
			if !mayOwn(claims, got.Members[owner], v) {
				t.Fatalf("claims %+v: vnode %d went to %s", claims, v, got.Members[owner])
			}
		}
	})
}

// drawClaims deals the vnodes to lists, and sometimes spoils the deal.
func drawClaims(t *rapid.T, capacity int) []backend.Claim {
	members := rapid.IntRange(1, 4).Draw(t, "members")
	claims := make([]backend.Claim, members)
	for i := range claims {
		claims[i] = backend.Claim{Instance: string(rune('a' + i)), Vnodes: backend.ListVnodes()}
	}
	for v := range capacity {
		i := rapid.IntRange(0, members-1).Draw(t, "owner")
		*claims[i].Vnodes = append(*claims[i].Vnodes, backend.VnodeRange{First: v, Last: v})
	}
	if rapid.Bool().Draw(t, "one omits") {
		claims[rapid.IntRange(0, members-1).Draw(t, "who")].Vnodes = nil
	}
	if rapid.IntRange(0, 3).Draw(t, "spoil") == 0 {
		i, v := rapid.IntRange(0, members-1).Draw(t, "whose"), rapid.IntRange(0, capacity).Draw(t, "vnode")
		claims[i].Vnodes = rapid.SampledFrom([]*backend.VnodeList{nil, span(v, v), backend.ListVnodes()}).Draw(t, "list")
	}
	return claims
}

func consistent(capacity int, claims []backend.Claim) bool {
	omit := 0
	owners := make([]int, capacity)
	for _, c := range claims {
		if c.Vnodes == nil {
			omit++
			continue
		}
		for _, r := range *c.Vnodes {
			if r.Last >= capacity {
				return false
			}
			for v := r.First; v <= r.Last; v++ {
				owners[v]++
			}
		}
	}
	return omit <= 1 && slices.Max(owners) <= 1 && (omit == 1 || slices.Min(owners) == 1)
}

func mayOwn(claims []backend.Claim, instance string, v int) bool {
	lists := func(c backend.Claim) bool {
		return c.Vnodes != nil && slices.ContainsFunc(*c.Vnodes, func(r backend.VnodeRange) bool { return r.First <= v && v <= r.Last })
	}
	i := slices.IndexFunc(claims, func(c backend.Claim) bool { return c.Instance == instance })
	return lists(claims[i]) || claims[i].Vnodes == nil && !slices.ContainsFunc(claims, lists)
}
