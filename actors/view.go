package actors

import (
	"slices"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// ViewOf returns what vnodes, sources and producers need of a record. It shares the record's slices.
func ViewOf(r *backend.Record) *vnode.View {
	w := &vnode.View{
		Seq: r.Seq, Term: r.Term, Epoch: r.Epoch, Assignment: r.Assignment, Tips: r.Tips, Cuts: cutsOf(r),
		Generations: make(map[string]uint64, len(r.Producers)), LastGeneration: r.Generation,
	}
	for _, s := range r.Assignment.Sources {
		w.Sources = append(w.Sources, s.Source)
	}
	for _, p := range r.Producers {
		w.Generations[p.Name] = p.Generation
	}
	return w
}

// SealedOf returns what the merger needs of a record that seals an epoch.
func SealedOf(r *backend.Record) *merger.Sealed {
	return &merger.Sealed{Epoch: r.Epoch, Attempt: r.Attempt, Tips: r.Tips, Cuts: cutsOf(r)}
}

// Cuts are the sealed positions of all sources that the newest known record knows, by name; also of those that other
// instances read.
func (in *Instance[K, E, S, R]) Cuts() []backend.Cut { return slices.Clone(in.newest.Load().rec.Cuts) }

func cutsOf(r *backend.Record) map[string]uint64 {
	cuts := make(map[string]uint64, len(r.Cuts))
	for _, c := range r.Cuts {
		cuts[c.Source] = c.At
	}
	return cuts
}
