package backend_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// chainStore is a store of segments and the records over them.
type chainStore struct {
	objects *segmentObjects
	records []*backend.Record
	ids     uint64
}

func newChainStore(t rapid.TB, capacity int) *chainStore {
	t.Helper()
	genesis := &backend.Record{
		Identity: backend.Identity{Format: 1, Capacity: capacity, App: "flights"},
		Tips:     make([]vnode.SliceID, capacity),
	}
	return &chainStore{objects: newSegmentObjects(), records: []*backend.Record{genesis}}
}

func (s *chainStore) newest() *backend.Record { return s.records[len(s.records)-1] }

func (s *chainStore) id() uuid.UUID {
	s.ids++
	id := uuid.UUID{0xf0}
	binary.BigEndian.PutUint64(id[8:], s.ids)
	return id
}

// next is the record that a seal begins with.
func (s *chainStore) next() *backend.Record {
	n := s.newest().Next(segmentWriter, time.Time{})
	n.Nonce = s.id()
	return n
}

// seal puts one segment with a capture of every vnode, and seals it with these folds; it returns which were taken.
func (s *chainStore) seal(t rapid.TB, captures ...backend.Capture) {
	t.Helper()
	attempt := captures[0].Slice.Attempt
	meta := segmentMeta(len(captures), attempt.Number)
	meta.ID = s.id()
	ref := storeSegment(t, s.objects, meta, captures)
	taken := make([]backend.SealedCapture, len(captures))
	for _, c := range captures {
		taken[c.Vnode] = backend.SealedCapture{Slice: c.Slice, Segment: &ref}
	}
	n := s.next()
	if err := backend.SealInto(n, attempt, taken); err != nil {
		t.Fatal(err)
	}
	s.records = append(s.records, n)
}

func (s *chainStore) history(yield func(*backend.Record, error) bool) {
	for i := range s.records {
		if !yield(s.records[len(s.records)-1-i], nil) {
			return
		}
	}
}

// verify returns what Verify reports.
func (s *chainStore) verify(t rapid.TB) []error {
	t.Helper()
	var problems []error
	if _, err := backend.Verify(context.Background(), s.objects, s.history, func(err error) { problems = append(problems, err) }); err != nil {
		t.Fatal(err)
	}
	return problems
}

// compact folds as the plan says into a segment of the next epoch.
func (s *chainStore) compact(t rapid.TB, plan backend.FoldPlan) *backend.Fold {
	t.Helper()
	f, err := backend.Compact(context.Background(), s.objects, s.newest(), plan, func() backend.FoldName {
		return backend.FoldName{Epoch: s.newest().Epoch + 1, ID: s.id(), Writer: segmentWriter}
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func ExampleSegmentRef_Key() {
	ref := backend.SegmentRef{Epoch: 42, Instance: "node-0", ID: uuid.MustParse("0198c5a4-7d1e-7abc-8000-000000000001")}
	fmt.Println(ref.Key())
	// Output: segment/00000000000000000042/node-0-0198c5a4-7d1e-7abc-8000-000000000001
}
