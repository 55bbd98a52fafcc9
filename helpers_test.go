package sheaf_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/internal/storehook"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
		_ = n.Value.Set("4") // those that are parallel mostly wait
	}
	goleak.VerifyTestMain(m)
}

// event changes the tally of its key.
type event struct {
	Key string
	Add int64
	Do  verb
}

// verb is what an event does beside adding.
type verb int

const (
	add verb = iota
	del
	refuse
	explode // panics after it has changed the state
	badKey  // KeyOf panics
)

// total is the result: how many keys there are, and the sum of their tallies.
type total struct {
	Keys int
	Sum  int64
}

var errRefused = errors.New("refused by the app")

type (
	tallyApp      = sheaf.App[string, event, int64, total]
	tallyInstance = sheaf.Instance[string, event, int64, total]
	tallyProducer = sheaf.Producer[string, event]
)

// tallies is an app that adds up numbers per key and does what its events say.
func tallies() tallyApp {
	return tallyApp{
		Name: "tallies",
		KeyOf: func(e event) string {
			if e.Do == badKey {
				panic("no key")
			}
			return e.Key
		},
		Update: tally,
		Fold:   func(r *total, _ string, s *int64) { r.Keys++; r.Sum += *s },
		Merge:  func(into *total, from total) { into.Keys += from.Keys; into.Sum += from.Sum },
	}
}

func tally(turn *sheaf.Turn, s *int64, e event) error {
	switch e.Do {
	case del:
		turn.Delete()
	case refuse:
		return errRefused
	case explode:
		*s += 1_000_000
		panic("exploded")
	}
	*s += e.Add
	return nil
}

// store is a store in memory that outlives the instances that a test opens on it.
type store struct {
	t       *testing.T
	objects backend.Objects
	faults  *backendtest.Faults // of the newest instance
}

func newStore(t *testing.T) *store {
	t.Helper()
	s, err := backend.InProcess().Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		quiet(time.Millisecond) // the actor library ends a goroutine some time after a message to a stopped actor
	})
	return &store{t: t, objects: s.Objects(), faults: backendtest.NewFaults(s.Objects(), 1)}
}

// small is a config with few vnodes, so that one test opens many instances.
func small() sheaf.Config {
	return sheaf.Config{State: backend.Config{VnodeCapacity: 8}, Epoch: 100 * time.Millisecond}
}

// tryOpen opens an instance on the store. It is ended at the end of the test at the latest.
func (s *store) tryOpen(cfg sheaf.Config, app tallyApp, sinks ...sheaf.Sink[total]) (*tallyInstance, error) {
	ctx := storehook.With(s.t.Context(), func(backend.Objects) backend.Objects { return s.faults })
	in, err := sheaf.Open(ctx, cfg, app, sinks...)
	if err == nil {
		s.t.Cleanup(func() { abort(in) })
	}
	return in, err
}

func (s *store) open(cfg sheaf.Config, app tallyApp, sinks ...sheaf.Sink[total]) *tallyInstance {
	s.t.Helper()
	in, err := s.tryOpen(cfg, app, sinks...)
	if err != nil {
		s.t.Fatal(err)
	}
	return in
}

// crash ends an instance as the end of its process would: no request of it reaches the store any more.
func (s *store) crash(in *tallyInstance) {
	s.faults.Crash()
	abort(in)
	s.faults = backendtest.NewFaults(s.objects, 1)
}

// abort ends an instance without sealing anything.
func abort(in *tallyInstance) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = in.Close(ctx)
}

// bubble runs a test in virtual time: it waits for nothing but itself, and fails if it leaves a goroutine behind.
func bubble(t *testing.T, test func(t *testing.T, s *store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newStore(t)) })
}

// patience is how long a test waits for what must come, in virtual time.
const patience = 10 * time.Minute

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool, instead ...func() any) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !holds(); <-poll.C {
		if time.Now().After(end) {
			for _, have := range instead {
				t.Logf("instead: %+v", have())
			}
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// quiet lets virtual time go by.
func quiet(d time.Duration) { <-time.After(d) }

func producer(t *testing.T, in *tallyInstance, name string) *tallyProducer {
	t.Helper()
	p, err := in.Producer(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func send(t *testing.T, p *tallyProducer, events ...event) {
	t.Helper()
	for _, e := range events {
		if _, err := p.Send(t.Context(), e); err != nil {
			t.Fatalf("send %+v: %v", e, err)
		}
	}
}

func flush(t *testing.T, f interface{ Flush(context.Context) error }) {
	t.Helper()
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func closeAll(t *testing.T, in *tallyInstance) {
	t.Helper()
	if err := in.Close(t.Context()); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// live is the tally of every key, as Scan sees it.
func live(t *testing.T, in *tallyInstance) map[string]int64 {
	t.Helper()
	return collect(t, in.Scan(t.Context()))
}

func collect(t *testing.T, scan *sheaf.Scan[string, int64]) map[string]int64 {
	t.Helper()
	got := maps.Collect(scan.All())
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func wantTallies(t *testing.T, what string, got, want map[string]int64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// problem waits until the status shows a problem with what is being done and returns it.
func problem(t *testing.T, in *tallyInstance, doing string) error {
	t.Helper()
	var found error
	eventually(t, "a problem with: "+doing, func() bool {
		for _, p := range in.Status().Problems {
			if p.Doing == doing {
				found = p.Err
			}
		}
		return found != nil
	})
	return found
}

// healthy waits until the status shows no problem.
func healthy(t *testing.T, in *tallyInstance) {
	t.Helper()
	eventually(t, "no problems", func() bool { return len(in.Status().Problems) == 0 }, func() any { return in.Status().Problems })
}

// inbox is a sink that keeps what it is given.
type inbox struct {
	mu  sync.Mutex // guards all
	all []sheaf.Result[total]
}

func (i *inbox) Emit(_ context.Context, r sheaf.Result[total]) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, r)
	return nil
}

func (i *inbox) results() []sheaf.Result[total] {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.all)
}

// last is the newest result.
func (i *inbox) last(t *testing.T) sheaf.Result[total] {
	t.Helper()
	all := i.results()
	if len(all) == 0 {
		t.Fatal("the sink was given nothing")
	}
	return all[len(all)-1]
}

// letters is the dead-letter hook's box.
type letters struct {
	mu  sync.Mutex // guards all
	all []sheaf.Rejected[event]
}

func (l *letters) take(r sheaf.Rejected[event]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

func (l *letters) got() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, r := range l.all {
		out = append(out, fmt.Sprintf("%s/%d", r.Origin, r.Position))
	}
	return out
}

// wantError checks that err is target.
func wantError(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}
