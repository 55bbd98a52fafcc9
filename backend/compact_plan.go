package backend

import (
	"cmp"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// Compaction keeps chains short and the store small, beside the vnodes, which only ever write what changed. It folds
// when one of two bounds is passed, and then enough that the work is paid for by what was written since the last:
//
//   - what is not live outweighs half of what is: everything is folded, a part at a time, the oldest bases first. How much
//     is live is estimated from below, as if every entry of a delta stood for one in the bases, and all values were of one
//     size; positions and the like, which every base has, are live. It waits until there is more than [CompactionPolicy.Slack]
//     to win;
//   - the deltas are as many as a chain may have: from the oldest on that weighs less than all newer ones together.
//
// A fold takes time, in which epochs go on. Where that would take them past a harder bound, no epoch is opened before the
// folds are there to enter with it (see [Overdue]): so what a record names is at most twice the live state, or wastes about
// the slack, and no chain is longer than twice [CompactionPolicy.MaxChain] (I8); each part of a fold that was under way by
// then lets one epoch in. Parts, and short chains before them, keep that from happening where what changes is little beside
// what is there.

// CompactionPolicy bounds what compaction lets grow.
type CompactionPolicy struct {
	MaxChain int   // segments in a chain that is to be folded; default 12, at least 3
	Slack    int64 // bytes that may be wasted without a fold; default 256 KiB
	Part     int64 // bytes that a fold takes on, or a 32nd of all, but at least a vnode; default 8 MiB
}

func (p CompactionPolicy) withDefaults() CompactionPolicy {
	if p.MaxChain == 0 {
		p.MaxChain = 12
	}
	if p.Slack == 0 {
		p.Slack = 256 << 10
	}
	if p.Part == 0 {
		p.Part = 8 << 20
	}
	p.MaxChain = max(p.MaxChain, 3)
	return p
}

// maxParts is how many parts the slices of one instance are folded in, and half of the number of bases that they may have.
const maxParts = 32

// FoldPlan says what to fold: of each vnode, the segments among these that need it in the record planned on.
type FoldPlan struct {
	Vnodes   vnode.Set
	Segments []SegmentRef // in the order of the record
}

// weight is a segment as far as it matters to some vnodes.
type weight struct {
	place               int
	vnodes              []vnode.ID // of them, those that need it
	through             vnode.Epoch
	base, newest        bool
	live, dead, entries int64 // dead: of no use to any vnode any more, nor to the newest epoch's emission
}

func (w weight) size() int64 { return w.live + w.dead }

// weigh weighs the segments of the record that any of these vnodes needs.
func weigh(rec *Record, vnodes vnode.Set) []weight {
	var all []weight
	for i := range rec.Segments {
		s := &rec.Segments[i]
		w := weight{place: i, vnodes: shared(s.Vnodes, vnodes), through: s.Through, base: s.From == 0, newest: s.Through == rec.Epoch}
		ours, needed := int64(len(w.vnodes)), int64(s.Vnodes.Len())
		if ours == 0 {
			continue
		}
		share := func(n int64) int64 { return n * ours / needed }
		w.live, w.entries = share(s.Live), share(s.Entries)
		if !w.newest {
			w.dead = share(s.Size - s.Live)
		}
		all = append(all, w)
	}
	return all
}

// shared lists the vnodes that are in both sets.
func shared(a, b vnode.Set) []vnode.ID {
	var both []vnode.ID
	for v := range a.All {
		if b.Has(v) {
			both = append(both, v)
		}
	}
	return both
}

// total adds weights up.
func total(all []weight) weight {
	var t weight
	for _, w := range all {
		t.live, t.dead, t.entries = t.live+w.live, t.dead+w.dead, t.entries+w.entries
	}
	return t
}

// burden is what the chains of some vnodes weigh together.
type burden struct {
	rec                 *Record
	policy              CompactionPolicy
	all, bases, changes []weight
	live                int64 // at least that much of it is
	waste               int64 // the rest
	levels              int   // epochs with which changes end, and one for the bases: no chain is longer
	chain               int   // the longest
}

func burdenOf(rec *Record, vnodes vnode.Set, policy CompactionPolicy) *burden {
	x := &burden{rec: rec, policy: policy.withDefaults(), all: weigh(rec, vnodes)}
	chains := make([]int, rec.Identity.Capacity)
	for _, w := range x.all {
		if w.base {
			x.bases = append(x.bases, w)
		} else {
			x.changes = append(x.changes, w)
		}
		for _, v := range w.vnodes {
			chains[v]++
			x.chain = max(x.chain, chains[v])
		}
	}
	x.levels = 1 + len(levels(x.changes))
	b, d := total(x.bases), total(x.changes)
	if b.entries > 0 {
		replaced := float64(b.live) * float64(d.entries) / float64(b.entries)
		x.live = max(0, b.live+d.live-int64(replaced))
	}
	x.live += x.framing()
	x.waste = b.size() + d.size() - x.live
	return x
}

// framing is what bases hold beside their entries, whenever they are folded: for each vnode as much as in the base that has
// the least, and what its positions can take. What there is more is of vnodes that do not need the bases any more.
func (x *burden) framing() int64 {
	least, vnodes := framed+positioned*int64(len(x.rec.Producers)), 0
	for _, b := range x.bases {
		if !b.newest {
			least, vnodes = min(least, b.dead/int64(len(b.vnodes))), vnodes+len(b.vnodes)
		}
	}
	return least * int64(vnodes)
}

// What a vnode takes in the index of a segment at most, in bytes, and a position.
const (
	framed     = 64
	positioned = 16
)

func (x *burden) size() int64 { return x.live + x.waste }

// part is how many bytes are folded at a time.
func (x *burden) part() int64 { return max(x.policy.Part, x.size()/maxParts) }

// outweighed reports whether everything is to be folded for what that wins.
func (x *burden) outweighed() bool { return 2*x.waste > x.live && x.waste > x.policy.Slack }

// tooHeavy reports whether everything must be folded first: one more delta like the last could take what is stored past
// twice what is live.
func (x *burden) tooHeavy() bool {
	var last int64
	for _, w := range x.all {
		if w.newest {
			last += w.live
		}
	}
	return x.outweighed() && x.waste+last > x.live
}

// PlanCompaction says what of these vnodes is to be folded: nothing, or plans of which each makes a fold. Their vnodes are
// disjoint, and the chains of one have nothing to do with those of another.
func PlanCompaction(rec *Record, vnodes vnode.Set, policy CompactionPolicy) []FoldPlan {
	x := burdenOf(rec, vnodes, policy)
	full := x.levels >= x.policy.MaxChain
	switch {
	case x.tooHeavy(), x.outweighed() && x.size() <= x.part(), full && x.size() <= x.policy.Slack:
		return x.plans(x.all, vnodes)
	case full, x.outweighed() && x.levels > max(2*x.policy.MaxChain/3, 2):
		return x.plans(lightTail(x.changes), vnodes)
	case x.outweighed():
		return x.plans(x.all, x.oldest())
	case len(x.bases) > 2*maxParts:
		return x.plans(x.all, x.lightest())
	}
	return nil
}

// Overdue reports whether what [PlanCompaction] plans for these vnodes, which must be those of one instance, must enter
// with the next epoch: one more delta like the last could take what is stored past twice what is live, or a chain past
// its bound.
func Overdue(rec *Record, vnodes vnode.Set, policy CompactionPolicy) bool {
	x := burdenOf(rec, vnodes, policy)
	return x.tooHeavy() || x.chain >= 2*x.policy.MaxChain
}

// levels says where changes begin that end with one epoch: they are of several vnodes, and count as one.
func levels(changes []weight) []int {
	var begins []int
	for i := range changes {
		if i == 0 || changes[i].through != changes[i-1].through {
			begins = append(begins, i)
		}
	}
	return begins
}

// lightTail returns the newest levels, from the oldest on that weighs less than all newer ones together; half of them if
// there is none such. At least two.
func lightTail(changes []weight) []weight {
	begins := levels(changes)
	for i, begin := range begins[:len(begins)-1] {
		if next := begins[i+1]; total(changes[begin:next]).size() < total(changes[next:]).size() {
			return changes[begin:]
		}
	}
	return changes[begins[max(0, min(len(begins)/2, len(begins)-2))]:]
}

// oldest are the vnodes whose bases are the oldest, as many as make a part; several parts where waste comes near its bound.
func (x *burden) oldest() vnode.Set {
	most := x.part()
	if 4*x.waste > 3*x.live {
		most *= 4
	}
	var chosen vnode.Set
	sizes, size := x.sizes(x.all), int64(0)
	for _, b := range x.bases {
		for _, v := range b.vnodes {
			if size += sizes[v]; size > most && chosen.Len() > 0 {
				return chosen
			}
			chosen.Add(v)
		}
	}
	return chosen
}

// lightest are the vnodes of the lighter half of the bases.
func (x *burden) lightest() vnode.Set {
	var chosen vnode.Set
	bases := slices.SortedFunc(slices.Values(x.bases), func(a, b weight) int { return cmp.Compare(a.live, b.live) })
	for _, b := range bases[:len(bases)/2] {
		for _, v := range b.vnodes {
			chosen.Add(v)
		}
	}
	return chosen
}

// sizes are the bytes that each vnode has in these segments, if those of a segment all have the same.
func (x *burden) sizes(weights []weight) []int64 {
	sizes := make([]int64, x.rec.Identity.Capacity)
	for _, w := range weights {
		for _, v := range w.vnodes {
			sizes[v] += w.size() / int64(len(w.vnodes))
		}
	}
	return sizes
}

// plans cuts these vnodes into even parts and says of each what of these segments it needs.
func (x *burden) plans(weights []weight, vnodes vnode.Set) []FoldPlan {
	sizes, all := x.sizes(weights), int64(0)
	for v := range vnodes.All {
		all += sizes[v]
	}
	parts := max(1, (all+x.part()-1)/x.part())
	var plans []FoldPlan
	var part vnode.Set
	cut := func() {
		if p := x.plan(weights, part); len(p.Segments) > 0 {
			plans = append(plans, p)
		}
		part = nil
	}
	size := int64(0)
	for v := range vnodes.All {
		if size += sizes[v]; part.Len() > 0 && size > (all+parts-1)/parts {
			cut()
			size = sizes[v]
		}
		part.Add(v)
	}
	cut()
	return plans
}

// plan is to fold these segments for those of the vnodes that need them.
func (x *burden) plan(weights []weight, vnodes vnode.Set) FoldPlan {
	var p FoldPlan
	for _, w := range weights {
		s := x.rec.Segments[w.place]
		ours := shared(s.Vnodes, vnodes)
		if len(ours) == 0 {
			continue
		}
		s.Vnodes = s.Vnodes.Clone()
		p.Segments = append(p.Segments, s)
		for _, v := range ours {
			p.Vnodes.Add(v)
		}
	}
	return p
}
