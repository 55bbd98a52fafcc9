package flights

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/sheaf-go/sheaf/vnode"
)

// RouteDay is the key of the routedays job: origin (4 bytes), destination (4 bytes), date (4 bytes, big endian).
// Keys in the order of their bytes are ordered by route, then date.
type RouteDay [12]byte

// RouteDayKey is the route and the date of a flight.
func RouteDayKey(f Flight) (k RouteDay) {
	copy(k[0:4], f.Origin[:])
	copy(k[4:8], f.Destination[:])
	binary.BigEndian.PutUint32(k[8:12], uint32(f.Date()))
	return k
}

// Split returns what the key is made of.
func (k RouteDay) Split() (origin, destination Airport, date Date) {
	return Airport(k[0:4]), Airport(k[4:8]), Date(binary.BigEndian.Uint32(k[8:12]))
}

// String returns the key as ORD-LGA-2001-01-31.
func (k RouteDay) String() string {
	origin, destination, date := k.Split()
	return fmt.Sprintf("%s-%s-%s", origin, destination, date)
}

// RouteDayState is what routedays keeps of a route on a day.
type RouteDayState struct {
	Flights  int64 `json:"flights"`
	DelaySum int64 `json:"delay_sum"` // minutes
}

// Add counts a flight.
func (s *RouteDayState) Add(f Flight) {
	s.Flights++
	s.DelaySum += int64(f.Delay)
}

// Digest is a hash of a set of keys and their states: the sum of the hash of each, so that no order matters.
type Digest uint64

// DigestOf returns the digest of one key: xxh3_64 of its bytes, flights and delay sum (8 bytes each, little endian).
func DigestOf(key RouteDay, s RouteDayState) Digest {
	var b [28]byte
	copy(b[:], key[:])
	binary.LittleEndian.PutUint64(b[12:], uint64(s.Flights))
	binary.LittleEndian.PutUint64(b[20:], uint64(s.DelaySum))
	return Digest(xxh3.Hash(b[:]))
}

// String returns 16 hexadecimal digits.
func (d Digest) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// MarshalText returns 16 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts 16 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	var v uint64
	if _, err := fmt.Sscanf(string(text), "%016x", &v); err != nil || Digest(v).String() != string(text) {
		return fmt.Errorf("digest %q: want 16 hexadecimal digits", text)
	}
	*d = Digest(v)
	return nil
}

// RouteDays is the result of the routedays job.
type RouteDays struct {
	Keys    int64               `json:"keys"`
	Flights int64               `json:"flights"`
	Vnodes  map[vnode.ID]Digest `json:"vnodes"` // vnodes without a key are left out
}

// RouteDaysFold returns the fold of routedays for a store of that many vnodes: it adds one key to a result.
func RouteDaysFold(capacity int) func(r *RouteDays, key RouteDay, s *RouteDayState) {
	ops := vnode.NewKeyOps[RouteDay]()
	return func(r *RouteDays, key RouteDay, s *RouteDayState) {
		r.Keys++
		r.Flights += s.Flights
		if r.Vnodes == nil {
			r.Vnodes = make(map[vnode.ID]Digest, 1)
		}
		r.Vnodes[vnode.Of(ops.Hash(key), capacity)] += DigestOf(key, *s)
	}
}

// MergeRouteDays adds all of from to into.
func MergeRouteDays(into *RouteDays, from RouteDays) {
	into.Keys += from.Keys
	into.Flights += from.Flights
	if into.Vnodes == nil && len(from.Vnodes) > 0 {
		into.Vnodes = make(map[vnode.ID]Digest)
	}
	for id, digest := range from.Vnodes {
		into.Vnodes[id] += digest
	}
}

var (
	_ vnode.Codec[RouteDayState] = RouteDayStateCodec{}
	_ vnode.Codec[RouteDays]     = RouteDaysCodec{}
)

// RouteDayStateCodec writes the two fields as varints.
type RouteDayStateCodec struct{}

// ID names the encoding.
func (RouteDayStateCodec) ID() string { return "flights/routeday-state/1" }

// Append appends s to dst.
func (RouteDayStateCodec) Append(dst []byte, s *RouteDayState) ([]byte, error) {
	return binary.AppendVarint(binary.AppendVarint(dst, s.Flights), s.DelaySum), nil
}

// Decode reads into s the state that src is.
func (RouteDayStateCodec) Decode(src []byte, s *RouteDayState) error {
	f := fields{bytes: src}
	*s = RouteDayState{Flights: f.varint(), DelaySum: f.varint()}
	return f.end("route day state")
}

// RouteDaysCodec writes keys and flights as varints, then for each vnode in ascending order its id (a uvarint) and digest (8 bytes, little endian).
type RouteDaysCodec struct{}

// ID names the encoding.
func (RouteDaysCodec) ID() string { return "flights/routedays/1" }

// Append appends r to dst.
func (RouteDaysCodec) Append(dst []byte, r *RouteDays) ([]byte, error) {
	dst = binary.AppendVarint(binary.AppendVarint(dst, r.Keys), r.Flights)
	for _, id := range slices.Sorted(maps.Keys(r.Vnodes)) {
		dst = binary.AppendUvarint(dst, uint64(id))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Vnodes[id]))
	}
	return dst, nil
}

// Decode reads into r the result that src is.
func (RouteDaysCodec) Decode(src []byte, r *RouteDays) error {
	f := fields{bytes: src}
	*r = RouteDays{Keys: f.varint(), Flights: f.varint()}
	for last := -1; len(f.bytes) > 0; {
		id := f.uvarint()
		if id >= vnode.MaxCapacity || int(id) <= last {
			return fmt.Errorf("decode route days: vnode %d behind %d: %w", id, last, ErrEncoding)
		}
		last = int(id)
		if digest := f.raw(8); digest != nil {
			if r.Vnodes == nil {
				r.Vnodes = make(map[vnode.ID]Digest)
			}
			r.Vnodes[vnode.ID(id)] = Digest(binary.LittleEndian.Uint64(digest))
		}
	}
	return f.end("route days")
}
