package sheaftest_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/sheaftest"
)

func TestGoodAppKeepsEveryLaw(t *testing.T) {
	sheaftest.Laws(t, good(), sell)
	sheaftest.Laws(t, raw(rawCodec{copies: true, appends: true}), sell, sheaftest.Runs(20))
	sheaftest.Laws(t, good(), sell, sheaftest.Seed(500), sheaftest.Runs(3), sheaftest.Events(500))
}

// wantLaw checks that an app breaks a law, and that the seed in the error finds it again at once.
func wantLaw[K sheaf.Key, E, S, R any](t *testing.T, app sheaf.App[K, E, S, R], gen func(*rand.Rand) E, law string) {
	t.Helper()
	err := sheaftest.CheckLaws(t, app, gen)
	broken, ok := errors.AsType[*sheaftest.LawError](err)
	if !ok || broken.Law != law {
		t.Fatalf("got %v, want the law broken: %s", err, law)
	}
	if broken.Detail == "" || !strings.Contains(err.Error(), "sheaftest.Seed(") {
		t.Errorf("got %q, want the counterexample and the seed", err)
	}
	if len(broken.Events) > 6 {
		t.Errorf("got %d events in the counterexample, want 6 at most: %v", len(broken.Events), broken.Events)
	}
	again := sheaftest.CheckLaws(t, app, gen, sheaftest.Seed(broken.Seed), sheaftest.Runs(1))
	if b, ok := errors.AsType[*sheaftest.LawError](again); !ok || b.Law != law {
		t.Errorf("with seed %d: got %v, want the law broken again", broken.Seed, again)
	}
}

func TestBrokenShopsAreCaught(t *testing.T) {
	var calls atomic.Int64
	cases := map[string]struct {
		app shops
		law string
	}{
		"merge keeps the first": {firstMerge(), "partials of any grouping, merged in order, are the fold of all"},
		"merge counts itself": {changed(func(a *shops) {
			merge := a.Merge
			a.Merge = func(into *report, from report) { merge(into, from); into.Shops++ }
		}), "partials of any grouping, merged in order, are the fold of all"},
		"fold keeps the last": {changed(func(a *shops) {
			a.Fold = func(r *report, _ string, s *shop) { r.Amount = s.Amount }
			a.Merge = func(into *report, from report) { into.Amount = from.Amount }
		}), "a fold comes to the same in any order of keys"},
		"fold changes states": {changed(func(a *shops) {
			fold := a.Fold
			a.Fold = func(r *report, k string, s *shop) { fold(r, k, s); s.Sales = 0 }
		}), "a fold changes no state"},
		"codec drops a field":  {lossy(), "a state that was encoded and decoded is the same"},
		"update asks the time": {onTime(), "an update depends on its arguments alone"},
		"update has a global":  {onGlobal(), "an update depends on its arguments alone"},
		"update draws": {
			after(func(s *shop, _ *sale) error { s.Amount += rand.Int64N(1 << 40); return nil }),
			"an update depends on its arguments alone",
		},
		"update fails late": {mutatesThenFails(), "an update that returns an error leaves the state as it was"},
		"update changes its event": {
			after(func(_ *shop, e *sale) error {
				if len(e.Tags) > 0 {
					e.Tags[0] = "changed"
				}
				return nil
			}), "an update leaves its event as it was",
		},
		"key from elsewhere": {changed(func(a *shops) {
			a.KeyOf = func(s sale) string { return s.Shop + string(rune('a'+calls.Add(1)%7)) }
		}), "KeyOf depends on the event alone"},
		"fold panics": {changed(func(a *shops) {
			a.Fold = func(*report, string, *shop) { panic("no") }
		}), "no function of the app panics or fails"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantLaw(t, c.app, sell, c.law) })
	}
}

func TestBrokenCodecsAreCaught(t *testing.T) {
	t.Run("a hidden field", func(t *testing.T) { wantLaw(t, hiding(), sell, "a state that was encoded and decoded is the same") })
	t.Run("map order", func(t *testing.T) { wantLaw(t, unordered(), sell, "equal states have equal bytes") })
	t.Run("lazy", func(t *testing.T) { wantLaw(t, lazy(), sell, "a state goes on as before once encoded and decoded") })
	t.Run("bytes kept", func(t *testing.T) {
		wantLaw(t, raw(rawCodec{appends: true}), sell, "a decoded state shares nothing with the bytes")
	})
	t.Run("bytes replaced", func(t *testing.T) {
		wantLaw(t, raw(rawCodec{copies: true}), sell, "the encoder of states appends")
	})
}

func TestGeneratorThatIgnoresItsChanceIsCaught(t *testing.T) {
	err := sheaftest.CheckLaws(t, good(), func(*rand.Rand) sale { return sale{Shop: "a", Amount: rand.Int64()} })
	if broken, ok := errors.AsType[*sheaftest.LawError](err); !ok || broken.Law != "the generator depends on its Rand alone" {
		t.Errorf("got %v, want that the generator is at fault", err)
	}
}
