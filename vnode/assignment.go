package vnode

import (
	"slices"

	"github.com/google/uuid"
)

// Member is an instance as a record names it: its stable id and the incarnation in force.
type Member struct {
	Instance    string
	Incarnation uuid.UUID
	Address     string // host:port that the other members dial; empty for an instance that nobody calls
}

// Unowned marks a vnode without an owner in [Assignment.Owners].
const Unowned = -1

// Assignment says who owns what. It is immutable once it stands in a record.
type Assignment struct {
	Version uint64
	Members []Member // sorted by instance
	// Since says with which version each member last came, if that is known: an incarnation that was left out for a while
	// has come again, and what it held before is over.
	Since   []uint64
	Owners  []int // one per vnode: an index into Members, or Unowned
	Sources []SourceOwner
}

// SourceOwner names the member that reads a source. Sources are sorted by name.
type SourceOwner struct {
	Source string
	Owner  int // an index into Assignment.Members, or Unowned: nobody reads it now, and no epoch is sealed without it
}

// Owner returns the member that owns v.
func (a Assignment) Owner(v ID) (Member, bool) {
	if int(v) >= len(a.Owners) || a.Owners[v] == Unowned {
		return Member{}, false
	}
	return a.Members[a.Owners[v]], true
}

// Complete reports whether every vnode has an owner.
func (a Assignment) Complete() bool { return !slices.Contains(a.Owners, Unowned) }

// InForce returns the member of an instance id, under the incarnation in force.
func (a Assignment) InForce(instance string) (Member, bool) {
	i := a.Index(instance)
	if i < 0 {
		return Member{}, false
	}
	return a.Members[i], true
}

// Index returns the place of an instance id in Members; -1 if it is none of them.
func (a Assignment) Index(instance string) int {
	return slices.IndexFunc(a.Members, func(m Member) bool { return m.Instance == instance })
}

// LargestZone returns the failure domain that owns most vnodes, and which share of all them is lost with it, 0 to 1. Of
// equal ones it is the first by name.
func LargestZone(a Assignment, zone func(Member) string) (name string, share float64) {
	zones := make([]string, len(a.Members))
	for i, m := range a.Members {
		zones[i] = zone(m)
	}
	owned := map[string]int{}
	for _, o := range a.Owners {
		if o != Unowned {
			owned[zones[o]]++
		}
	}
	for z, n := range owned {
		if most := owned[name]; n > most || n == most && z < name {
			name = z
		}
	}
	return name, float64(owned[name]) / float64(max(len(a.Owners), 1))
}

// SinceOf is the version with which a member last came; 0 if it is none, or that is not known.
func (a Assignment) SinceOf(m Member) uint64 {
	if i := slices.Index(a.Members, m); i >= 0 && i < len(a.Since) {
		return a.Since[i]
	}
	return 0
}

// Follow returns the assignment as the one that follows old: who is not of its members comes with this version.
func (a Assignment) Follow(old Assignment) Assignment {
	a.Since = make([]uint64, len(a.Members))
	for i, m := range a.Members {
		if a.Since[i] = a.Version; slices.Contains(old.Members, m) {
			a.Since[i] = old.SinceOf(m)
		}
	}
	return a
}

// Clone returns an assignment that shares nothing with a.
func (a Assignment) Clone() Assignment {
	a.Members = append([]Member(nil), a.Members...)
	a.Since = append([]uint64(nil), a.Since...)
	a.Owners = append([]int(nil), a.Owners...)
	a.Sources = append([]SourceOwner(nil), a.Sources...)
	return a
}
