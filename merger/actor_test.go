package merger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// TestSinksTakeEachEpochOnceInOrder proves I6 for sinks of which one fails: it is asked again until it heals, those
// before it are not asked for the same epoch again, and those after it wait.
func TestSinksTakeEachEpochOnceInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		before, sick, behind := newRecorder(nil), newRecorder(failing(3)), newRecorder(nil)
		r.app.Sinks = []merger.Sink[words]{before, sick, behind}
		r.start()
		r.seal(1, 2, 4)
		wantOffers(t, "the sink before, while the next fails,", before, 1)
		wantOffers(t, "the sink behind, while the one before fails,", behind)
		r.wantEmitted()
		r.after(time.Second)
		wantOffers(t, "the sink before", before, 1, 2, 4)
		wantOffers(t, "the sink that failed", sick, 1, 1, 1, 1, 2, 4)
		wantOffers(t, "the sink behind", behind, 1, 2, 4)
		r.wantEmitted(1, 2, 4)
		down := "1: sink 1: down"
		r.wantTold(down, down, down, "1: <nil>", "2: <nil>", "4: <nil>")
		r.wantFetches() // every partial was sent
	})
}

// TestGivesOneResultAtATime proves that while a sink works, nothing else is given to any sink, whatever comes.
func TestGivesOneResultAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		done := make(chan struct{})
		slow := newRecorder(func(merger.Result[words]) error { <-done; return nil })
		behind := newRecorder(nil)
		r.app.Sinks = []merger.Sink[words]{slow, behind}
		r.start()
		r.seal(1, 2, 3)
		r.seal(1)
		r.after(time.Hour)
		wantOffers(t, "a sink that works", slow, 1)
		wantOffers(t, "the sink behind one that works", behind)
		r.wantEmitted()
		close(done)
		synctest.Wait()
		wantOffers(t, "the sink that worked", slow, 1, 2, 3)
		wantOffers(t, "the sink behind", behind, 1, 2, 3)
		r.wantEmitted(1, 2, 3)
	})
}

func TestWithoutSinksEveryEpochIsEmitted(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		r.start()
		r.seal(1, 2)
		r.wantEmitted(1, 2)
	})
}

// TestTriesAgainLaterEachTime proves that neither news nor a queue makes a sink that fails be asked sooner.
func TestTriesAgainLaterEachTime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		sick := newRecorder(failing(12))
		r.app.Sinks = []merger.Sink[words]{sick}
		r.start()
		r.seal(1, 2, 3)
		r.after(30 * time.Millisecond)
		r.seal(4, 5)
		r.after(time.Minute)
		wantOffers(t, "the sink", sick, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5)
		due, pause := []time.Duration{0}, 20*time.Millisecond
		for i := range 12 {
			due = append(due, due[i]+pause)
			pause = min(2*pause, 5*time.Second)
		}
		if got := sick.times(1); !slices.Equal(got, due) {
			t.Errorf("a sink that fails 12 times was asked at %v, want %v", got, due)
		}
	})
}

func TestThePauseStartsShortAgainAfterSuccess(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		first, second := failing(4), failing(1)
		sick := newRecorder(func(r merger.Result[words]) error {
			if r.Epoch == 1 {
				return first(r)
			}
			return second(r)
		})
		r.app.Sinks = []merger.Sink[words]{sick}
		r.start()
		r.seal(1)
		r.after(time.Second)
		r.seal(2)
		r.after(time.Second)
		if got, due := sick.times(2), []time.Duration{time.Second, 1020 * time.Millisecond}; !slices.Equal(got, due) {
			t.Errorf("a sink that healed and fails once more was asked at %v, want %v", got, due)
		}
	})
}

// oddCodec is the results' codec with other functions where they are set.
type oddCodec struct {
	vnode.Codec[words]
	append func([]byte, *words) ([]byte, error)
	decode func([]byte, *words) error
}

func (c oddCodec) Append(dst []byte, v *words) ([]byte, error) { return c.append(dst, v) }

func (c oddCodec) Decode(src []byte, v *words) error { return c.decode(src, v) }

// TestMistakesOfTheAppAreErrors proves that whatever the app's functions do, the merger tells it and tries again.
func TestMistakesOfTheAppAreErrors(t *testing.T) {
	cbor := vnode.CBOR[words]()
	tests := map[string]struct {
		spoil func(r *rig, once func() bool) // once is true the first time
		told  string
	}{
		"sink panics": {func(r *rig, once func() bool) {
			r.app.Sinks[0] = merger.SinkFunc[words](func(context.Context, merger.Result[words]) error {
				if once() {
					panic("ouch")
				}
				return nil
			})
		}, "1: sink 0: sink panicked: ouch"},
		"merge panics": {func(r *rig, once func() bool) {
			r.app.Merge = func(into *words, from words) {
				if once() {
					panic("ouch")
				}
				appendWords(into, from)
			}
		}, "1: merge panicked: ouch"},
		"partial does not decode": {func(r *rig, once func() bool) {
			r.app.Codec = oddCodec{cbor, cbor.Append, func(src []byte, v *words) error {
				if once() {
					return errDown
				}
				return cbor.Decode(src, v)
			}}
		}, "1: decode the partial of vnode 0: down"},
		"codec panics": {func(r *rig, once func() bool) {
			r.app.Codec = oddCodec{cbor, cbor.Append, func(src []byte, v *words) error {
				if once() {
					panic("ouch")
				}
				return cbor.Decode(src, v)
			}}
		}, "1: merge panicked: ouch"},
		"result does not encode": {func(r *rig, once func() bool) {
			r.app.Codec = oddCodec{cbor, func(dst []byte, v *words) ([]byte, error) {
				if once() {
					return nil, errDown
				}
				return cbor.Append(dst, v)
			}, cbor.Decode}
		}, "1: down"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				last, asked := newRecorder(nil), 0
				r.app.Sinks = []merger.Sink[words]{newRecorder(nil), last}
				test.spoil(r, func() bool { asked++; return asked == 1 })
				r.start()
				r.seal(1)
				r.wantTold(test.told)
				wantOffers(t, "the last sink, before another try,", last)
				r.after(20 * time.Millisecond)
				r.wantTold(test.told, "1: <nil>")
				r.wantEmitted(1)
				wantOffers(t, "the last sink", last, 1)
			})
		})
	}
}

// TestAMergeThatFailsBetweenTriesOffersNothingAgain proves that the merger knows which sinks took an epoch though a
// later try did not come as far as them.
func TestAMergeThatFailsBetweenTriesOffersNothingAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		first, second, merges := newRecorder(nil), newRecorder(failing(1)), 0
		r.app.Sinks = []merger.Sink[words]{first, second}
		r.app.Merge = func(into *words, from words) {
			if merges++; merges == 3 { // of two vnodes: the second try
				panic("ouch")
			}
			appendWords(into, from)
		}
		r.start()
		r.seal(1)
		r.after(time.Second)
		wantOffers(t, "the sink that took it", first, 1)
		wantOffers(t, "the sink that failed", second, 1, 1)
		r.wantTold("1: sink 1: down", "1: merge panicked: ouch", "1: <nil>")
		r.wantEmitted(1)
	})
}

// TestMergesInAscendingOrderOfVnodes proves that a result does not depend on who sent what when.
func TestMergesInAscendingOrderOfVnodes(t *testing.T) {
	s := sealed(attempt(1, 7), 5)
	s.Cuts = map[string]uint64{"left": 3, "right": 9}
	sent := func(t *testing.T, vnodes ...int) any {
		m := merger.Partials{Attempt: s.Attempt}
		for _, v := range vnodes {
			m.Parts = append(m.Parts, encoded(t, s)[v])
		}
		return m
	}
	tests := map[string]func(t *testing.T) []any{
		"ascending":       func(t *testing.T) []any { return []any{sent(t, 0, 1, 2, 3, 4), s} },
		"descending":      func(t *testing.T) []any { return []any{sent(t, 4, 3, 2, 1, 0), s} },
		"three instances": func(t *testing.T) []any { return []any{sent(t, 3, 1), sent(t, 4), sent(t, 2, 0), s} },
		"fetched":         func(*testing.T) []any { return []any{s} },
		"half fetched":    func(t *testing.T) []any { return []any{sent(t, 3, 0), s} },
	}
	for name, messages := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				sink := newRecorder(nil)
				r.app.Sinks = []merger.Sink[words]{sink}
				r.fetch = func(s *merger.Sealed) ([]merger.Partial, error) {
					parts := encoded(t, s)
					slices.Reverse(parts)
					return parts, nil
				}
				r.start()
				r.send(messages(t)...)
				due := "7 map[left:3 right:9] 7/0 7/1 7/2 7/3 7/4"
				offers := sink.offers()
				if len(offers) != 1 {
					t.Fatalf("got %d offers, want 1 of %q", len(offers), due)
				}
				if o := offers[0]; fmt.Sprint(o.epoch, " ", o.cuts, " ", o.value) != due {
					t.Errorf("the sink was offered %d %s %s, want %s", o.epoch, o.cuts, o.value, due)
				}
			})
		})
	}
}

// TestARepeatHasTheSameBytes proves I6's repeat: after a failure, and after a crash, whatever the sink did to its copy.
func TestARepeatHasTheSameBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		sick := failing(2)
		sink := newRecorder(func(r merger.Result[words]) error {
			err := sick(r)
			clear(r.Encoded)
			clear(r.Value)
			return err
		})
		r.app.Sinks = []merger.Sink[words]{sink}
		r.start()
		r.seal(1)
		r.after(time.Second)
		r.start() // after a crash: it was told nothing, and fetches
		r.send(sealed(attempt(1, 1), 2))
		r.wantFetches(1)
		wantOffers(t, "the sink", sink, 1, 1, 1, 1)
		value := words{"1/0", "1/1"}
		bytes, err := vnode.CBOR[words]().Append(nil, &value)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range sink.offers() {
			if o.encoded != string(bytes) || o.value != "1/0 1/1" {
				t.Errorf("offer %d of epoch 1: got bytes %x and value %q, want %x and %q", i, o.encoded, o.value, bytes, value)
			}
		}
	})
}

func TestAFailedFetchIsToldAndTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		sink, left := newRecorder(nil), 2
		r.app.Sinks = []merger.Sink[words]{sink}
		r.fetch = func(s *merger.Sealed) ([]merger.Partial, error) {
			if left--; left >= 0 {
				return nil, errDown
			}
			return encoded(t, s), nil
		}
		r.start()
		r.send(sealed(attempt(1, 1), 2), sealed(attempt(1, 2), 2))
		r.wantTold("1: down")
		r.after(time.Second)
		r.wantTold("1: down", "1: down", "1: <nil>", "2: <nil>")
		r.wantEmitted(1, 2)
		wantOffers(t, "the sink", sink, 1, 2)
		r.wantFetches(1, 1, 1, 2)
		if got, due := sink.times(1), []time.Duration{60 * time.Millisecond}; !slices.Equal(got, due) {
			t.Errorf("after two failed fetches: the sink was asked at %v, want %v", got, due)
		}
	})
}

// TestEndsWithItsProcess proves that a merger whose sink fails forever leaves nothing running: the bubble would tell.
func TestEndsWithItsProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ctx, end := context.WithCancel(t.Context())
		r.ctx = ctx
		sick := newRecorder(func(merger.Result[words]) error { return errDown })
		r.app.Sinks = []merger.Sink[words]{sick}
		r.start()
		r.seal(1)
		end()
		r.after(time.Minute)
		wantOffers(t, "the sink of a process that ended", sick, 1)
		r.wantEmitted()
	})
}
