package sheaf_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
)

// numbered is an app whose keys take the numbers 1, 2, 3 in this order alone: their state is the newest. Whatever is
// missing, doubled or out of order is a dead letter.
func numbered(dead *letters) tallyApp {
	app := tallies()
	app.Update = func(_ *sheaf.Turn, s *int64, e event) error {
		if e.Add != *s+1 {
			return fmt.Errorf("key %s was given %d after %d", e.Key, e.Add, *s)
		}
		*s = e.Add
		return nil
	}
	app.DeadLetter = dead.take
	return app
}

const (
	lineHistory = 16 << 10        // bytes that the producer of a line may keep: it waits at that bound often
	lineBound   = 3 * time.Second // for each call: less than what nobody answered for takes to be sent again
)

// line is a producer that sends numbered events, to keys of its own, until it is told to stop.
type line struct {
	name    string
	p       *tallyProducer
	status  func() actors.Status
	next    map[string]int64 // by key: the newest number sent
	most    int64            // bytes kept at a time
	longest time.Duration    // that a call took
	flushed atomic.Int64     // flushes that returned
}

func newLine(ctx context.Context, t *testing.T, name string, in interface {
	Producer(ctx context.Context, name string) (*tallyProducer, error)
	Status() actors.Status
},
) *line {
	t.Helper()
	p, err := in.Producer(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return &line{name: name, p: p, status: in.Status, next: map[string]int64{}}
}

// run sends, and flushes now and then and in the end. No call may take longer than the bound.
func (l *line) run(ctx context.Context, stop <-chan struct{}) error {
	const keys, look, each = 40, 16, 500
	for n := 0; ; n++ {
		select {
		case <-stop:
			return l.timed(ctx, "the last flush", l.p.Flush)
		default:
		}
		e := event{Key: fmt.Sprint(l.name, n%keys), Add: int64(n/keys + 1)}
		err := l.timed(ctx, fmt.Sprintf("event %d", n), func(ctx context.Context) error {
			_, err := l.p.Send(ctx, e)
			return err
		})
		if err != nil {
			return err
		}
		l.next[e.Key] = e.Add
		if n%look == 0 {
			l.most = max(l.most, l.status().Producers[0].Unsealed)
		}
		if n%each == each-1 {
			if err := l.timed(ctx, fmt.Sprintf("flush behind event %d", n), l.p.Flush); err != nil {
				return err
			}
			l.flushed.Add(1)
		}
	}
}

func (l *line) timed(ctx context.Context, what string, call func(context.Context) error) error {
	soon, cancel := context.WithTimeout(ctx, lineBound)
	defer cancel()
	began := time.Now()
	err := call(soon)
	if l.longest = max(l.longest, time.Since(began)); err != nil {
		return fmt.Errorf("%s: %s, after %v: %w: %+v", l.name, what, time.Since(began), err, l.status())
	}
	return nil
}

// check holds what the line kept and what came of it against its bound and what it sent.
func (l *line) check(t *testing.T, got map[string]int64) {
	t.Helper()
	if l.most > lineHistory+100 || l.most < lineHistory/2 {
		t.Errorf("%s kept %d bytes, want at most its bound of %d and an event more, and no less than half of it", l.name, l.most, lineHistory)
	}
	for key, want := range l.next {
		if got[key] != want {
			t.Errorf("key %s: the newest event is %d, want %d", key, got[key], want)
			return
		}
	}
}

// evenly reports whether members own all vnodes, in even shares.
func evenly(members ...*tallyInstance) bool {
	var owned []int
	sum := 0
	for _, in := range members {
		n := in.Status().Owned
		owned, sum = append(owned, n), sum+n
	}
	return sum == 16 && slices.Max(owned)-slices.Min(owned) <= 1
}

// march is an elastic cluster of the app, at which lines end.
type march struct {
	dead      letters
	box       inbox
	url       string
	seed, at  string // where the first gossips, and where the third listens
	members   []*tallyInstance
	lines     []*line
	lineEnded chan error
}

func (m *march) limits() backend.Limits { return backend.Limits{History: lineHistory} }

func (m *march) join(ctx context.Context, t *testing.T) {
	t.Helper()
	cfg := elastic(m.url, fmt.Sprint("n", len(m.members)), m.seed)
	cfg.State.Cluster.Limits = m.limits()
	switch len(m.members) {
	case 0:
		cfg.State.Cluster.Gossip.Listen = m.seed
	case 2:
		cfg.State.Cluster.Listen = m.at
	}
	in, err := sheaf.Open(ctx, cfg, numbered(&m.dead), &m.box)
	if err != nil {
		t.Fatalf("open %s: %v", cfg.State.InstanceID, err)
	}
	t.Cleanup(func() { abort(in) })
	m.members = append(m.members, in)
}

// settled waits until members own all vnodes, and every line has sealed something that it sent since.
func (m *march) settled(ctx context.Context, t *testing.T, what string, members ...*tallyInstance) {
	t.Helper()
	await(ctx, t, what, func() bool { return evenly(members...) })
	for _, l := range m.lines {
		before := l.flushed.Load()
		await(ctx, t, what+", and "+l.name+" goes on", func() bool { return l.flushed.Load() > before+1 || len(m.lineEnded) > 0 })
	}
}

// check holds what came of all lines against what they sent.
func (m *march) check(ctx context.Context, t *testing.T, got map[string]int64) {
	t.Helper()
	if letters := m.dead.got(); len(letters) > 0 {
		t.Errorf("%d events are out of order, the first %s: %v", len(letters), letters[0], m.dead.all[0].Err)
	}
	for _, l := range m.lines {
		l.check(t, got)
		t.Logf("%s: %d events, at most %d bytes kept, the longest call took %v", l.name, l.status().Producers[0].Sent, l.most, l.longest)
	}
	await(ctx, t, "the last result", func() bool {
		results := m.box.results()
		return len(results) > 0 && results[len(results)-1].Value == total{Keys: len(got), Sum: sum(got)}
	})
}

// TestProducersOutliveThoseWhoComeAndGo: a member and a client send to a cluster that one joins, one leaves, of which alone
// the client was told, and whose coordinator is killed. Nothing is lost, doubled or out of order per key (I4), nobody waits
// for long, and what they keep has its bound (I8).
func TestProducersOutliveThoseWhoComeAndGo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m := &march{url: "file://" + t.TempDir(), seed: freeAddress(t), at: freeAddress(t), lineEnded: make(chan error, 2)}
	for range 3 {
		m.join(ctx, t)
	}
	await(ctx, t, "three members", func() bool { return evenly(m.members...) })
	client := dialedWith(ctx, t, "n2="+m.at, numbered(&m.dead), m.limits())
	m.lines = []*line{newLine(ctx, t, "inside", m.members[1]), newLine(ctx, t, "outside", client)}
	stop := make(chan struct{})
	for _, l := range m.lines {
		go func() { m.lineEnded <- l.run(ctx, stop) }()
	}
	m.join(ctx, t)
	n0, n1, n2, n3 := m.members[0], m.members[1], m.members[2], m.members[3]
	m.settled(ctx, t, "a fourth", n0, n1, n2, n3)
	if err := n2.Close(ctx); err != nil {
		t.Fatalf("close n2: %v", err)
	}
	m.settled(ctx, t, "one has left", n0, n1, n3)
	if leader := n1.Status().Coordinator.Instance; leader != "n0" {
		t.Fatalf("%s coordinates, want n0, which is to be killed", leader)
	}
	abort(n0)
	m.settled(ctx, t, "one was killed", n1, n3)
	close(stop)
	for range m.lines {
		if err := <-m.lineEnded; err != nil {
			t.Fatal(err)
		}
	}
	m.check(ctx, t, live(t, n3))
	if err := client.Close(ctx); err != nil {
		t.Error(err)
	}
}
