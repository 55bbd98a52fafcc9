package merger_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

func attempt(term, number uint64) vnode.Attempt { return vnode.Attempt{Term: term, Number: number} }

// slice is what the n-th life of a vnode captured for an attempt.
func slice(a vnode.Attempt, n uint64) vnode.SliceID {
	return vnode.SliceID{Life: vnode.Life{N: n}, Attempt: a}
}

// partial is the one partial of a slice: its bytes name it.
func partial(v vnode.ID, s vnode.SliceID) merger.Partial {
	return merger.Partial{Vnode: v, Slice: s, Bytes: bytesOf(v, s)}
}

func bytesOf(v vnode.ID, s vnode.SliceID) []byte {
	return fmt.Appendf(nil, "vnode %d, life %d, attempt %v", v, s.Life.N, s.Attempt)
}

// sealed seals an attempt in which every vnode was in its first life.
func sealed(a vnode.Attempt, vnodes int) *merger.Sealed {
	s := &merger.Sealed{Epoch: vnode.Epoch(a.Number), Attempt: a}
	for range vnodes {
		s.Tips = append(s.Tips, slice(a, 1))
	}
	return s
}

// partials are those of exactly the sealed slices.
func partials(s *merger.Sealed) []merger.Partial {
	var out []merger.Partial
	for v, tip := range s.Tips {
		out = append(out, partial(vnode.ID(v), tip))
	}
	return out
}

// want compares an order with the one that is due, written as "emit 3", "fetch 3" or "".
func want(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, after string, got merger.Order, due string,
) {
	t.Helper()
	if text := textOf(got); text != due {
		t.Fatalf("after %s: got order %q, want %q", after, text, due)
	}
	if got.Emit == nil {
		return
	}
	if len(got.Parts) != len(got.Emit.Tips) {
		t.Fatalf("after %s: epoch %d of %d vnodes is emitted from %d partials", after, got.Emit.Epoch, len(got.Emit.Tips), len(got.Parts))
	}
	for v, tip := range got.Emit.Tips {
		if sealed := bytesOf(vnode.ID(v), tip); !bytes.Equal(got.Parts[v], sealed) {
			t.Fatalf("after %s: epoch %d is emitted with %q in place %d, want what was sealed: %q", after, got.Emit.Epoch, got.Parts[v], v, sealed)
		}
	}
}

func textOf(o merger.Order) string {
	switch {
	case o.Emit != nil && o.Fetch != nil:
		return "two at once"
	case o.Emit != nil:
		return fmt.Sprintf("emit %d", o.Emit.Epoch)
	case o.Fetch != nil:
		return fmt.Sprintf("fetch %d", o.Fetch.Epoch)
	case o.Parts != nil:
		return "partials of no epoch"
	}
	return ""
}

// TestEmitsOnlyWhatIsSealed proves I6's "sealed, then seen", with the partials before and after the seal.
func TestEmitsOnlyWhatIsSealed(t *testing.T) {
	s := sealed(attempt(1, 3), 2)
	p := partials(s)

	m := merger.NewRules(2)
	want(t, "all partials, no seal", m.Partials(s.Attempt, p), "")
	want(t, "a retry without a seal", m.Retry(), "")
	want(t, "the seal", m.Learn(s), "emit 3")

	m = merger.NewRules(2)
	want(t, "the seal before any partial", m.Learn(s), "fetch 3")
	want(t, "all partials, while they are fetched", m.Partials(s.Attempt, p), "")
	m.Failed()
	want(t, "the failed fetch", m.Retry(), "emit 3")

	m = merger.NewRules(2)
	want(t, "half before the seal", m.Partials(s.Attempt, p[:1]), "")
	want(t, "the seal", m.Learn(s), "fetch 3")
	want(t, "the other half, while all are fetched", m.Partials(s.Attempt, p[1:]), "")
	want(t, "the fetch", m.Fetched(s, p), "emit 3")
	if m.Emitted() != 2 || m.Waiting() != 1 {
		t.Errorf("while 3 is emitted: got emitted %d and %d waiting, want 2 and 1", m.Emitted(), m.Waiting())
	}
	want(t, "the sinks took 3", m.Taken(3), "")
	if m.Emitted() != 3 || m.Waiting() != 0 {
		t.Errorf("after 3 was taken: got emitted %d and %d waiting, want 3 and 0", m.Emitted(), m.Waiting())
	}
}

// TestEmitsInTheOrderOfEpochs proves I6's order: the partials of a later epoch wait for those of an earlier one.
func TestEmitsInTheOrderOfEpochs(t *testing.T) {
	first, third := sealed(attempt(1, 1), 2), sealed(attempt(2, 3), 2)
	m := merger.NewRules(0)
	want(t, "the seal of 1", m.Learn(first), "fetch 1")
	want(t, "the seal of 3, while 1 is fetched", m.Learn(third), "")
	want(t, "the partials of 3", m.Partials(third.Attempt, partials(third)), "")
	want(t, "the partials of 1", m.Fetched(first, partials(first)), "emit 1")
	want(t, "1 taken", m.Taken(1), "emit 3")
	want(t, "3 taken", m.Taken(3), "")
}

// TestUsesOnlySealedSlices proves that a partial of any other slice is not used (I6).
func TestUsesOnlySealedSlices(t *testing.T) {
	a := attempt(2, 5)
	s := sealed(a, 2)
	s.Tips[1] = slice(attempt(1, 4), 1) // nothing changed in vnode 1 since
	right := partials(s)
	tests := map[string]struct {
		sent merger.Partial
		due  string
	}{
		"the sealed slice":               {right[1], "emit 5"},
		"another life":                   {partial(1, slice(attempt(1, 4), 2)), "fetch 5"},
		"another attempt":                {partial(1, slice(a, 1)), "fetch 5"},
		"another term":                   {partial(1, slice(attempt(2, 4), 1)), "fetch 5"},
		"the empty slice":                {partial(1, vnode.SliceID{}), "fetch 5"},
		"the sealed slice, other vnode":  {partial(0, s.Tips[1]), "fetch 5"},
		"a vnode that is not":            {partial(2, s.Tips[1]), "fetch 5"},
		"the highest vnode that can be":  {partial(vnode.MaxCapacity, s.Tips[1]), "fetch 5"},
		"the partial that is there once": {right[0], "fetch 5"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := merger.NewRules(4)
			m.Partials(a, []merger.Partial{right[0], test.sent})
			want(t, "the seal", m.Learn(s), test.due)
			if test.due == "fetch 5" {
				want(t, "the fetch", m.Fetched(s, right), "emit 5")
			}
		})
	}
}

func TestPartialsOfAnotherAttemptAreNotUsed(t *testing.T) {
	s := sealed(attempt(2, 5), 1)
	m := merger.NewRules(4)
	m.Partials(attempt(3, 5), partials(s))
	want(t, "the seal of another attempt with that number", m.Learn(s), "fetch 5")
}

func TestRepeatedPartialsChangeNothing(t *testing.T) {
	s := sealed(attempt(1, 1), 3)
	p := partials(s)
	m := merger.NewRules(0)
	m.Partials(s.Attempt, p[:2])
	m.Partials(s.Attempt, p[:2])
	want(t, "two of three partials, twice", m.Learn(s), "fetch 1")
	want(t, "all, some for the third time", m.Fetched(s, p), "emit 1")
	want(t, "all again, while 1 is emitted", m.Partials(s.Attempt, p), "")
	want(t, "1 taken", m.Taken(1), "")
	want(t, "all again, after 1 was taken", m.Partials(s.Attempt, p), "")
	want(t, "the seal again", m.Learn(s), "")
	want(t, "a retry", m.Retry(), "")
}

func TestAPartialOfNoBytesCounts(t *testing.T) {
	s := sealed(attempt(1, 1), 2)
	first, second := merger.Partial{Vnode: 0, Slice: s.Tips[0]}, merger.Partial{Vnode: 1, Slice: s.Tips[1]}
	m := merger.NewRules(0)
	m.Partials(s.Attempt, []merger.Partial{first, first})
	want(t, "the empty partial of one vnode of two, twice", m.Learn(s), "fetch 1")
	o := m.Fetched(s, []merger.Partial{second})
	if textOf(o) != "emit 1" || len(o.Parts) != 2 || len(o.Parts[0])+len(o.Parts[1]) != 0 {
		t.Errorf("an empty partial of each of two vnodes: got %q with %q, want \"emit 1\" with two empty partials", textOf(o), o.Parts)
	}
}

func TestAStoreOfNoVnodesEmits(t *testing.T) {
	want(t, "a seal of no vnodes", merger.NewRules(0).Learn(sealed(attempt(1, 1), 0)), "emit 1")
}

func TestSealsThatWereTakenAreIgnored(t *testing.T) {
	m := merger.NewRules(3)
	for _, n := range []uint64{1, 3} {
		want(t, fmt.Sprintf("the seal of %d, behind 3", n), m.Learn(sealed(attempt(1, n), 1)), "")
	}
	s := sealed(attempt(1, 4), 1)
	want(t, "the seal of 4", m.Learn(s), "fetch 4")
	want(t, "the seal of 4 again", m.Learn(s), "")
	if m.Waiting() != 1 {
		t.Errorf("after the seal of 4, twice: got %d epochs waiting, want 1", m.Waiting())
	}
}

func TestAFailedOrderIsGivenAgain(t *testing.T) {
	s := sealed(attempt(1, 1), 2)
	m := merger.NewRules(0)
	want(t, "the seal", m.Learn(s), "fetch 1")
	want(t, "a retry while 1 is fetched", m.Retry(), "")
	m.Failed()
	want(t, "the failed fetch", m.Retry(), "fetch 1")
	want(t, "a fetch of too few", m.Fetched(s, partials(s)[:1]), "fetch 1")
	want(t, "the fetch", m.Fetched(s, partials(s)), "emit 1")
	want(t, "a retry while 1 is emitted", m.Retry(), "")
	for range 3 {
		m.Failed()
		want(t, "a failed sink", m.Retry(), "emit 1")
	}
	if m.Emitted() != 0 {
		t.Errorf("after failed sinks: got emitted %d, want 0", m.Emitted())
	}
}

func TestTakenOfAnotherEpochEmitsNothing(t *testing.T) {
	s := sealed(attempt(1, 2), 1)
	m := merger.NewRules(1)
	want(t, "an epoch taken of which nothing is known", m.Taken(2), "")
	m.Partials(s.Attempt, partials(s))
	want(t, "the seal", m.Learn(s), "emit 2")
	for _, other := range []vnode.Epoch{0, 1, 3} {
		want(t, fmt.Sprintf("%d taken, though 2 was given", other), m.Taken(other), "emit 2")
		if m.Emitted() != 1 {
			t.Fatalf("after %d was taken, though 2 was given: got emitted %d, want 1", other, m.Emitted())
		}
	}
}

// TestForgetsAttemptsThatAreOver proves the bound on partials (I8): only those of sealed epochs that wait, and of
// attempts not below the newest seen, are kept. What was forgotten shows in that it is fetched.
func TestForgetsAttemptsThatAreOver(t *testing.T) {
	low, mid, high := sealed(attempt(1, 1), 1), sealed(attempt(1, 2), 1), sealed(attempt(2, 3), 1)

	m := merger.NewRules(0)
	m.Partials(low.Attempt, partials(low))
	m.Partials(mid.Attempt, partials(mid))
	want(t, "the seal of 1, after partials of attempt 2", m.Learn(low), "fetch 1")

	m = merger.NewRules(0)
	over := sealed(attempt(1, 9), 1) // of a coordinator that was deposed
	m.Partials(over.Attempt, partials(over))
	want(t, "the seal of 3 by a later term", m.Learn(high), "fetch 3")
	m.Fetched(high, partials(high))
	m.Taken(3)
	want(t, "a seal of what was over", m.Learn(over), "fetch 9")

	m = merger.NewRules(0)
	m.Partials(low.Attempt, partials(low))
	want(t, "the seal of 1", m.Learn(low), "emit 1")
	m.Partials(mid.Attempt, partials(mid))
	m.Learn(mid)
	m.Partials(high.Attempt, partials(high))
	m.Failed()
	want(t, "1 failed, after partials of later attempts", m.Retry(), "emit 1")
	want(t, "1 taken, 2 sealed in time", m.Taken(1), "emit 2")
	m.Learn(high)
	want(t, "2 taken, 3 newest", m.Taken(2), "emit 3")
}
