package backend_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

func smallSegment() backend.Segment {
	ref := backend.SegmentRef{Epoch: 7, Instance: "a", ID: uuid.Max}
	return backend.Segment{Ref: ref, Data: []byte("a segment")}
}

// TestSegmentStandsAfterAnAnswerWasLost: its name being taken is no failure, if it is taken by the segment itself.
func TestSegmentStandsAfterAnAnswerWasLost(t *testing.T) {
	f := backendtest.NewFaults(backendtest.Open(t, backend.InProcess()).Objects(), 1)
	f.Add(backendtest.Rule{Op: backendtest.Create, Times: 1, After: true})
	if err := smallSegment().Put(t.Context(), f); !errors.Is(err, backend.ErrUnknown) {
		t.Errorf("put whose answer is lost: got %v, want ErrUnknown", err)
	}
	if err := smallSegment().Put(t.Context(), f); err != nil {
		t.Errorf("put of what stands: got %v, want none", err)
	}
}

// I10: what stands in a segment's place and is not the segment is named.
func TestSegmentIsNotTakenForAnother(t *testing.T) {
	store := backendtest.Open(t, backend.InProcess()).Objects()
	s := smallSegment()
	if err := store.Create(t.Context(), s.Ref.Key(), []byte("something else")); err != nil {
		t.Fatal(err)
	}
	var corrupt *backend.CorruptError
	if err := s.Put(t.Context(), store); !errors.As(err, &corrupt) || corrupt.Object != s.Ref.Key() {
		t.Errorf("put over something else: got %v, want a CorruptError of %s", err, s.Ref.Key())
	}
}
