package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf/backend"
)

// seat is the place of a process among the members of a cluster.
type seat struct {
	id     string
	ids    []string // of all members, ascending
	merger string   // who coordinates, merges and emits
	// elastic: members come and go, so that any may merge, and each can read all sources.
	elastic bool
}

// alone is the seat of a process that has no others.
func alone() seat { return seat{ids: []string{""}} }

// seatOf finds the seat that a config names.
func seatOf(c backend.Config) (seat, error) {
	switch {
	case c.Backend != backend.KindObjectStore:
		return seat{}, errors.New(`a member's config says backend = "object_store"`)
	case c.Discovery == backend.DiscoveryDynamic:
		return seat{id: c.Instance(), elastic: true}, nil
	}
	s := seat{id: c.Instance(), ids: []string{c.Instance()}}
	for _, peer := range c.SeedPeers {
		if id, _, _ := strings.Cut(peer, "="); !slices.Contains(s.ids, id) {
			s.ids = append(s.ids, id)
		}
	}
	slices.Sort(s.ids)
	s.merger = cmp.Or(c.MergerInstance, s.ids[0])
	return s, nil
}

func (s seat) alone() bool { return s.id == "" }

// merges reports whether results come to this member, or may.
func (s seat) merges() bool { return s.elastic || s.id == s.merger }

// reads reports whether this member attaches a source: source i is dealt to member i mod n, of n in the order of their ids.
// Of those that attach it in an elastic cluster the assignment names one.
func (s seat) reads(source int) bool { return s.elastic || s.ids[source%len(s.ids)] == s.id }
