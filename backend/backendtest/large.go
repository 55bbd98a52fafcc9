package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
)

// largeData is 20 MiB, which the drivers of object stores write in several requests.
func largeData(seed uint64) []byte {
	data := make([]byte, 20<<20)
	r := rand.New(rand.NewPCG(3, seed))
	for i := 0; i < len(data); i += 8 {
		data[i], data[i+3] = byte(r.Uint32()), byte(i>>16)
	}
	return data
}

func largeObject(t *testing.T, store backend.Objects) {
	data := largeData(1)
	if err := store.Create(t.Context(), "segment/1/large", data); err != nil {
		t.Fatalf("create of 20 MiB: %v", err)
	}
	if err := store.Create(t.Context(), "segment/1/large", data[1:]); !errors.Is(err, backend.ErrExists) {
		t.Errorf("second create of 20 MiB: got %v, want ErrExists", err)
	}
	got, err := store.Get(t.Context(), "segment/1/large", backend.Range{})
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("get of 20 MiB: got %d bytes, %v, want those written", len(got), err)
	}
	got, err = store.Get(t.Context(), "segment/1/large", backend.Range{Offset: 17 << 20, Size: 12345})
	if err != nil || !bytes.Equal(got, data[17<<20:17<<20+12345]) {
		t.Errorf("get of a range of 20 MiB: got %d bytes, %v, want those written", len(got), err)
	}
}

// oneLargeCreatorWins: the condition holds for an object that is written in parts, too.
func oneLargeCreatorWins(t *testing.T, store backend.Objects) {
	var data [4][]byte
	for i := range data {
		data[i] = largeData(uint64(i))
	}
	for round := range 2 {
		raceToCreate(t, store, fmt.Sprintf("segment/2/large-%d", round), len(data), func(racer int) []byte { return data[racer] })
	}
}

// cancelledLarge cancels creates at several moments and repeats each. Parts that were left behind are no object, and
// take nobody's name.
func cancelledLarge(t *testing.T, store backend.Objects) {
	data := largeData(2)
	for i := range 8 {
		key := fmt.Sprintf("segment/3/cancelled-%d", i)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Millisecond)
		first := store.Create(ctx, key, data)
		cancel()
		again := store.Create(t.Context(), key, data)
		landed := first == nil || errors.Is(first, backend.ErrUnknown)
		if again != nil && !(landed && errors.Is(again, backend.ErrExists)) {
			t.Errorf("create %s: got %v, and %v when it is repeated", key, first, again)
		}
		if got, err := store.Get(t.Context(), key, backend.Range{}); err != nil || !bytes.Equal(got, data) {
			t.Errorf("get %s, cancelled (%v) and created again (%v): got %d bytes, %v", key, first, again, len(got), err)
		}
	}
}
