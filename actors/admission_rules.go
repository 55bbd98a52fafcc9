package actors

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Cluster is who may be a member, and what this one claims.
type Cluster struct {
	Members []string // instance ids of a static cluster, ascending, this one's among them
	Claim   Claimed
	Elastic *Elastic // nil: it is static
}

// Claimed says what a member claims. One that is not in force asks for it.
type Claimed struct {
	From vnode.Member
	// Supersedes is the incarnation in force under the same id, which did not answer; zero if there is none. A record
	// that names another one since makes the claim void: so two processes with one id never depose each other in turn.
	Supersedes uuid.UUID
	Claim      backend.Claim // of a static cluster

	Zone     string // what follows, of an elastic one
	Weight   uint32
	Leaving  bool
	Offers   []string       // sources that it can read, ascending
	Shut     []string       // sources that it reads, and sends nothing more of: all that it sent is sealed; with Leaving
	Cut      []vnode.Member // members in force that it cannot reach
	Prepared PlanID         // the newest plan for which it has loaded what is to move to it
}

// AbsentError says which members' claims are awaited before the first assignment.
type AbsentError struct{ Members []string }

func (e *AbsentError) Error() string {
	return "these members have not come yet: " + strings.Join(e.Members, ", ")
}

// Claim takes what a member says that it claims.
func (c *CoordinatorRules) Claim(m Claimed) []Effect {
	if c.cluster.Elastic != nil {
		return c.claimElastic(m)
	}
	if !slices.Contains(c.cluster.Members, m.From.Instance) || m.From.Instance == c.self.Instance {
		return nil
	}
	inForce, _ := c.rec.Assignment.InForce(m.From.Instance)
	if inForce != m.From && inForce.Incarnation != m.Supersedes {
		return nil
	}
	if old, heard := c.claims[m.From.Instance]; !heard || !reflect.DeepEqual(old, m) {
		c.claims[m.From.Instance], c.settled = m, 0
	}
	return c.step()
}

// admit creates the record of another assignment if the claims make one. Every claim is checked again on the newest
// record.
func (c *CoordinatorRules) admit() []Effect {
	if c.cluster.Elastic != nil {
		return c.readmit()
	}
	if c.settled == c.rec.Assignment.Version {
		return nil
	}
	c.settled = c.rec.Assignment.Version
	c.dropVoid()
	a, err := c.assign()
	c.conflict = err
	if err != nil || sameOwners(a, c.rec.Assignment) {
		return nil
	}
	n := c.next()
	a.Version = c.rec.Assignment.Version + 1
	n.Assignment = a
	return c.create(n)
}

// dropVoid forgets the claims that the newest record makes void.
func (c *CoordinatorRules) dropVoid() {
	for id, m := range c.claims {
		inForce, _ := c.rec.Assignment.InForce(id)
		if m.From != c.self && inForce != m.From && inForce.Incarnation != m.Supersedes {
			delete(c.claims, id)
		}
	}
}

func sameOwners(a, b vnode.Assignment) bool {
	return slices.Equal(a.Members, b.Members) && slices.Equal(a.Owners, b.Owners)
}

// assign returns the assignment that the claims of all members make. Whoever was not heard of claims what it owns.
func (c *CoordinatorRules) assign() (vnode.Assignment, error) {
	old := c.rec.Assignment
	var claims []backend.Claim
	var absent []string
	for _, id := range c.cluster.Members {
		i := old.Index(id)
		switch m, heard := c.claims[id]; {
		case heard:
			claims = append(claims, m.Claim)
		case i >= 0 && old.Complete():
			claims = append(claims, backend.Claim{Instance: id, Vnodes: backend.ListVnodes(owned(old, i)...)})
		default:
			absent = append(absent, id)
		}
	}
	if len(absent) > 0 {
		return vnode.Assignment{}, &AbsentError{absent}
	}
	o, err := backend.ResolveClaims(len(old.Owners), claims)
	if err != nil {
		return vnode.Assignment{}, err
	}
	a := vnode.Assignment{Owners: o.Owners}
	for _, id := range o.Members {
		a.Members = append(a.Members, c.member(id))
	}
	a.Sources = carriedSources(old, a.Members)
	return a, nil
}

// partly is what is left of the newest assignment under the members of today, where the claims make none.
func (c *CoordinatorRules) partly() vnode.Assignment {
	old := c.rec.Assignment
	var a vnode.Assignment
	for _, id := range c.cluster.Members {
		if id == c.self.Instance || old.Index(id) >= 0 {
			a.Members = append(a.Members, c.member(id))
		}
	}
	for v := range old.Owners {
		owner, _ := old.Owner(vnode.ID(v))
		a.Owners = append(a.Owners, a.Index(owner.Instance))
	}
	a.Sources = carriedSources(old, a.Members)
	return a
}

// member is the incarnation of a member that is, or asks to be, in force.
func (c *CoordinatorRules) member(id string) vnode.Member {
	if m, heard := c.claims[id]; heard {
		return m.From
	}
	m, _ := c.rec.Assignment.InForce(id)
	return m
}

// owned lists the vnodes of member i.
func owned(a vnode.Assignment, i int) []backend.VnodeRange {
	var list []backend.VnodeRange
	for v, owner := range a.Owners {
		if owner == i {
			list = append(list, backend.VnodeRange{First: v, Last: v})
		}
	}
	return list
}

// carriedSources are the sources of an assignment whose members change. One whose reader is not in force any more waits
// for a new one: vnodes that live on may hold events of it that are not sealed, and no epoch may be without its cut
// (I5). If no vnode lives on, none does, and they leave.
func carriedSources(old vnode.Assignment, members []vnode.Member) []vnode.SourceOwner {
	if !slices.ContainsFunc(old.Members, func(m vnode.Member) bool { return slices.Contains(members, m) }) {
		return nil
	}
	out := slices.Clone(old.Sources)
	for i := range out {
		if s := &out[i]; s.Owner != vnode.Unowned {
			s.Owner = slices.Index(members, old.Members[s.Owner])
		}
	}
	return out
}

// Lacks says who must come before an epoch can be opened; nil if nobody.
func (c *CoordinatorRules) Lacks() error {
	err := lacking(c.rec.Assignment)
	if err != nil && c.conflict != nil {
		return fmt.Errorf("%w: %w", err, c.conflict)
	}
	return err
}

// lacking says what has no owner in an assignment, without which no epoch can be sealed; nil if everything has.
func lacking(a vnode.Assignment) error {
	if v := slices.Index(a.Owners, vnode.Unowned); v >= 0 {
		return fmt.Errorf("vnode %d belongs to nobody", v)
	}
	for _, s := range a.Sources {
		if s.Owner == vnode.Unowned {
			return fmt.Errorf("source %q is read by nobody since its instance restarted: attach it again", s.Source)
		}
	}
	return nil
}

// Conflict says why the claims of the members make no assignment, or not another one; nil if they do.
func (c *CoordinatorRules) Conflict() error { return c.conflict }
