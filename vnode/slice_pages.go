package vnode

import "slices"

// entry is one key of a slice, in a slot of a page. A slot with stamp none is empty.
type entry[K Key, S any] struct {
	stamp stamp
	key   K
	state S
}

// bury turns the entry into a tombstone.
func (e *entry[K, S]) bury(as stamp) { *e = entry[K, S]{stamp: as, key: e.key} }

// stamp says when an entry last changed and lets a probe pass by other keys without a look at them:
//
//	bits 48-63   tag: bits 32-47 of the hash
//	bits 1-47    mark that the next capture had when the entry changed
//	bit 0        whether it was deleted then
type stamp uint64

const (
	none     stamp = 0
	deleted  stamp = 1
	tagMask  stamp = 0xffff << tagShift
	tagShift       = 48
	// loaded is the mark of what came from a sealed slice, so that no stamp of an entry is none.
	loaded Mark = 1
)

func stampOf(m Mark) stamp    { return stamp(m) << 1 }
func tagOf(hash uint64) stamp { return stamp(hash<<16) & tagMask }
func (t stamp) tag() stamp    { return t & tagMask }
func (t stamp) mark() Mark    { return Mark(t &^ tagMask >> 1) }
func (t stamp) deleted() bool { return t&deleted != 0 }
func (t stamp) stands() bool  { return t != none && t&deleted == 0 }

const (
	minSlots = 8
	maxSlots = 4096
	// maxDepth bounds the directory where hashes are alike against all odds; such a page grows above maxSlots.
	maxDepth = 20
	// evenKeys is how many keys a page of maxSlots is meant to have beside others: what chance adds leaves it unsplit.
	evenKeys = maxSlots * 11 / 16
	// blockSlots is the number of slots side by side that share a bit of page.touched.
	blockSlots = maxSlots / 64
)

// page is a small hash table: open addressing, linear probing, entries in the table itself, so that a lookup
// waits for memory once. A removal closes the gap, so there is nothing left of it.
type page[K Key, S any] struct {
	slots   []entry[K, S] // a power of two, at most three quarters taken
	used    int           // tombstones included
	touched uint64        // blocks that may hold an entry changed since the last seal
	depth   uint8         // leading bits of the hash that all its keys share
}

func newPage[K Key, S any](slots int, depth uint8) *page[K, S] {
	return &page[K, S]{slots: make([]entry[K, S], slots), depth: depth}
}

// home uses bits 20-31 of the hash: the low bits chose the vnode, the others tag and directory use.
func (p *page[K, S]) home(hash uint64) uint32 { return uint32(hash) >> 20 & p.last() }

func (p *page[K, S]) last() uint32 { return uint32(len(p.slots) - 1) }

func (p *page[K, S]) next(i uint32) uint32 { return (i + 1) & p.last() }

func (p *page[K, S]) touch(i uint32) { p.touched |= 1 << (i / blockSlots % 64) }

func (p *page[K, S]) touchedAt(i uint32) bool { return p.touched>>(i/blockSlots%64)&1 == 1 }

func (p *page[K, S]) full() bool { return 4*(p.used+1) > 3*len(p.slots) }

// insert takes an empty slot for a key that is not there. There must be one.
func (p *page[K, S]) insert(hash uint64) uint32 {
	i := p.home(hash)
	for p.slots[i].stamp != none {
		i = p.next(i)
	}
	p.used++
	return i
}

// remove empties slot i and pulls the entries behind it forward, as far as their homes allow.
// Knuth, The Art of Computer Programming, vol. 3, 6.4, algorithm R.
func (p *page[K, S]) remove(ops KeyOps[K], i uint32) {
	for j := p.next(i); p.slots[j].stamp != none; j = p.next(j) {
		if (j-p.home(ops.Hash(p.slots[j].key)))&p.last() >= (j-i)&p.last() {
			p.slots[i] = p.slots[j]
			if p.touchedAt(j) {
				p.touch(i)
			}
			i = j
		}
	}
	p.slots[i] = entry[K, S]{}
	p.used--
}

// resize moves the entries into another number of slots.
func (p *page[K, S]) resize(ops KeyOps[K], slots int) {
	old := *p
	*p = *newPage[K, S](slots, p.depth)
	old.move(ops, func(uint64) *page[K, S] { return p })
}

// split keeps the entries whose next hash bit is 0 and returns a page with the others.
func (p *page[K, S]) split(ops KeyOps[K]) *page[K, S] {
	old := *p
	*p = *newPage[K, S](len(old.slots), old.depth+1)
	one := newPage[K, S](len(old.slots), old.depth+1)
	old.move(ops, func(hash uint64) *page[K, S] {
		if hash<<old.depth>>63 == 1 {
			return one
		}
		return p
	})
	return one
}

func (p *page[K, S]) move(ops KeyOps[K], to func(hash uint64) *page[K, S]) {
	for i := range p.slots {
		e := &p.slots[i]
		if e.stamp == none {
			continue
		}
		hash := ops.Hash(e.key)
		q := to(hash)
		at := q.insert(hash)
		q.slots[at] = *e
		if p.touchedAt(uint32(i)) {
			q.touch(at)
		}
	}
}

// changedSince calls yield for each entry with a mark above m, which is sealed, until it returns false. It forgets which
// blocks were touched before.
func (p *page[K, S]) changedSince(m Mark, yield func(*entry[K, S]) bool) bool {
	still := *p
	still.touched = 0
	for i := uint32(0); p.touched != 0 && int(i) < len(p.slots); i++ {
		if !p.touchedAt(i) {
			i |= blockSlots - 1
			continue
		}
		e := &p.slots[i]
		if e.stamp.mark() <= m {
			continue
		}
		still.touch(i)
		if !yield(e) {
			return false
		}
	}
	p.touched = still.touched
	return true
}

// removeTombstones removes those up to mark m, and reports whether others stand.
func (p *page[K, S]) removeTombstones(ops KeyOps[K], m Mark) (others bool) {
	for i := uint32(0); int(i) < len(p.slots); i++ {
		if !p.touchedAt(i) {
			i |= blockSlots - 1
			continue
		}
		for e := &p.slots[i]; e.stamp.deleted() && e.stamp.mark() <= m; {
			p.remove(ops, i) // which may pull another into slot i
		}
		others = others || p.slots[i].stamp.deleted()
	}
	return others
}

// directory finds the page of a hash by its leading bits (extendible hashing: Fagin and others, 1979). A page
// doubles up to maxSlots, then splits, so that no insertion moves more than one page.
type directory[K Key, S any] struct {
	byBits []*page[K, S] // 2^bits; a page of less depth stands there several times
	bits   uint8
	list   []*page[K, S] // each page once
}

// newDirectory has about the pages that it would have if so many keys had been inserted.
func newDirectory[K Key, S any](keys int) directory[K, S] {
	slots, bits := minSlots, uint8(0)
	for 4*keys > 3*slots && slots < maxSlots {
		slots *= 2
	}
	for 4*keys > 3*maxSlots && keys>>bits > evenKeys && bits < maxDepth {
		bits++
	}
	d := directory[K, S]{bits: bits}
	for range 1 << bits {
		d.list = append(d.list, newPage[K, S](slots, bits))
	}
	d.byBits = slices.Clone(d.list)
	return d
}

func (d *directory[K, S]) of(hash uint64) *page[K, S] { return d.byBits[hash>>1>>((63-d.bits)&63)] }

// find returns the page and slot of k, which may be a tombstone.
func (d *directory[K, S]) find(hash uint64, k K) (p *page[K, S], i uint32, found bool) {
	p = d.of(hash)
	tag := tagOf(hash)
	for i = p.home(hash); ; i = p.next(i) {
		e := &p.slots[i]
		if e.stamp == none {
			return p, i, false
		}
		if e.stamp.tag() == tag && e.key == k {
			return p, i, true
		}
	}
}

// insert takes an empty slot for a key that is not there.
func (d *directory[K, S]) insert(ops KeyOps[K], hash uint64) (*page[K, S], uint32) {
	p := d.of(hash)
	for p.full() {
		if len(p.slots) < maxSlots || p.depth == maxDepth {
			p.resize(ops, 2*len(p.slots))
			continue
		}
		d.split(ops, hash, p)
		p = d.of(hash)
	}
	return p, p.insert(hash)
}

func (d *directory[K, S]) split(ops KeyOps[K], hash uint64, p *page[K, S]) {
	one := p.split(ops)
	d.list = append(d.list, one)
	if one.depth > d.bits {
		d.double()
	}
	each := 1 << (d.bits - one.depth)
	first := int(hash>>(64-one.depth)|1) * each
	for i := range each {
		d.byBits[first+i] = one
	}
}

func (d *directory[K, S]) double() {
	old := d.byBits
	d.byBits = make([]*page[K, S], 0, 2*len(old))
	for _, p := range old {
		d.byBits = append(d.byBits, p, p)
	}
	d.bits++
}

// shrink gives back the memory of pages that lost most of their entries.
func (d *directory[K, S]) shrink(ops KeyOps[K]) {
	for _, p := range d.list {
		size := len(p.slots)
		for size > minSlots && 8*p.used < size {
			size /= 2
		}
		if size < len(p.slots) {
			p.resize(ops, size)
		}
	}
}
