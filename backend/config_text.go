package backend

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Size is a number of bytes, written "64MiB" or as a plain number in a file.
type Size int64

func kindNames() []string      { return []string{"in_process", "local", "object_store"} }
func discoveryNames() []string { return []string{"static", "dynamic"} }
func balanceNames() []string   { return []string{"member", "zone"} }
func sizeUnits() []string      { return []string{"B", "KiB", "MiB", "GiB", "TiB"} }

// String returns the name that a config file uses.
func (k Kind) String() string { return nameOf(int(k), kindNames()) }

// UnmarshalText reads in_process, local or object_store.
func (k *Kind) UnmarshalText(text []byte) error { return parseName((*int)(k), text, kindNames()) }

// String returns the name that a config file uses.
func (d Discovery) String() string { return nameOf(int(d), discoveryNames()) }

// UnmarshalText reads static or dynamic.
func (d *Discovery) UnmarshalText(text []byte) error {
	return parseName((*int)(d), text, discoveryNames())
}

// String returns the name that a config file uses.
func (b Balance) String() string { return nameOf(int(b), balanceNames()) }

// UnmarshalText reads member or zone.
func (b *Balance) UnmarshalText(text []byte) error { return parseName((*int)(b), text, balanceNames()) }

func nameOf(i int, names []string) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}

func parseName(i *int, text []byte, names []string) error {
	found := slices.Index(names, string(text))
	if found < 0 {
		return fmt.Errorf("is none of %s", strings.Join(names, ", "))
	}
	*i = found
	return nil
}

// String prints the size in the largest unit that divides it.
func (s Size) String() string {
	units, u := sizeUnits(), 0
	if s > 0 {
		u = min(bits.TrailingZeros64(uint64(s))/10, len(units)-1)
	}
	return strconv.FormatInt(int64(s)>>(10*u), 10) + units[u]
}

// UnmarshalText reads a whole number with one of the units B, KiB, MiB, GiB, TiB.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BKMGTi")
	u := slices.Index(sizeUnits(), string(text[len(digits):]))
	n, err := strconv.ParseUint(digits, 10, 63)
	if u < 0 || err != nil || n<<(10*u)>>(10*u) != n || int64(n<<(10*u)) < 0 {
		return fmt.Errorf("is no size: want a number and one of %s, as in 64MiB", strings.Join(sizeUnits(), ", "))
	}
	*s = Size(n << (10 * u))
	return nil
}
