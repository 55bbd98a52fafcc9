package sheaftest

import (
	"fmt"
	"math/rand/v2"
)

// groupings is how many ways to group keys by vnode are tried on one state of affairs.
const groupings = 8

// results checks the laws of fold, merge and the result codec.
func (l *lawRun[K, E, S, R]) results(m *model[K, E, S, R]) error {
	if l.Fold == nil {
		return nil
	}
	before, err := m.table()
	if err != nil {
		return err
	}
	keys := m.live()
	all, err := m.fold(keys)
	if err != nil {
		return err
	}
	if err := checkCodec("result", l.ResultCodec, &all); err != nil {
		return err
	}
	want, err := l.encodeResult(&all)
	if err != nil {
		return err
	}
	chance := rand.New(rand.NewPCG(l.seed, 1))
	for range groupings {
		chance.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		if err := l.shuffled(m, keys, want); err != nil {
			return err
		}
	}
	for range groupings {
		if err := l.grouped(m, keys, chance, want); err != nil {
			return err
		}
	}
	after, err := m.table()
	if err == nil && !same(before, after) {
		err = broken("a fold changes no state", "the states were %x, after the folds they are %x", before, after)
	}
	return err
}

// shuffled folds the keys in another order.
func (l *lawRun[K, E, S, R]) shuffled(m *model[K, E, S, R], keys []K, want string) error {
	r, err := m.fold(keys)
	if err != nil {
		return err
	}
	got, err := l.encodeResult(&r)
	if err == nil && got != want {
		err = broken("a fold comes to the same in any order of keys", "%s in the order %v, and %s in the order in which they came",
			l.show(got), keys, l.show(want))
	}
	return err
}

// grouped folds the keys by vnode, some of which have none, and merges the partials in order, as the merger does.
func (l *lawRun[K, E, S, R]) grouped(m *model[K, E, S, R], keys []K, chance *rand.Rand, want string) error {
	groups := make([][]K, 1+chance.IntN(6))
	for _, k := range keys {
		v := chance.IntN(len(groups))
		groups[v] = append(groups[v], k)
	}
	var into R
	for _, group := range groups {
		part, err := m.fold(group)
		if err != nil {
			return err
		}
		b, err := l.encodeResult(&part)
		if err != nil {
			return err
		}
		from, err := l.decodeResult(b)
		if err != nil {
			return err
		}
		if err := guarded("Merge", func() error { l.Merge(&into, *from); return nil }); err != nil {
			return err
		}
	}
	got, err := l.encodeResult(&into)
	if err == nil && got != want {
		err = broken("partials of any grouping, merged in order, are the fold of all",
			"the keys grouped as %v came to %s, folded at once to %s", groups, l.show(got), l.show(want))
	}
	return err
}

// show is an encoded result for people.
func (l *lawRun[K, E, S, R]) show(b string) string {
	r, err := l.decodeResult(b)
	if err != nil {
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%+v", *r)
}
