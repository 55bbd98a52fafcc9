package flightstest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// Mismatch is the first difference between an emitted file and the plain program's answer.
type Mismatch struct {
	File string // the file's name
	What string // the part of it that is wrong
	Got  string
	Want string
}

// Error names the file, the part, and both values.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("%s: %s: got %s, want %s", m.File, m.What, m.Got, m.Want)
}

// diffRouteDays returns the first difference, nil if there is none.
func diffRouteDays(got, want flights.RouteDays) *Mismatch {
	if got.Keys != want.Keys {
		return &Mismatch{What: "keys", Got: fmt.Sprint(got.Keys), Want: fmt.Sprint(want.Keys)}
	}
	if got.Flights != want.Flights {
		return &Mismatch{What: "flights", Got: fmt.Sprint(got.Flights), Want: fmt.Sprint(want.Flights)}
	}
	return diffMaps("vnode", got.Vnodes, want.Vnodes)
}

// diffMaps returns the difference at the lowest key that has one, nil if there is none.
func diffMaps[K, V comparable](noun string, got, want map[K]V) *Mismatch {
	wrong := func(key K) bool {
		g, in := got[key]
		w, due := want[key]
		return in != due || g != w
	}
	var keys []K
	for key := range got {
		if wrong(key) {
			keys = append(keys, key)
		}
	}
	for key := range want {
		if wrong(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	first := slices.MinFunc(keys, func(x, y K) int { return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
	return &Mismatch{What: fmt.Sprintf("%s %v", noun, first), Got: show(got, first), Want: show(want, first)}
}

func show[K comparable, V any](m map[K]V, key K) string {
	if v, ok := m[key]; ok {
		return fmt.Sprintf("%+v", v)
	}
	return "none"
}
