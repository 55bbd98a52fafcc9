package backend_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/recordpb"
	"github.com/sheaf-go/sheaf/vnode"
)

func newCodec(t testing.TB) *backend.RecordCodec {
	t.Helper()
	codec, err := backend.NewRecordCodec()
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

func mustEncode(t testing.TB, codec *backend.RecordCodec, r *backend.Record) []byte {
	t.Helper()
	data, _, err := codec.Encode(r)
	if err != nil {
		t.Fatalf("encode record %d: %v", r.Seq, err)
	}
	return data
}

// goldenRecord is the record that testdata/record-v1.bin holds: every field is set.
func goldenRecord() *backend.Record {
	id := func(b byte) uuid.UUID { return uuid.UUID(bytes.Repeat([]byte{b}, 16)) }
	a, b := vnode.Member{Instance: "node-0", Incarnation: id(1), Address: "10.0.0.1:7070"}, vnode.Member{Instance: "node-1", Incarnation: id(2)}
	attempt := vnode.Attempt{Term: 3, Number: 41, Version: 5}
	slice := func(m vnode.Member, n uint64) vnode.SliceID {
		return vnode.SliceID{Life: vnode.Life{Incarnation: m.Incarnation, N: n}, Attempt: attempt}
	}
	base := backend.SegmentRef{
		Epoch: 40, Instance: "node-0", ID: id(7), Size: 12_345, Footer: backend.Digest{1, 2, 3},
		From: 0, Through: 39, Vnodes: vnode.Set{0b1011}, Live: 900, Entries: 30,
	}
	delta := backend.SegmentRef{
		Prefix: "parent/", Epoch: 41, Instance: "node-1", ID: id(8), Size: 99, Footer: backend.Digest{4},
		From: 40, Through: 41, Vnodes: vnode.Set{0b0100}, Live: 9, Entries: 1,
	}
	return &backend.Record{
		Identity: backend.Identity{
			Format: 1, Capacity: 4, App: "board", KeyCodec: "string", StateCodec: "cbor", ResultCodec: "cbor/2",
			Parent: &backend.Parent{URL: "s3://elsewhere", Seq: 12, Epoch: 9},
		},
		Seq: 77, Prev: backend.Digest{9, 8, 7}, Nonce: id(5), Writer: a,
		Time: time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC),
		Term: 3, Coordinator: a,
		Assignment: vnode.Assignment{
			Version: 5, Members: []vnode.Member{a, b}, Since: []uint64{2, 5}, Owners: []int{0, 1, vnode.Unowned, 0},
			Sources: []vnode.SourceOwner{{Source: "flights-0", Owner: 0}, {Source: "flights-1", Owner: vnode.Unowned}},
		},
		Epoch: 41, Attempt: attempt, High: 43,
		Tips:     []vnode.SliceID{slice(a, 10), slice(b, 4), {}, slice(a, 11)},
		Segments: []backend.SegmentRef{base, delta},
		Cuts:     []backend.Cut{{Source: "flights-0", At: 1000}, {Source: "flights-1", At: 500, Ended: true}},
		Emitted:  40, Producers: []backend.ProducerName{{Name: "clicks", Generation: 2}}, Generation: 6,
		Floor: backend.Floor{K: 2, Seq: 60},
		Pins:  []backend.Pin{{Name: "before-the-upgrade", Seq: 61, Digest: backend.Digest{6, 1}, Epoch: 39}},
	}
}

// golden returns a golden file. UPDATE_GOLDEN=1 writes it first: only a new format may need that.
func golden(t testing.TB, name string, want []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGoldenRecordKeepsItsFormat(t *testing.T) {
	codec := newCodec(t)
	want := goldenRecord()
	encoded := mustEncode(t, codec, want)
	data := golden(t, "record-v1.bin", encoded)
	got, err := codec.Decode(want.Seq, data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Bare(), want) {
		t.Errorf("golden record: got %+v, want %+v", got, want)
	}
	// The compressor may get better; what it compresses may not change.
	goldenBody, err := codec.Body(data)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := codec.Body(encoded); !bytes.Equal(body, goldenBody) {
		t.Errorf("body of the golden record: got %x, want %x", body, goldenBody)
	}
	if !bytes.HasPrefix(data, []byte("SHEAFREC\x01\x00\x00\x00")) {
		t.Errorf("golden record begins with %q, want magic and format 1", data[:12])
	}
}

func TestGoldenFloorKeepsItsFormat(t *testing.T) {
	want := backend.Floor{K: 3, Seq: 1 << 40}
	encoded := backend.EncodeFloor(want)
	if data := golden(t, "floor-v1.bin", encoded); !bytes.Equal(encoded, data) {
		t.Errorf("floor %+v: got %x, want %x", want, encoded, data)
	}
	if got, err := backend.DecodeFloor(3, encoded); err != nil || got != want {
		t.Errorf("floor %+v: got %+v, %v", want, got, err)
	}
	if len(encoded) != 60 {
		t.Errorf("floor has %d bytes, doc.go says 60", len(encoded))
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	codec := newCodec(t)
	rapid.Check(t, func(rt *rapid.T) {
		want := drawRecord(rt)
		data, sum, err := codec.Encode(want)
		if err != nil {
			rt.Fatalf("encode: %v", err)
		}
		again, _, _ := codec.Encode(want)
		if !bytes.Equal(data, again) {
			rt.Fatalf("two encodings of one record differ")
		}
		got, err := codec.Decode(want.Seq, data)
		if err != nil {
			rt.Fatalf("decode: %v", err)
		}
		if next := got.Next(vnode.Member{}, time.Time{}); next.Prev != sum {
			rt.Fatalf("the next record follows %x, want %x", next.Prev, sum)
		}
		if !reflect.DeepEqual(got.Bare(), want) {
			rt.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// drawRecord draws any record that is consistent with itself.
func drawRecord(t *rapid.T) *backend.Record {
	capacity := rapid.IntRange(1, 200).Draw(t, "capacity")
	number, id := rapid.Uint64(), drawUUID()
	epoch := func(name string) vnode.Epoch { return vnode.Epoch(number.Draw(t, name)) }
	seq := rapid.Uint64Range(1, 1<<63).Draw(t, "seq")
	members := drawMembers(t)
	floor := backend.Floor{}
	if rapid.Bool().Draw(t, "raised") {
		floor = backend.Floor{K: max(1, number.Draw(t, "k")), Seq: rapid.Uint64Range(1, seq).Draw(t, "floor")}
	}
	r := &backend.Record{
		Identity: backend.Identity{Format: 1, Capacity: capacity, App: rapid.String().Draw(t, "app")},
		Seq:      seq, Prev: drawDigest(t), Nonce: id.Draw(t, "nonce"), Writer: vnode.Member{Instance: "w", Incarnation: id.Draw(t, "writer")},
		Time:  time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "time"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanos")).UTC(),
		Term:  number.Draw(t, "term"),
		Epoch: epoch("epoch"), Attempt: drawAttempt(t), High: number.Draw(t, "high"), Emitted: epoch("emitted"),
		Assignment: vnode.Assignment{Version: number.Draw(t, "version"), Members: members, Since: drawSince(t, len(members)), Owners: drawOwners(t, capacity, len(members))},
		Tips:       drawTips(t, capacity), Segments: drawSegments(t, capacity),
		Generation: number.Draw(t, "generation"), Floor: floor,
	}
	for _, name := range drawNames(t, "sources") {
		r.Assignment.Sources = append(r.Assignment.Sources, vnode.SourceOwner{Source: name, Owner: drawOwner(t, len(members))})
		r.Cuts = append(r.Cuts, backend.Cut{Source: name, At: number.Draw(t, "at"), Ended: rapid.Bool().Draw(t, "ended")})
	}
	for _, name := range drawNames(t, "producers") {
		r.Producers = append(r.Producers, backend.ProducerName{Name: name, Generation: number.Draw(t, "generation")})
		r.Pins = append(r.Pins, backend.Pin{Name: name, Seq: seq - 1, Digest: backend.Digest{byte(len(name)), 1}, Epoch: epoch("pinned")})
	}
	return r
}

func drawNames(t *rapid.T, what string) []string {
	names := rapid.SliceOfNDistinct(rapid.StringN(1, 8, -1), 0, 4, rapid.ID).Draw(t, what)
	slices.Sort(names)
	return names
}

func drawUUID() *rapid.Generator[uuid.UUID] {
	return rapid.Custom(func(t *rapid.T) uuid.UUID {
		return uuid.UUID(append([]byte{1}, rapid.SliceOfN(rapid.Byte(), 15, 15).Draw(t, "uuid")...))
	})
}

func drawDigest(t *rapid.T) backend.Digest {
	return backend.Digest(append([]byte{1}, rapid.SliceOfN(rapid.Byte(), 31, 31).Draw(t, "digest")...))
}

func drawAttempt(t *rapid.T) vnode.Attempt {
	n := rapid.Uint64()
	return vnode.Attempt{Term: n.Draw(t, "term"), Number: n.Draw(t, "number"), Version: n.Draw(t, "version")}
}

func drawSince(t *rapid.T, n int) []uint64 {
	if n == 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.Uint64(), n, n).Draw(t, "since")
}

func drawMembers(t *rapid.T) []vnode.Member {
	var members []vnode.Member
	for _, name := range drawNames(t, "members") {
		members = append(members, vnode.Member{Instance: name, Incarnation: drawUUID().Draw(t, "incarnation"), Address: rapid.StringMatching(`([a-z0-9.]{1,12}:[0-9]{1,5})?`).Draw(t, "address")})
	}
	return members
}

func drawOwner(t *rapid.T, members int) int {
	return rapid.IntRange(vnode.Unowned, members-1).Draw(t, "owner")
}

func drawOwners(t *rapid.T, capacity, members int) []int {
	owners := make([]int, capacity)
	for v := range owners {
		owners[v] = drawOwner(t, members)
	}
	return owners
}

func drawTips(t *rapid.T, capacity int) []vnode.SliceID {
	lives := rapid.SliceOfN(drawUUID(), 1, 3).Draw(t, "lives")
	tips := make([]vnode.SliceID, capacity)
	for v := range tips {
		if rapid.Bool().Draw(t, "captured") {
			life := vnode.Life{Incarnation: rapid.SampledFrom(lives).Draw(t, "life"), N: rapid.Uint64().Draw(t, "n")}
			tips[v] = vnode.SliceID{Life: life, Attempt: drawAttempt(t)}
		}
	}
	return tips
}

func drawSegments(t *rapid.T, capacity int) []backend.SegmentRef {
	var segments []backend.SegmentRef
	size := rapid.Int64Range(0, 1<<62)
	for through := range rapid.Uint64Range(0, 3).Draw(t, "segments") {
		s := backend.SegmentRef{
			Epoch: vnode.Epoch(rapid.Uint64().Draw(t, "epoch")), Instance: rapid.StringN(1, 9, -1).Draw(t, "instance"),
			ID: drawUUID().Draw(t, "id"), Size: size.Draw(t, "size"), Footer: drawDigest(t),
			From: vnode.Epoch(rapid.Uint64Range(0, through).Draw(t, "from")), Through: vnode.Epoch(through),
			Live: size.Draw(t, "live"), Entries: size.Draw(t, "entries"),
		}
		for _, v := range rapid.SliceOfN(rapid.IntRange(0, capacity-1), 0, 9).Draw(t, "vnodes") {
			s.Vnodes.Add(vnode.ID(v))
		}
		segments = append(segments, s)
	}
	return segments
}

// A record of 4,096 vnodes, 3 instances and 48 live segments stays under 64 KB.
func TestLargeRecordStaysUnder64KB(t *testing.T) {
	const capacity, instances, live, bound = 4096, 3, 48, 64_000
	codec := newCodec(t)
	for _, scattered := range []bool{false, true} {
		r := largeRecord(capacity, instances, live, scattered)
		data := mustEncode(t, codec, r)
		t.Logf("scattered %v: %d bytes", scattered, len(data))
		if len(data) > bound {
			t.Errorf("record of %d vnodes, %d instances and %d segments, scattered %v: %d bytes, want at most %d", capacity, instances, live, scattered, len(data), bound)
		}
	}
}

// largeRecord is what a busy store looks like: lives of consecutive numbers, and segments that are needed by all vnodes
// of their instance or, scattered, by any half of them. Scattered, vnodes also belong to any instance.
func largeRecord(capacity, instances, live int, scattered bool) *backend.Record {
	rng := rand.New(rand.NewPCG(1, 2))
	newID := func() (id uuid.UUID) {
		for i := range id {
			id[i] = byte(rng.Uint32())
		}
		return id
	}
	r := &backend.Record{
		Identity: backend.Identity{Format: 1, Capacity: capacity, App: "routedays", KeyCodec: "string", StateCodec: "cbor", ResultCodec: "cbor"},
		Seq:      1 << 20, Prev: backend.Digest(slices.Concat(make([]byte, 16), []byte("0123456789abcdef"))), Nonce: newID(),
		Epoch: 1 << 20, Attempt: vnode.Attempt{Term: 7, Number: 1 << 20, Version: 9}, High: 1 << 20,
	}
	for i := range instances {
		r.Assignment.Members = append(r.Assignment.Members, vnode.Member{Instance: fmt.Sprintf("node-%d", i), Incarnation: newID()})
	}
	owned := make([]vnode.Set, instances)
	restored := make([]uint64, instances)
	for v := range capacity {
		owner := v % instances
		if scattered {
			owner = rng.IntN(instances)
		}
		owned[owner].Add(vnode.ID(v))
		restored[owner]++
		life := vnode.Life{Incarnation: r.Assignment.Members[owner].Incarnation, N: restored[owner]}
		r.Assignment.Owners = append(r.Assignment.Owners, owner)
		r.Tips = append(r.Tips, vnode.SliceID{Life: life, Attempt: r.Attempt})
	}
	for i := range live {
		through := vnode.Epoch(1<<20 - live + i)
		s := backend.SegmentRef{
			Epoch: through, Instance: fmt.Sprintf("node-%d", i%instances), ID: newID(), Size: rng.Int64N(1 << 30),
			From: through - 1, Through: through, Vnodes: owned[i%instances].Clone(), Live: rng.Int64N(1 << 30), Entries: rng.Int64N(1 << 20),
		}
		for b := range s.Footer {
			s.Footer[b] = byte(rng.Uint32())
		}
		for v := range capacity {
			if scattered && rng.IntN(2) == 0 {
				s.Vnodes.Remove(vnode.ID(v))
			}
		}
		r.Segments = append(r.Segments, s)
	}
	return r
}

// I10: whatever happened to a record's object, reading it says so and names it.
func TestDamagedRecordIsRefusedByName(t *testing.T) {
	codec := newCodec(t)
	r := goldenRecord()
	data := mustEncode(t, codec, r)
	body, err := codec.Body(data)
	if err != nil {
		t.Fatal(err)
	}
	bomb := make([]byte, 17<<20)
	cases := map[string][]byte{
		"empty":         nil,
		"short":         data[:20],
		"truncated":     data[:len(data)-1],
		"longer":        append(slices.Clone(data), 0),
		"wrong magic":   append([]byte("SHEAFFLR"), data[8:]...),
		"format 0":      codec.Wrap(body, 0),
		"no message":    codec.Wrap([]byte("\xff\xff\xff"), 1),
		"too large":     codec.Wrap(bomb, 1),
		"nothing in it": codec.Wrap(nil, 1),
		"unknown field": codec.Wrap(protowire.AppendVarint(protowire.AppendTag(slices.Clone(body), 99, protowire.VarintType), 1), 1),
		"unknown field of a member": codec.Wrap(append(slices.Clone(body),
			protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), protowire.AppendVarint(protowire.AppendTag(nil, 77, protowire.VarintType), 1))...), 1),
	}
	for name, damaged := range cases {
		t.Run(name, func(t *testing.T) { wantCorrupt(t, codec, r.Seq, damaged) })
	}
	t.Run("another's key", func(t *testing.T) { wantCorrupt(t, codec, r.Seq+1, data) })
	for bit := range len(data) * 8 {
		flipped := slices.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		wantCorrupt(t, codec, r.Seq, flipped)
	}
}

// I10: a body that no writer of this format writes is refused, whatever its digest says.
func TestInconsistentBodyIsCorrupt(t *testing.T) {
	codec := newCodec(t)
	body, err := codec.Body(mustEncode(t, codec, goldenRecord()))
	if err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*recordpb.Record){
		"vnode_capacity is 0":      func(m *recordpb.Record) { m.Identity = nil },
		"holds record 78":          func(m *recordpb.Record) { m.Seq = 78 },
		"a UUID of 17 bytes":       func(m *recordpb.Record) { m.Nonce = make([]byte, 17) },
		"a digest of 31 bytes":     func(m *recordpb.Record) { m.Prev = m.Prev[1:] },
		"1000000000 nanoseconds":   func(m *recordpb.Record) { m.TimeNanos = 1e9 },
		"columns of 4, 4 and 3":    func(m *recordpb.Record) { m.Tips.Attempt = m.Tips.Attempt[1:] },
		"incarnation 9 of 3":       func(m *recordpb.Record) { m.Tips.Incarnation[2] = 9 },
		"attempt 9 of 2":           func(m *recordpb.Record) { m.Tips.Attempt[2] = 9 },
		"member 2 of 2":            func(m *recordpb.Record) { m.Assignment.Owners[3] = 3 },
		"a size of 92233720368547": func(m *recordpb.Record) { m.Segments[0].Size = 1 << 63 },
		"a set of vnodes of 2":     func(m *recordpb.Record) { m.Segments[0].Vnodes = []byte{1, 0} },
		"a set of vnodes of 9000":  func(m *recordpb.Record) { m.Segments[0].Vnodes = bytes.Repeat([]byte{1}, 9000) },
		"segment 1 has no name":    func(m *recordpb.Record) { m.Segments[1].Id = nil },
		"tips for 0 vnodes of 4":   func(m *recordpb.Record) { m.Tips = nil },
		"owners for 0 vnodes of 4": func(m *recordpb.Record) { m.Assignment = nil },
	} {
		var m recordpb.Record
		if err := proto.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		spoil(&m)
		spoilt, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = codec.Decode(77, codec.Wrap(spoilt, 1))
		var corrupt *backend.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Reason, want) {
			t.Errorf("body spoilt in %q: got %v", want, err)
		}
	}
}

func wantCorrupt(t *testing.T, codec *backend.RecordCodec, seq uint64, data []byte) {
	t.Helper()
	_, err := codec.Decode(seq, data)
	var corrupt *backend.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Object != fmt.Sprintf("ledger/%020d", seq) {
		t.Fatalf("record %d of %d bytes: got %v, want a CorruptError that names it", seq, len(data), err)
	}
}

func TestNewerRecordIsRefusedAsNewer(t *testing.T) {
	codec := newCodec(t)
	_, err := codec.Decode(7, codec.Wrap([]byte("whatever format 2 may be"), 2))
	var newer *backend.FormatError
	if !errors.As(err, &newer) || newer.Version != 2 || newer.Supported != 1 {
		t.Errorf("record of format 2: got %v, want a FormatError", err)
	}
}

// What a record says must fit together, both when it is written and when it is read.
func TestInconsistentRecordIsRefused(t *testing.T) {
	codec := newCodec(t)
	cases := map[string]func(*backend.Record){
		"capacity":            func(r *backend.Record) { r.Identity.Capacity = 0 },
		"owners":              func(r *backend.Record) { r.Assignment.Owners = r.Assignment.Owners[1:] },
		"member":              func(r *backend.Record) { r.Assignment.Owners[1] = 2 },
		"since when":          func(r *backend.Record) { r.Assignment.Since = r.Assignment.Since[1:] },
		"member -2":           func(r *backend.Record) { r.Assignment.Owners[1] = -2 },
		"flights-0\" belongs": func(r *backend.Record) { r.Assignment.Sources[0].Owner = 2 },
		"tips":                func(r *backend.Record) { r.Tips = r.Tips[1:] },
		"follow":              func(r *backend.Record) { r.Prev = backend.Digest{} },
		"nonce":               func(r *backend.Record) { r.Nonce = uuid.Nil },
		"floor is 78":         func(r *backend.Record) { r.Floor.Seq = 78 },
		"floor number 0":      func(r *backend.Record) { r.Floor.K = 0 },
		"holds vnode 64":      func(r *backend.Record) { r.Segments[0].Vnodes = vnode.Set{0, 1} },
		"segments 0 and 1":    func(r *backend.Record) { slices.Reverse(r.Segments) },
		"above 40 through 3":  func(r *backend.Record) { r.Segments[1].From, r.Segments[1].Through = 40, 3 },
		"members":             func(r *backend.Record) { r.Assignment.Members[1] = r.Assignment.Members[0] },
		"cuts":                func(r *backend.Record) { slices.Reverse(r.Cuts) },
		"pin":                 func(r *backend.Record) { r.Pins[0].Seq = 77 },
		"format 2":            func(r *backend.Record) { r.Identity.Format = 2 },
	}
	for want, spoil := range cases {
		r := goldenRecord()
		spoil(r)
		if _, _, err := codec.Encode(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("record spoilt in %q: got %v", want, err)
		}
	}
}

func TestRecordOverTheBoundIsRefused(t *testing.T) {
	r := goldenRecord()
	r.Identity.App = strings.Repeat("x", 16<<20)
	if _, _, err := newCodec(t).Encode(r); err == nil || !strings.Contains(err.Error(), "the bound is 16777216") {
		t.Errorf("record of more than 16 MiB: got %v, want an error that names the bound", err)
	}
}

// FuzzRecord decodes anything as a record's object: it must not panic.
func FuzzRecord(f *testing.F) {
	codec := newCodec(f)
	seed := golden(f, "record-v1.bin", nil)
	f.Add(seed)
	f.Add(seed[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := codec.Decode(77, data); err == nil && r.Seq != 77 {
			t.Fatalf("record 77 decodes as %d", r.Seq)
		}
	})
}

// FuzzRecordBody decodes anything as the body of a record: it must not panic, and what is accepted must round-trip.
func FuzzRecordBody(f *testing.F) {
	codec := newCodec(f)
	body, err := codec.Body(golden(f, "record-v1.bin", nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := backend.DecodeRecordBody(77, body)
		if err != nil {
			return
		}
		again, err := codec.Decode(77, mustEncode(t, codec, r))
		if err != nil || !reflect.DeepEqual(again.Bare(), r) {
			t.Fatalf("record does not round-trip: %v\ngot  %+v\nwant %+v", err, again, r)
		}
	})
}

func FuzzFloor(f *testing.F) {
	f.Add(golden(f, "floor-v1.bin", nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		floor, err := backend.DecodeFloor(3, data)
		if err == nil && !bytes.Equal(backend.EncodeFloor(floor), data) {
			t.Fatalf("floor %+v does not round-trip from %x", floor, data)
		}
	})
}

func TestDamagedFloorIsRefusedByName(t *testing.T) {
	data := backend.EncodeFloor(backend.Floor{K: 3, Seq: 9})
	check := func(k uint64, data []byte) {
		t.Helper()
		_, err := backend.DecodeFloor(k, data)
		var corrupt *backend.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Object != fmt.Sprintf("ledger/floor/%d", k) {
			t.Errorf("floor %d of %d bytes: got %v, want a CorruptError that names it", k, len(data), err)
		}
	}
	for bit := range len(data) * 8 {
		flipped := slices.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		check(3, flipped)
	}
	check(3, data[:59])
	check(4, data)
	check(3, backend.EncodeFloor(backend.Floor{K: 3}))
	tooLong := binary.LittleEndian.AppendUint32(data, 0)
	check(3, tooLong)
}

func BenchmarkRecord(b *testing.B) {
	codec := newCodec(b)
	r := largeRecord(4096, 3, 48, false)
	data := mustEncode(b, codec, r)
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			mustEncode(b, codec, r)
		}
		b.ReportMetric(float64(len(data)), "B/record")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := codec.Decode(r.Seq, data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
