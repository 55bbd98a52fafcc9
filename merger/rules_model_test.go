package merger_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// model says which order is due, from what the rules were told.
type model struct {
	rules    *merger.Rules
	attempts []vnode.Attempt  // sealed and failed, ascending by number
	seals    []*merger.Sealed // that are or will be learned, ascending
	learned  int
	taken    int                               // of the learned
	kept     map[vnode.Attempt]map[string]bool // bytes of the partials that may still be used
	order    string                            // that is being carried out
}

// drawModel draws a history: attempts that sealed, between attempts that did not, some of them of a lower term.
func drawModel(t *rapid.T) *model {
	m := &model{rules: merger.NewRules(0), kept: map[vnode.Attempt]map[string]bool{}}
	vnodes, term := rapid.IntRange(1, 3).Draw(t, "vnodes"), uint64(1)
	for n := range rapid.Uint64Range(1, 8).Draw(t, "attempts") {
		if rapid.Bool().Draw(t, "fails") {
			m.attempts = append(m.attempts, attempt(rapid.Uint64Range(1, term).Draw(t, "term"), n+1))
			continue
		}
		term = rapid.Uint64Range(term, term+1).Draw(t, "term")
		a := attempt(term, n+1)
		m.attempts = append(m.attempts, a)
		s := &merger.Sealed{Epoch: vnode.Epoch(a.Number), Attempt: a}
		for range vnodes {
			s.Tips = append(s.Tips, m.drawSlice(t))
		}
		m.seals = append(m.seals, s)
	}
	return m
}

func (m *model) drawSlice(t *rapid.T) vnode.SliceID {
	return slice(rapid.SampledFrom(m.attempts).Draw(t, "captured for"), rapid.Uint64Range(1, 2).Draw(t, "life"))
}

// drawPartials are some of an attempt: of sealed slices, of others, and of vnodes that are not.
func (m *model) drawPartials(t *rapid.T, a vnode.Attempt) []merger.Partial {
	var right, out []merger.Partial
	if i := slices.IndexFunc(m.seals, func(s *merger.Sealed) bool { return s.Attempt == a }); i >= 0 {
		right = partials(m.seals[i])
	}
	for range rapid.IntRange(0, 4).Draw(t, "partials") {
		if len(right) > 0 && rapid.IntRange(0, 3).Draw(t, "as sealed") > 0 {
			out = append(out, rapid.SampledFrom(right).Draw(t, "partial"))
		} else {
			out = append(out, partial(vnode.ID(rapid.IntRange(0, 3).Draw(t, "vnode")), m.drawSlice(t)))
		}
	}
	return out
}

func (m *model) keep(a vnode.Attempt, parts []merger.Partial) {
	if m.kept[a] == nil {
		m.kept[a] = map[string]bool{}
	}
	for _, p := range parts {
		m.kept[a][string(p.Bytes)] = true
	}
}

// over forgets the attempts below a, but for those that are sealed and wait.
func (m *model) over(below vnode.Attempt) {
	for a := range m.kept {
		waits := slices.ContainsFunc(m.seals[m.taken:m.learned], func(s *merger.Sealed) bool { return s.Attempt == a })
		if a.Compare(below) < 0 && !waits {
			delete(m.kept, a)
		}
	}
}

func (m *model) emitted() vnode.Epoch {
	if m.taken == 0 {
		return 0
	}
	return m.seals[m.taken-1].Epoch
}

// check compares what the rules ordered with what is due now.
func (m *model) check(t *rapid.T, after string, got merger.Order) {
	due := ""
	if m.order == "" && m.taken < m.learned {
		s := m.seals[m.taken]
		m.order, due = fmt.Sprintf("emit %d", s.Epoch), fmt.Sprintf("emit %d", s.Epoch)
		for _, p := range partials(s) {
			if !m.kept[s.Attempt][string(p.Bytes)] {
				m.order, due = fmt.Sprintf("fetch %d", s.Epoch), fmt.Sprintf("fetch %d", s.Epoch)
			}
		}
	}
	want(t, after, got, due)
	if m.rules.Emitted() != m.emitted() || m.rules.Waiting() != m.learned-m.taken {
		t.Fatalf("after %s: got emitted %d and %d waiting, want %d and %d",
			after, m.rules.Emitted(), m.rules.Waiting(), m.emitted(), m.learned-m.taken)
	}
}

func (m *model) partials(t *rapid.T) {
	a := rapid.SampledFrom(m.attempts).Draw(t, "attempt")
	parts := m.drawPartials(t, a)
	if vnode.Epoch(a.Number) > m.emitted() {
		m.over(a)
		m.keep(a, parts)
	}
	m.check(t, fmt.Sprintf("partials of %v", a), m.rules.Partials(a, parts))
}

// learn takes the next seal, or one that was learned before.
func (m *model) learn(t *rapid.T) {
	if len(m.seals) == 0 {
		t.Skip("nothing is sealed")
	}
	i := rapid.IntRange(max(0, m.learned-2), min(m.learned, len(m.seals)-1)).Draw(t, "seal")
	if i == m.learned {
		m.learned++
		m.over(m.seals[i].Attempt)
	}
	m.check(t, fmt.Sprintf("the seal of %d", m.seals[i].Epoch), m.rules.Learn(m.seals[i]))
}

// carryOut ends the order that stands: well, or with something else than was asked for.
func (m *model) carryOut(t *rapid.T, well bool) {
	if m.order == "" {
		t.Skip("no order stands")
	}
	s, was := m.seals[m.taken], m.order
	m.order = ""
	if was == fmt.Sprintf("fetch %d", s.Epoch) {
		parts := partials(s)
		if !well {
			parts = m.drawPartials(t, s.Attempt)
		}
		m.keep(s.Attempt, parts)
		m.check(t, "the fetch", m.rules.Fetched(s, parts))
		return
	}
	e := s.Epoch
	if !well {
		e = vnode.Epoch(rapid.Uint64Range(0, 9).Draw(t, "taken"))
	}
	if e == s.Epoch {
		m.taken++
	}
	m.check(t, fmt.Sprintf("%d taken", e), m.rules.Taken(e))
}

func (m *model) fail(t *rapid.T) {
	if m.order == "" {
		t.Skip("no order stands")
	}
	m.order = ""
	m.rules.Failed()
}

// TestEmitsWhatIsSealedInEveryInterleaving proves I6 for the rules: whatever comes in whatever order, the order given
// is the one due; at most one stands; each epoch is taken once, ascending, from exactly the sealed partials.
func TestEmitsWhatIsSealedInEveryInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"partials": m.partials,
			"learn":    m.learn,
			"well":     func(t *rapid.T) { m.carryOut(t, true) },
			"badly":    func(t *rapid.T) { m.carryOut(t, false) },
			"fail":     m.fail,
			"retry":    func(t *rapid.T) { m.check(t, "a retry", m.rules.Retry()) },
		})
		for ; m.learned < len(m.seals); m.check(t, "a last seal", m.rules.Learn(m.seals[m.learned-1])) {
			m.learned++
			m.over(m.seals[m.learned-1].Attempt)
		}
		for m.check(t, "a last retry", m.rules.Retry()); m.order != ""; {
			m.carryOut(t, true)
		}
		if m.taken != len(m.seals) {
			t.Fatalf("at the end: %d epochs were taken, want all %d", m.taken, len(m.seals))
		}
	})
}
