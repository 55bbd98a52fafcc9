package merger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// words is the result of these tests: Merge appends, so that its order shows.
type words []string

func appendWords(into *words, from words) { *into = append(*into, from...) }

// rig is a merger in an actor system and the process around it.
type rig struct {
	t       *testing.T
	system  *actor.ActorSystem
	pid     *actor.PID
	ctx     context.Context
	app     merger.App[words]
	fetch   func(s *merger.Sealed) ([]merger.Partial, error)
	mu      sync.Mutex // guards what follows: the merger's goroutines write, the test reads
	fetches []vnode.Epoch
	emitted []vnode.Epoch
	told    []string // to EmitFailed
}

var _ merger.Instance = (*rig)(nil)

func (r *rig) FetchPartials(_ context.Context, s *merger.Sealed) ([]merger.Partial, error) {
	r.mu.Lock()
	r.fetches = append(r.fetches, s.Epoch)
	r.mu.Unlock()
	return r.fetch(s)
}

func (r *rig) Emitted(e vnode.Epoch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emitted = append(r.emitted, e)
}

func (r *rig) EmitFailed(e vnode.Epoch, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%d: %v", e, err))
}

func (r *rig) Background(f func(context.Context)) { go f(r.ctx) }

// inBubble runs a test with a merger that has no sink yet, in virtual time; it fails if it leaves a goroutine behind.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { <-time.After(time.Minute) }) // the actor library's timers
		r := newRig(t)
		test(t, r)
	})
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, ctx: t.Context(), app: merger.App[words]{Merge: appendWords, Codec: vnode.CBOR[words]()}}
	r.fetch = func(s *merger.Sealed) ([]merger.Partial, error) { return encoded(t, s), nil }
	r.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	t.Cleanup(r.system.Shutdown)
	return r
}

// start spawns the merger with the rig's app as it is now.
func (r *rig) start() {
	r.t.Helper()
	r.pid = r.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return merger.NewActor(r.app, r, 0) }))
	r.t.Cleanup(func() {
		if err := r.system.Root.StopFuture(r.pid).Wait(); err != nil {
			r.t.Errorf("stop the merger: %v", err)
		}
	})
}

// send sends messages and waits until all that they cause, but for what waits for time, is done.
func (r *rig) send(messages ...any) {
	for _, m := range messages {
		r.system.Root.Send(r.pid, m)
	}
	synctest.Wait()
}

// after lets time go by.
func (r *rig) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// seal sends an epoch's partials and its seal.
func (r *rig) seal(numbers ...uint64) {
	for _, n := range numbers {
		s := sealed(attempt(1, n), 2)
		r.send(merger.Partials{Attempt: s.Attempt, Parts: encoded(r.t, s)}, s)
	}
}

func (r *rig) wantTold(told ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.told, told) {
		r.t.Errorf("told to EmitFailed: got\n%s\nwant\n%s", strings.Join(r.told, "\n"), strings.Join(told, "\n"))
	}
}

func (r *rig) wantEmitted(epochs ...vnode.Epoch) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.emitted, epochs) {
		r.t.Errorf("told to Emitted: got %v, want %v", r.emitted, epochs)
	}
}

func (r *rig) wantFetches(epochs ...vnode.Epoch) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.fetches, epochs) {
		r.t.Errorf("got fetches of %v, want %v", r.fetches, epochs)
	}
}

// encoded are the partials of the sealed slices: one word each, the epoch and the vnode.
func encoded(t *testing.T, s *merger.Sealed) []merger.Partial {
	t.Helper()
	parts := partials(s)
	for v := range parts {
		b, err := vnode.CBOR[words]().Append(nil, &words{fmt.Sprintf("%d/%d", s.Epoch, v)})
		if err != nil {
			t.Fatalf("encode the partial of vnode %d: %v", v, err)
		}
		parts[v].Bytes = b
	}
	return parts
}

// offer is a call of a sink.
type offer struct {
	at      time.Duration // since the sink was made
	epoch   vnode.Epoch
	cuts    string
	value   string
	encoded string
}

// recorder is a sink that notes what it is offered and then does what its function does.
type recorder struct {
	began time.Time
	then  func(r merger.Result[words]) error
	mu    sync.Mutex // guards all
	all   []offer
}

func newRecorder(then func(r merger.Result[words]) error) *recorder {
	return &recorder{began: time.Now(), then: then}
}

func (s *recorder) Emit(_ context.Context, r merger.Result[words]) error {
	o := offer{time.Since(s.began), r.Epoch, fmt.Sprint(r.Cuts), strings.Join(r.Value, " "), string(r.Encoded)}
	s.mu.Lock()
	s.all = append(s.all, o)
	s.mu.Unlock()
	if s.then == nil {
		return nil
	}
	return s.then(r)
}

func (s *recorder) offers() []offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// times are when an epoch was offered.
func (s *recorder) times(e vnode.Epoch) (all []time.Duration) {
	for _, o := range s.offers() {
		if o.epoch == e {
			all = append(all, o.at)
		}
	}
	return all
}

func wantOffers(t *testing.T, name string, s *recorder, epochs ...vnode.Epoch) {
	t.Helper()
	var got []vnode.Epoch
	for _, o := range s.offers() {
		got = append(got, o.epoch)
	}
	if !slices.Equal(got, epochs) {
		t.Errorf("%s was offered epochs %v, want %v", name, got, epochs)
	}
}

var errDown = errors.New("down")

// failing returns a function that fails so many times, then never again.
func failing(times int) func(merger.Result[words]) error {
	return func(merger.Result[words]) error {
		if times--; times >= 0 {
			return errDown
		}
		return nil
	}
}
