package vnode

import "github.com/google/uuid"

// Member is an instance as a record names it: its stable id and the incarnation in force.
type Member struct {
	Instance    string
	Incarnation uuid.UUID
}

// Unowned marks a vnode without an owner in [Assignment.Owners].
const Unowned = -1

// Assignment says who owns what. It is immutable once it stands in a record.
type Assignment struct {
	Version uint64
	Members []Member // sorted by instance
	Owners  []int    // one per vnode: an index into Members, or Unowned
	Sources []SourceOwner
}

// SourceOwner names the member that reads a source. Sources are sorted by name.
type SourceOwner struct {
	Source string
	Owner  int // an index into Assignment.Members
}

// Owner returns the member that owns v.
func (a Assignment) Owner(v ID) (Member, bool) {
	if int(v) >= len(a.Owners) || a.Owners[v] == Unowned {
		return Member{}, false
	}
	return a.Members[a.Owners[v]], true
}

// Clone returns an assignment that shares nothing with a.
func (a Assignment) Clone() Assignment {
	a.Members = append([]Member(nil), a.Members...)
	a.Owners = append([]int(nil), a.Owners...)
	a.Sources = append([]SourceOwner(nil), a.Sources...)
	return a
}
