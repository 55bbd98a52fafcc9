package remote

import (
	"cmp"
	"fmt"
	"slices"
)

// Static is the list of the members of a static cluster. It never changes.
type Static struct {
	self    Member
	members []Member
}

// NewStatic returns the list of self and its peers. An instance that is named twice is an error.
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
func Coordinator(s *Static, merger string) (Member, bool) {
	members := s.Members()
	if merger == "" {
		return members[0], true
	}
	i := slices.IndexFunc(members, func(x Member) bool { return x.Instance == merger })
	if i < 0 {
		return Member{}, false
	}
	return members[i], true
}
