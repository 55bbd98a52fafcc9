package backend

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// VnodeList names vnodes by ranges, in any order.
type VnodeList []VnodeRange

// VnodeRange is the vnodes from First to Last, both included.
type VnodeRange struct {
	First, Last int
}

// ListVnodes returns a list for [Config.Vnodes]; without ranges it is the empty list, a member that owns nothing.
func ListVnodes(ranges ...VnodeRange) *VnodeList {
	l := VnodeList(append([]VnodeRange{}, ranges...))
	return &l
}

// String prints "7" or "8-63".
func (r VnodeRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// String prints "0-2, 7, 8-63".
func (l VnodeList) String() string {
	parts := make([]string, len(l))
	for i, r := range l {
		parts[i] = r.String()
	}
	return strings.Join(parts, ", ")
}

// normal returns the same vnodes as ascending ranges with gaps between them.
func (l VnodeList) normal() VnodeList {
	var n VnodeList
	for _, r := range l.sorted() {
		if last := len(n) - 1; last >= 0 && r.First <= n[last].Last+1 {
			n[last].Last = max(n[last].Last, r.Last)
			continue
		}
		n = append(n, r)
	}
	return n
}

func (l VnodeList) sorted() VnodeList {
	s := slices.Clone(l)
	slices.SortFunc(s, func(a, b VnodeRange) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	return s
}

// check calls report with each range that is not one of the vnodes below capacity, or that overlaps another.
func (l VnodeList) check(capacity int, report func(r VnodeRange, problem string)) {
	var reach VnodeRange // the range that reaches furthest so far
	for i, r := range l.sorted() {
		switch {
		case r.First > r.Last:
			report(r, "ends before it begins")
		case r.First < 0 || r.Last >= capacity:
			report(r, fmt.Sprintf("is out of range 0 to %d (vnode_capacity = %d)", capacity-1, capacity))
		}
		if i > 0 && r.First <= reach.Last {
			report(r, fmt.Sprintf("overlaps %s", reach))
		}
		if i == 0 || r.Last > reach.Last {
			reach = r
		}
	}
}

// decodeVnodes reads a TOML array of numbers and "first-last" strings.
func decodeVnodes(items []any) (*VnodeList, error) {
	list := ListVnodes()
	for _, item := range items {
		r, ok := decodeRange(item)
		if !ok {
			return nil, fmt.Errorf("holds %v: want vnode numbers and ranges, as in [0, 1, \"8-63\"]", item)
		}
		*list = append(*list, r)
	}
	return list, nil
}

func decodeRange(item any) (VnodeRange, bool) {
	switch item := item.(type) {
	case int64:
		return VnodeRange{int(item), int(item)}, int64(int(item)) == item
	case string:
		from, to, _ := strings.Cut(item, "-")
		first, err1 := strconv.ParseUint(from, 10, 31)
		last, err2 := strconv.ParseUint(to, 10, 31)
		return VnodeRange{int(first), int(last)}, err1 == nil && err2 == nil
	default:
		return VnodeRange{}, false
	}
}

// encode is the inverse of decodeVnodes.
func (l VnodeList) encode() []any {
	items := make([]any, len(l))
	for i, r := range l {
		if items[i] = r.String(); r.First == r.Last {
			items[i] = int64(r.First)
		}
	}
	return items
}
