package remote

import (
	"cmp"
	"fmt"
	"slices"
)

// Member is an instance that may take part.
type Member struct {
	Instance string
	Address  string // host:port; empty for an instance that nobody calls
}

// Membership says who is there.
type Membership interface {
	// Self is this instance.
	Self() Member
	// Members are all that are there now, self among them, by instance.
	Members() []Member
}

// Static is a membership that never changes.
type Static struct {
	self    Member
	members []Member
}

var _ Membership = (*Static)(nil)

// NewStatic returns the membership of self and its peers. An instance that is named twice is an error.
func NewStatic(self Member, peers ...Member) (*Static, error) {
	all := append([]Member{self}, peers...)
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Instance, b.Instance) })
	for i := 1; i < len(all); i++ {
		if all[i].Instance == all[i-1].Instance {
			return nil, fmt.Errorf("instance %q is named twice, at %q and %q: every member needs an id of its own",
				all[i].Instance, all[i-1].Address, all[i].Address)
		}
	}
	return &Static{self: self, members: all}, nil
}

// Self is this instance.
func (s *Static) Self() Member { return s.self }

// Members are all members, by instance.
func (s *Static) Members() []Member { return slices.Clone(s.members) }

// Coordinator returns the member that coordinates a static cluster: the merger's instance if one is named, else the
// lowest id. False if the named one is not a member.
func Coordinator(m Membership, merger string) (Member, bool) {
	members := m.Members()
	if merger == "" {
		return members[0], true
	}
	i := slices.IndexFunc(members, func(x Member) bool { return x.Instance == merger })
	if i < 0 {
		return Member{}, false
	}
	return members[i], true
}
