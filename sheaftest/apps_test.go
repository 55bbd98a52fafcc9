package sheaftest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sheaf-go/sheaf"
)

// sale is an event.
type sale struct {
	Shop   string
	Goods  string
	Amount int64
	Tags   []string
}

// shop is the state of a shop.
type shop struct {
	Sales  int64
	Amount int64
	Most   int64
	Goods  map[string]int64
	Last   []string
}

// report is the result.
type report struct {
	Shops  int
	Amount int64
	Most   int64
	Goods  map[string]int64
}

type shops = sheaf.App[string, sale, shop, report]

var errReturned = errors.New("returned goods")

// good is an app that keeps every law.
func good() shops {
	return shops{
		Name:  "shops",
		KeyOf: func(s sale) string { return s.Shop },
		Update: func(turn *sheaf.Turn, s *shop, e sale) error {
			switch {
			case e.Goods == "nothing":
				return errReturned
			case e.Goods == "closing":
				turn.Delete()
				return nil
			case e.Goods == "bomb":
				s.Sales = -1
				panic("a bomb")
			}
			if s.Goods == nil {
				s.Goods = map[string]int64{}
			}
			s.Sales++
			s.Amount += e.Amount
			s.Most = max(s.Most, e.Amount)
			s.Goods[e.Goods]++
			s.Last = e.Tags
			return nil
		},
		Fold: func(r *report, _ string, s *shop) {
			r.Shops++
			r.Amount += s.Amount
			r.Most = max(r.Most, s.Most)
			if r.Goods == nil {
				r.Goods = map[string]int64{}
			}
			for g, n := range s.Goods {
				r.Goods[g] += n
			}
		},
		Merge: func(into *report, from report) {
			into.Shops += from.Shops
			into.Amount += from.Amount
			into.Most = max(into.Most, from.Most)
			if into.Goods == nil {
				into.Goods = from.Goods
				return
			}
			for g, n := range from.Goods {
				into.Goods[g] += n
			}
		},
		DeadLetter: func(sheaf.Rejected[sale]) {},
	}
}

// sell draws a sale.
func sell(r *rand.Rand) sale {
	goods := []string{"apples", "bread", "cheese", "dates"}[r.IntN(4)]
	switch n := r.IntN(100); {
	case n < 1:
		goods = "bomb"
	case n < 6:
		goods = "nothing"
	case n < 12:
		goods = "closing"
	}
	return sale{
		Shop: fmt.Sprint("shop ", r.IntN(5)), Goods: goods,
		Amount: r.Int64N(100), Tags: slices.Repeat([]string{"tag"}, r.IntN(3)),
	}
}

func sales(n int) []sale {
	out := make([]sale, n)
	for i := range out {
		out[i] = sell(rand.New(rand.NewPCG(99, uint64(i))))
	}
	return out
}

// changed is the good app with one thing broken.
func changed(change func(*shops)) shops {
	a := good()
	change(&a)
	return a
}

// after is the good app whose updates do something more when they went well.
func after(more func(s *shop, e *sale) error) shops {
	return changed(func(a *shops) {
		update := a.Update
		a.Update = func(turn *sheaf.Turn, s *shop, e sale) error {
			if err := update(turn, s, e); err != nil {
				return err
			}
			return more(s, &e)
		}
	})
}

func onTime() shops {
	return after(func(s *shop, _ *sale) error { s.Most += int64(time.Now().Day()); return nil })
}

func onGlobal() shops {
	var calls atomic.Int64
	return after(func(s *shop, _ *sale) error { s.Amount += calls.Add(1); return nil })
}

func mutatesThenFails() shops {
	return after(func(s *shop, e *sale) error {
		if e.Amount > 70 {
			return errors.New("too much")
		}
		return nil
	})
}

func firstMerge() shops {
	return changed(func(a *shops) {
		a.Merge = func(into *report, from report) {
			if into.Shops == 0 {
				*into = from
			}
		}
	})
}

// lossy is a codec of shops that drops one of their fields.
func lossy() shops {
	return changed(func(a *shops) { a.StateCodec = lossyCodec{sheaf.CBOR[shop]()} })
}

type lossyCodec struct{ sheaf.Codec[shop] }

func (c lossyCodec) Append(dst []byte, s *shop) ([]byte, error) {
	less := *s
	less.Most = 0
	return c.Codec.Append(dst, &less)
}

// hidden is a state with a field that no encoder sees.
type hidden struct {
	Seen int64
	seen int64
}

func hiding() sheaf.App[string, sale, hidden, int64] {
	return sheaf.App[string, sale, hidden, int64]{
		Name:   "hiding",
		KeyOf:  func(s sale) string { return s.Shop },
		Update: func(_ *sheaf.Turn, s *hidden, e sale) error { s.Seen++; s.seen++; return nil },
	}
}

// cached is a state with a field that no encoder sees and that Equal leaves out, but an update asks.
type cached struct {
	Seen int64
	warm bool
}

func (c cached) Equal(o cached) bool { return c.Seen == o.Seen }

func lazy() sheaf.App[string, sale, cached, int64] {
	return sheaf.App[string, sale, cached, int64]{
		Name:  "lazy",
		KeyOf: func(s sale) string { return s.Shop },
		Update: func(_ *sheaf.Turn, s *cached, _ sale) error {
			if s.Seen++; !s.warm {
				s.Seen, s.warm = s.Seen+100, true
			}
			return nil
		},
	}
}

// mapCodec encodes a map in the order in which it is walked.
type mapCodec struct{}

func (mapCodec) ID() string { return "map" }

func (mapCodec) Append(dst []byte, m *map[string]int64) ([]byte, error) {
	for k, v := range *m {
		dst = append(dst, byte(len(k)))
		dst = binary.BigEndian.AppendUint64(append(dst, k...), uint64(v))
	}
	return dst, nil
}

func (mapCodec) Decode(src []byte, m *map[string]int64) error {
	for *m = map[string]int64{}; len(src) > 0; {
		n := int(src[0])
		(*m)[string(src[1:1+n])] = int64(binary.BigEndian.Uint64(src[1+n:]))
		src = src[9+n:]
	}
	return nil
}

func unordered() sheaf.App[string, sale, map[string]int64, int64] {
	return sheaf.App[string, sale, map[string]int64, int64]{
		Name:  "unordered",
		KeyOf: func(s sale) string { return s.Shop },
		Update: func(_ *sheaf.Turn, s *map[string]int64, e sale) error {
			if *s == nil {
				*s = map[string]int64{}
			}
			(*s)[e.Goods]++
			return nil
		},
		StateCodec: mapCodec{},
	}
}

// rawCodec keeps the bytes that it decodes.
type rawCodec struct{ copies, appends bool }

func (rawCodec) ID() string { return "raw" }

func (c rawCodec) Append(dst []byte, b *[]byte) ([]byte, error) {
	if !c.appends {
		return slices.Clone(*b), nil
	}
	return append(dst, *b...), nil
}

func (c rawCodec) Decode(src []byte, b *[]byte) error {
	if *b = src; c.copies {
		*b = slices.Clone(src)
	}
	return nil
}

func raw(c rawCodec) sheaf.App[string, sale, []byte, int64] {
	return sheaf.App[string, sale, []byte, int64]{
		Name:       "raw",
		KeyOf:      func(s sale) string { return s.Shop },
		Update:     func(_ *sheaf.Turn, s *[]byte, e sale) error { *s = append(*s, e.Goods...); return nil },
		StateCodec: c,
	}
}
