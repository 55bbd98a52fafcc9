package vnode

// View is what vnodes, sources and producers need of one ledger record. It is immutable and shared by all that hold it.
type View struct {
	Seq        uint64 // of the record; views are ordered by it
	Term       uint64
	Epoch      Epoch // newest sealed
	Assignment Assignment
	Sources    []string // the assignment's sources, sorted
	Tips       []SliceID
	Cuts       map[string]uint64 // sealed position of every source the store ever saw

	Generations    map[string]uint64 // in force, by plain producer
	LastGeneration uint64            // newest generation that any record gave out
}

// Owns reports whether m, under exactly this incarnation, owns v.
func (w *View) Owns(m Member, v ID) bool {
	owner, ok := w.Assignment.Owner(v)
	return ok && owner == m
}

// HasSource reports whether the assignment names the source.
func (w *View) HasSource(name string) bool {
	for _, s := range w.Sources {
		if s == name {
			return true
		}
	}
	return false
}
