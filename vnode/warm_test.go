package vnode_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/sheaf-go/sheaf/vnode"
)

// TestPlacesMayBeOld warms keys, changes the slice in every way, and upserts them then: what Warm found is a hint.
func TestPlacesMayBeOld(t *testing.T) {
	ops := vnode.NewKeyOps[int64]()
	s := vnode.NewSlice(ops, vnode.CBOR[int64]())
	want := map[int64]int64{}
	r := rand.New(rand.NewPCG(1, 2))
	bound, existed := int64(1), 0
	for round := range 300 {
		bound += int64(r.IntN(200)) // pages double and split
		var keys [vnode.WarmLen]int64
		var hashes [vnode.WarmLen]uint64
		var places [vnode.WarmLen]vnode.Place[int64, int64]
		for i := range keys {
			keys[i] = r.Int64N(bound)
			hashes[i] = ops.Hash(keys[i])
			places[i] = s.PlaceOf(hashes[i])
		}
		if round%2 == 0 {
			s.Warm(places[:])
		}
		for range r.IntN(400) {
			if k := r.Int64N(bound); r.IntN(3) == 0 {
				s.Delete(ops.Hash(k), k)
				delete(want, k)
			} else {
				state, _ := s.Upsert(ops.Hash(k), k)
				*state = int64(round)
				want[k] = *state
			}
		}
		if round%7 == 0 {
			_, mark, err := s.Capture(nil)
			if err != nil {
				t.Fatal(err)
			}
			s.Sealed(mark)
		}
		for i, k := range keys {
			state, there := s.UpsertAt(places[r.IntN(i+1)], hashes[i], k)
			if was, known := want[k]; there != known || *state != was {
				t.Fatalf("round %d: key %d is there: %t, with %d, want %t, %d", round, k, there, *state, known, was)
			}
			if there {
				existed++
			}
			*state++
			want[k] = *state
		}
	}
	if !maps.Equal(contents(s), want) || existed == 0 {
		t.Errorf("%d keys, %d upserts met one, want %d keys", s.Len(), existed, len(want))
	}
}
