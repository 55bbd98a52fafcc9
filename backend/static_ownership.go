package backend

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf/vnode"
)

// Claim is what one member's config says about static ownership.
type Claim struct {
	Instance string
	Vnodes   *VnodeList // nil: all that no other member lists
	Merger   string     // empty: no opinion
}

// Ownership is who owns what in a static cluster.
type Ownership struct {
	Members []string // ascending
	Owners  []int    // one per vnode: an index into Members
	Merger  int      // an index into Members
}

// OwnershipError is a contradiction between the claims of members.
type OwnershipError struct {
	Problem   string
	Claimants []string  // who would have to change, ascending
	Vnodes    VnodeList // that the problem is about; may be empty
}

func (e *OwnershipError) Error() string {
	about := ""
	if len(e.Vnodes) > 0 {
		about = fmt.Sprintf("vnodes %s: ", e.Vnodes)
	}
	who := ""
	if len(e.Claimants) > 0 {
		who = " (" + strings.Join(e.Claimants, ", ") + ")"
	}
	return "static ownership: " + about + e.Problem + who
}

// Claim returns what c claims.
func (c Config) Claim() Claim {
	return Claim{Instance: c.Instance(), Vnodes: c.Clone().Vnodes, Merger: c.MergerInstance}
}

// ResolveClaims decides who owns each of capacity vnodes from the claims of all members, in any order. Members that
// list vnodes own those; at most one lists none and owns the rest. Every vnode must have one owner. The merger is the
// member that the claims name, else the lowest id. All contradictions are returned at once, each an [*OwnershipError].
func ResolveClaims(capacity int, claims []Claim) (Ownership, error) {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b Claim) int { return cmp.Compare(a.Instance, b.Instance) })
	if capacity < 1 || capacity > vnode.MaxCapacity {
		return Ownership{}, &OwnershipError{Problem: fmt.Sprintf("vnode_capacity = %d is out of range 1 to %d", capacity, vnode.MaxCapacity)}
	}
	r := claimResolver{
		claims: claims,
		owners: slices.Repeat([]int{vnode.Unowned}, capacity),
		shared: map[[2]int]VnodeList{},
	}
	if r.checkMembers(); len(r.errs) > 0 {
		return Ownership{}, errors.Join(r.errs...) // who is who comes first: nothing else can be told
	}
	rest := r.findRest()
	for i, c := range claims {
		if c.Vnodes != nil {
			r.take(i, *c.Vnodes)
		}
	}
	r.reportShared()
	r.fill(rest)
	merger := r.merger()
	if err := errors.Join(r.errs...); err != nil {
		return Ownership{}, err
	}
	return Ownership{Members: r.names(), Owners: r.owners, Merger: merger}, nil
}

type claimResolver struct {
	claims []Claim // by instance
	owners []int
	shared map[[2]int]VnodeList // the vnodes that two claims both list
	errs   []error
}

func (r *claimResolver) report(problem string, about VnodeList, claimants ...string) {
	r.errs = append(r.errs, &OwnershipError{problem, claimants, about.normal()})
}

func (r *claimResolver) names() []string {
	names := make([]string, len(r.claims))
	for i, c := range r.claims {
		names[i] = c.Instance
	}
	return names
}

func (r *claimResolver) checkMembers() {
	if len(r.claims) == 0 {
		r.report("there is no member", nil)
	}
	for i := 1; i < len(r.claims); i++ {
		if r.claims[i].Instance == r.claims[i-1].Instance {
			r.report("two members have one instance_id: give each its own", nil, r.claims[i-1].Instance, r.claims[i].Instance)
		}
	}
}

// findRest returns the one claim that omits the list; -1 if none does.
func (r *claimResolver) findRest() int {
	rest := -1
	var omit []string
	for i, c := range r.claims {
		if c.Vnodes == nil {
			rest = i
			omit = append(omit, c.Instance)
		}
	}
	if len(omit) > 1 {
		r.report("more than one member omits vnodes and so owns the rest: list the vnodes of all but one", nil, omit...)
	}
	return rest
}

func (r *claimResolver) take(claim int, list VnodeList) {
	list.check(len(r.owners), func(bad VnodeRange, problem string) {
		r.report(problem, nil, fmt.Sprintf("%s lists %s", r.claims[claim].Instance, bad))
	})
	for _, part := range list.normal() {
		for v := max(0, part.First); v <= min(part.Last, len(r.owners)-1); v++ {
			if owner := r.owners[v]; owner != vnode.Unowned {
				pair := [2]int{owner, claim}
				r.shared[pair] = append(r.shared[pair], VnodeRange{v, v})
				continue
			}
			r.owners[v] = claim
		}
	}
}

func (r *claimResolver) reportShared() {
	for a := range r.claims {
		for b := range r.claims {
			if list := r.shared[[2]int{a, b}]; len(list) > 0 {
				r.report("claimed by two members: take them out of one list", list, r.claims[a].Instance, r.claims[b].Instance)
			}
		}
	}
}

// fill gives the rest to the member that omits the list; without one it must be empty.
func (r *claimResolver) fill(rest int) {
	var gap VnodeList
	for v, owner := range r.owners {
		switch {
		case owner != vnode.Unowned:
		case rest >= 0:
			r.owners[v] = rest
		default:
			gap = append(gap, VnodeRange{v, v})
		}
	}
	if len(gap) > 0 {
		r.report("claimed by no member: add them to a list, or omit vnodes in one config", gap, r.names()...)
	}
}

func (r *claimResolver) merger() int {
	named := -1
	var who []string
	for _, c := range r.claims {
		if c.Merger == "" {
			continue
		}
		i := slices.Index(r.names(), c.Merger)
		switch {
		case i < 0:
			r.report(fmt.Sprintf("merger_instance = %q is not a member: members are %s", c.Merger, strings.Join(r.names(), ", ")), nil, c.Instance)
			continue
		case named >= 0 && named != i:
			r.report(fmt.Sprintf("merger_instance = %q and %q: name one", r.claims[named].Instance, c.Merger), nil, append(who, c.Instance)...)
			continue
		}
		named = i
		who = append(who, c.Instance)
	}
	return max(named, 0)
}
