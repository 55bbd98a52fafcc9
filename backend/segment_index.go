package backend

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/vnode"
)

// append writes the index, uncompressed.
func (x *segmentIndex) append(b []byte) []byte {
	w := indexWriter{buf: b}
	w.meta(x.meta)
	incarnations, attempts := x.tables()
	w.uint(uint64(len(incarnations)))
	for _, id := range incarnations {
		w.buf = append(w.buf, id[:]...)
	}
	w.uint(uint64(len(attempts)))
	for _, a := range attempts {
		w.attempt(a)
	}
	w.uint(uint64(len(x.names)))
	for _, name := range x.names {
		w.text(name)
	}
	w.slices(x, places(incarnations), places(attempts))
	w.frames(x)
	return w.buf
}

// tables lists the distinct incarnations and attempts of all slices and bases, by first use.
func (x *segmentIndex) tables() ([]uuid.UUID, []vnode.Attempt) {
	incarnations, attempts := map[uuid.UUID]int{}, map[vnode.Attempt]int{}
	note := func(s vnode.SliceID) {
		if _, ok := incarnations[s.Life.Incarnation]; !ok {
			incarnations[s.Life.Incarnation] = len(incarnations)
		}
		if _, ok := attempts[s.Attempt]; !ok {
			attempts[s.Attempt] = len(attempts)
		}
	}
	for i := range x.slices {
		note(x.slices[i].Slice)
		note(x.slices[i].Base)
	}
	return listed(incarnations), listed(attempts)
}

// listed turns places into a list, and places turns it back.
func listed[K comparable](at map[K]int) []K {
	list := make([]K, len(at))
	for k, i := range at {
		list[i] = k
	}
	return list
}

func places[K comparable](list []K) map[K]uint64 {
	at := make(map[K]uint64, len(list))
	for i, k := range list {
		at[k] = uint64(i)
	}
	return at
}

// indexWriter appends the parts of an index.
type indexWriter struct{ buf []byte }

func (w *indexWriter) uint(n uint64) { w.buf = binary.AppendUvarint(w.buf, n) }

func (w *indexWriter) text(s string) {
	w.uint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}

func (w *indexWriter) attempt(a vnode.Attempt) {
	w.uint(a.Term)
	w.uint(a.Number)
	w.uint(a.Version)
}

func (w *indexWriter) meta(m SegmentMeta) {
	w.uint(uint64(m.Kind))
	w.uint(uint64(m.Epoch))
	w.uint(uint64(m.Through))
	w.attempt(m.Attempt)
	w.text(m.Writer.Instance)
	w.buf = append(w.buf, m.Writer.Incarnation[:]...)
	w.buf = append(w.buf, m.ID[:]...)
	w.uint(uint64(m.Capacity))
	w.text(m.App)
}

func (w *indexWriter) slices(x *segmentIndex, incarnations map[uuid.UUID]uint64, attempts map[vnode.Attempt]uint64) {
	w.uint(uint64(len(x.slices)))
	column := func(of func(s *SliceInfo) uint64) {
		for i := range x.slices {
			w.uint(of(&x.slices[i]))
		}
	}
	next := uint64(0)
	column(func(s *SliceInfo) uint64 {
		gap := uint64(s.Vnode) - next
		next = uint64(s.Vnode) + 1
		return gap
	})
	for _, id := range []func(s *SliceInfo) vnode.SliceID{
		func(s *SliceInfo) vnode.SliceID { return s.Slice },
		func(s *SliceInfo) vnode.SliceID { return s.Base },
	} {
		column(func(s *SliceInfo) uint64 { return incarnations[id(s).Life.Incarnation] })
		column(func(s *SliceInfo) uint64 { return id(s).Life.N })
		column(func(s *SliceInfo) uint64 { return attempts[id(s).Attempt] })
	}
	column(func(s *SliceInfo) uint64 { return uint64(x.meta.Through - s.From) })
	column(func(s *SliceInfo) uint64 { return uint64(s.Entries) })
	column(func(s *SliceInfo) uint64 { return uint64(s.bytes[deltas].size) })
	column(func(s *SliceInfo) uint64 { return uint64(s.bytes[partials].size) })
	column(func(s *SliceInfo) uint64 { return uint64(len(s.positions)) })
	w.positions(x, func(p indexPosition) uint64 { return p.name })
	w.positions(x, func(p indexPosition) uint64 { return p.at.Generation })
	w.positions(x, func(p indexPosition) uint64 { return p.at.At })
}

func (w *indexWriter) positions(x *segmentIndex, of func(p indexPosition) uint64) {
	for i := range x.slices {
		for _, p := range x.slices[i].positions {
			w.uint(of(p))
		}
	}
}

func (w *indexWriter) frames(x *segmentIndex) {
	for _, frames := range x.frames {
		w.uint(uint64(len(frames)))
	}
	all := slices.Concat(x.frames[:]...)
	for _, f := range all {
		w.uint(uint64(f.slices))
	}
	for _, f := range all {
		w.uint(uint64(f.stored))
	}
	for _, f := range all {
		w.buf = append(w.buf, f.digest[:]...)
	}
}

// errIndex is returned for bytes that are no index.
var errIndex = errors.New("malformed index")

// parseIndex reads an index of a segment whose frames take that many bytes. Every number is checked against what the
// bytes can hold before anything is allocated by it.
func parseIndex(raw []byte, framed int64) (*segmentIndex, error) {
	r := indexReader{rest: raw}
	x := &segmentIndex{meta: r.meta()}
	incarnations := make([]uuid.UUID, r.count(len(uuid.UUID{})))
	for i := range incarnations {
		r.bytes(incarnations[i][:])
	}
	attempts := make([]vnode.Attempt, r.count(3))
	for i := range attempts {
		attempts[i] = r.attempt()
	}
	x.names = make([]string, r.count(1))
	for i := range x.names {
		x.names[i] = r.text()
		r.check(i == 0 || x.names[i-1] < x.names[i])
	}
	r.slices(x, incarnations, attempts)
	r.frames(x, framed)
	r.check(len(r.rest) == 0)
	if r.bad {
		return nil, errIndex
	}
	return x, nil
}

// indexReader takes an index apart. After the first fault it is bad and gives zeros.
type indexReader struct {
	rest []byte
	bad  bool
}

func (r *indexReader) check(ok bool) {
	if !ok {
		r.bad, r.rest = true, nil
	}
}

func (r *indexReader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.check(size > 0)
	if r.bad {
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// upTo reads an integer that is at most limit.
func (r *indexReader) upTo(limit uint64) uint64 {
	n := r.uint()
	r.check(n <= limit)
	if r.bad {
		return 0
	}
	return n
}

// count reads a number of items that take at least that many bytes each.
func (r *indexReader) count(size int) int {
	n := r.upTo(maxIndex)
	r.check(n <= uint64(len(r.rest)/size))
	if r.bad {
		return 0
	}
	return int(n)
}

func (r *indexReader) bytes(into []byte) {
	r.check(len(into) <= len(r.rest))
	if !r.bad {
		copy(into, r.rest)
		r.rest = r.rest[len(into):]
	}
}

func (r *indexReader) text() string {
	b := make([]byte, r.count(1))
	r.bytes(b)
	return string(b)
}

func (r *indexReader) attempt() vnode.Attempt {
	return vnode.Attempt{Term: r.uint(), Number: r.uint(), Version: r.uint()}
}

func (r *indexReader) meta() SegmentMeta {
	var m SegmentMeta
	m.Kind = SegmentKind(r.upTo(math.MaxUint8))
	m.Epoch = vnode.Epoch(r.uint())
	m.Through = vnode.Epoch(r.uint())
	m.Attempt = r.attempt()
	m.Writer.Instance = r.text()
	r.bytes(m.Writer.Incarnation[:])
	r.bytes(m.ID[:])
	m.Capacity = int(r.upTo(vnode.MaxCapacity))
	m.App = r.text()
	r.check(m.Kind == SegmentCapture || m.Kind == SegmentFold)
	return m
}

// sliceColumns is the number of columns that every slice has.
const sliceColumns = 12

func (r *indexReader) slices(x *segmentIndex, incarnations []uuid.UUID, attempts []vnode.Attempt) {
	x.slices = make([]SliceInfo, r.count(sliceColumns))
	column := func(take func(s *SliceInfo)) {
		for i := range x.slices {
			take(&x.slices[i])
		}
	}
	next := uint64(0)
	column(func(s *SliceInfo) {
		next += r.upTo(vnode.MaxCapacity)
		r.check(next < uint64(x.meta.Capacity))
		s.Vnode = vnode.ID(next)
		next++
	})
	for _, id := range []func(s *SliceInfo) *vnode.SliceID{
		func(s *SliceInfo) *vnode.SliceID { return &s.Slice },
		func(s *SliceInfo) *vnode.SliceID { return &s.Base },
	} {
		column(func(s *SliceInfo) { id(s).Life.Incarnation = item(r, incarnations) })
		column(func(s *SliceInfo) { id(s).Life.N = r.uint() })
		column(func(s *SliceInfo) { id(s).Attempt = item(r, attempts) })
	}
	column(func(s *SliceInfo) { s.From = x.meta.Through - vnode.Epoch(r.upTo(uint64(x.meta.Through))) })
	column(func(s *SliceInfo) { s.Entries = int(r.upTo(MaxSlice)) })
	column(func(s *SliceInfo) {
		s.bytes[deltas].size = int(r.upTo(MaxSlice))
		r.check(s.Entries <= s.bytes[deltas].size && (s.Entries > 0) == (s.bytes[deltas].size > 0))
	})
	column(func(s *SliceInfo) { s.bytes[partials].size = int(r.upTo(MaxPartial)) })
	r.positions(x)
}

// positions reads how many each slice has, then what they are.
func (r *indexReader) positions(x *segmentIndex) {
	counts, total := make([]int, len(x.slices)), 0
	for i := range counts {
		counts[i] = r.count(1)
		total += counts[i]
	}
	r.check(total <= len(r.rest)/3)
	if r.bad {
		return
	}
	all := make([]indexPosition, total)
	for i := range all {
		all[i].name = r.uint()
		r.check(all[i].name < uint64(len(x.names)))
	}
	for i := range all {
		all[i].at.Generation = r.uint()
	}
	for i := range all {
		all[i].at.At = r.uint()
	}
	for i, n := range counts {
		x.slices[i].positions, all = all[:n:n], all[n:]
		for j, p := range x.slices[i].positions {
			r.check(j == 0 || x.slices[i].positions[j-1].name < p.name)
		}
	}
}

// item reads a place in a table.
func item[T any](r *indexReader, table []T) T {
	n := r.uint()
	r.check(n < uint64(len(table)))
	if r.bad {
		var zero T
		return zero
	}
	return table[n]
}

// maxRatio is more than zstd can compress: what a frame claims to hold is bounded by what is stored of it.
const maxRatio = 1 << 16

// frames reads the table of frames and lays them side by side behind the magic.
func (r *indexReader) frames(x *segmentIndex, framed int64) {
	d := r.count(2 + len(Digest{}))
	p := r.count(2 + len(Digest{}))
	r.check((d+p)*(2+len(Digest{})) <= len(r.rest))
	if r.bad {
		return
	}
	all := make([]frameInfo, d+p)
	for i := range all {
		all[i].slices = int(r.upTo(vnode.MaxCapacity))
	}
	offset := int64(len(segmentMagic))
	for i := range all {
		all[i].stored = int(r.upTo(uint64(framed)))
		all[i].offset, offset = offset, offset+int64(all[i].stored)
	}
	r.check(offset == framed+int64(len(segmentMagic)))
	for i := range all {
		r.bytes(all[i].digest[:])
	}
	x.frames = [payloads][]frameInfo{all[:d:d], all[d:]}
	r.fill(x, deltas)
	r.fill(x, partials)
}

// fill works out what the frames of a payload hold uncompressed, and where.
func (r *indexReader) fill(x *segmentIndex, of payload) {
	next := 0
	for i := range x.frames[of] {
		f, n := &x.frames[of][i], 0
		for ; n < f.slices && next < len(x.slices); next++ {
			if p := &x.slices[next].bytes[of]; p.size > 0 {
				p.frame, p.at = i, f.raw
				f.raw += p.size
				n++
			}
		}
		r.check(n == f.slices && f.raw > 0 && f.raw/maxRatio <= f.stored)
	}
	for ; next < len(x.slices); next++ {
		r.check(x.slices[next].bytes[of].size == 0)
	}
}
