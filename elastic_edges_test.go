package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/remote"
)

// blind is a membership that knows nobody; joins ends in fails.
type blind struct{ fails error }

func (b blind) Join(context.Context, remote.Member, func([]remote.Member)) error { return b.fails }
func (blind) Update(remote.Member) error                                         { return nil }
func (blind) Leave(context.Context) error                                        { return nil }
func (blind) Close() error                                                       { return nil }

// TestMembershipThatCannotBeJoinedLeavesNothingBehind: the actors are there by then.
func TestMembershipThatCannotBeJoinedLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	broken := errors.New("broken")
	cfg := elastic("file://"+t.TempDir(), "n0")
	cfg.Membership = blind{broken}
	if _, err := sheaf.Open(t.Context(), cfg, tallies()); !errors.Is(err, broken) {
		t.Fatalf("open: got %v, want %v", err, broken)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// failing is a membership that knows nobody, and what goes wrong.
type failing struct {
	blind
	well atomic.Bool
}

func (f *failing) Failing() map[string]error {
	if f.well.Load() {
		return nil
	}
	return map[string]error{"call 10.0.0.1:7946": errors.New("the keys differ")}
}

// TestWhatTheMembershipLacksIsAProblem: as long as it lasts.
func TestWhatTheMembershipLacksIsAProblem(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cfg, m := elastic("file://"+t.TempDir(), "n0"), &failing{}
	cfg.Membership = m
	in := openElastic(t, cfg)
	named := func() bool {
		return slices.ContainsFunc(in.Status().Problems, func(p actors.Problem) bool {
			return p.Doing == "call 10.0.0.1:7946" && p.Err.Error() == "the keys differ"
		})
	}
	await(ctx, t, "it is a problem", named)
	m.well.Store(true)
	await(ctx, t, "it is none any more", func() bool { return !named() })
}

// TestPushedSourceComesBackWithItsMember: no record names it any more when its member, which was alive all the time, is in
// force again, since nobody of those between knew of it.
func TestPushedSourceComesBackWithItsMember(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	url := "file://" + t.TempDir()
	var doors []*door
	var all []*tallyInstance
	for i := range 2 {
		cfg := elastic(url, fmt.Sprint("n", i))
		cfg.Membership, cfg.State.Cluster.Listen = blind{}, freeAddress(t)
		way := newDoor(t, cfg.State.Cluster.Listen)
		cfg.State.Cluster.Advertise = way.l.Addr().String()
		doors, all = append(doors, way), append(all, openElastic(t, cfg))
	}
	r, err := all[0].Resumable(ctx, "r")
	send := func(n uint64) {
		t.Helper()
		if err == nil {
			err = r.Send(ctx, n, event{Key: fmt.Sprint("k", n), Add: 1})
		}
		if err == nil {
			err = r.Flush(ctx)
		}
		if err != nil {
			t.Fatalf("event %d: %v: %+v", n, err, all[0].Status())
		}
	}
	send(1)
	for _, d := range doors {
		d.shut()
	}
	await(ctx, t, "the other alone", func() bool {
		return all[1].Status().Coordinator.Instance == "n1" && all[1].Status().Owned == 16
	})
	abort(all[1])
	await(ctx, t, "the first alone", func() bool {
		return all[0].Status().Coordinator.Instance == "n0" && all[0].Status().Owned == 16 && all[0].Status().Term > 2
	})
	send(2)
}

// dialed is a client that knows one member alone.
func dialed(ctx context.Context, t *testing.T, seed string) *sheaf.Client[string, event, int64, total] {
	t.Helper()
	return dialedWith(ctx, t, seed, tallies(), backend.Limits{})
}

func dialedWith(
	ctx context.Context, t *testing.T, seed string, app tallyApp, limits backend.Limits,
) *sheaf.Client[string, event, int64, total] {
	t.Helper()
	client, err := sheaf.Dial(ctx, sheaf.Config{State: backend.Config{
		Backend: backend.KindObjectStore, VnodeCapacity: 16, SeedPeers: []string{seed}, Cluster: backend.Cluster{Limits: limits},
	}}, app)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end, cancel := context.WithCancel(context.Background())
		cancel()
		_ = client.Close(end)
	})
	return client
}

// TestLastMemberClosesWhileAClientIsThere: a client takes nothing over.
func TestLastMemberClosesWhileAClientIsThere(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cfg := elastic("file://"+t.TempDir(), "n0")
	cfg.Membership, cfg.State.Cluster.Listen = blind{}, freeAddress(t)
	in := openElastic(t, cfg)
	client := dialed(ctx, t, "n0="+cfg.State.Cluster.Listen)
	if _, _, err := client.Get(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestMembershipThatKnowsNobodyCostsTimeAlone (I7): who comes is answered, and becomes a member.
func TestMembershipThatKnowsNobodyCostsTimeAlone(t *testing.T) {
	url := "file://" + t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []*tallyInstance
	for i := range 2 {
		cfg := elastic(url, fmt.Sprint("n", i))
		cfg.Membership = blind{}
		all = append(all, openElastic(t, cfg))
	}
	await(ctx, t, "even shares", func() bool { return all[0].Status().Owned == 8 && all[1].Status().Owned == 8 })
	p, err := all[0].Producer(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := p.Send(ctx, event{Key: fmt.Sprint("k", n), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestClientMayKnowAnyMember: also one that does not coordinate tells it where things stand.
func TestClientMayKnowAnyMember(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var m manager
	url, at := "file://"+t.TempDir(), freeAddress(t)
	for i := range 2 {
		cfg := elastic(url, fmt.Sprint("n", i))
		if cfg.Membership = (&managedBy{m: &m}); i == 1 {
			cfg.State.Cluster.Listen = at
		}
		openElastic(t, cfg)
	}
	soon, enough := context.WithTimeout(ctx, 5*time.Second)
	defer enough()
	client := dialed(soon, t, "n1="+at)
	p, err := client.Producer(soon, "p")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := p.Send(soon, event{Key: fmt.Sprint("k", n), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(soon); err != nil {
		t.Fatal(err)
	}
}

// TestNamesOfOfferedSourcesAreCountedOnce: one that is attached and sealed is one name, and one too many is refused.
func TestNamesOfOfferedSourcesAreCountedOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cfg := elastic("file://"+t.TempDir(), "n0")
	cfg.Membership, cfg.Names = blind{}, 3
	in := openElastic(t, cfg)
	attach := func(name string) error {
		s := scripted(repeated(10_000))
		s.chunk, s.every = 1, 20*time.Millisecond
		_, err := in.Attach(ctx, name, s)
		return err
	}
	for i := range 3 {
		if err := attach(fmt.Sprint("s", i)); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, "a cut", func() bool { return len(in.Cuts()) == i+1 })
	}
	if err := attach("s3"); !errors.Is(err, sheaf.ErrNames) {
		t.Errorf("got %v, want %v", err, sheaf.ErrNames)
	}
}

// TestLeavingMemberTakesItsPushedSourceAlong: what a resumable producer sent is sealed, nothing more comes, and the others
// seal on without it. Opened again, it goes on where it was.
func TestLeavingMemberTakesItsPushedSourceAlong(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	all := constellation(t, 2)
	r, err := all[1].Resumable(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(100) {
		if err := r.Send(ctx, n+1, event{Key: fmt.Sprint("k", n), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := all[1].Close(ctx); err != nil {
		t.Fatal(err)
	}
	p := producer(t, all[0], "p")
	for n := range 100 {
		if _, err := p.Send(ctx, event{Key: fmt.Sprint("k", n), Add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatalf("flush without the source of the one that left: %v", err)
	}
	again, err := all[0].Resumable(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	if again.Sealed() != 100 {
		t.Errorf("opened again at %d, want 100", again.Sealed())
	}
}

// TestWhoDoesNotGetItsSinkBackSaysSo: a reign ends only when its sinks have returned, and the next of the same instance waits
// for that, which is a problem that names the sink.
func TestWhoDoesNotGetItsSinkBackSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	url, release := "file://"+t.TempDir(), make(chan struct{})
	deaf := sheaf.SinkFunc[total](func(context.Context, sheaf.Result[total]) error { <-release; return nil })
	var doors []*door
	var all []*tallyInstance
	for i, sinks := range [][]sheaf.Sink[total]{{deaf}, nil} {
		cfg := elastic(url, fmt.Sprint("n", i))
		cfg.Membership, cfg.State.Cluster.Listen = blind{}, freeAddress(t)
		way := newDoor(t, cfg.State.Cluster.Listen)
		cfg.State.Cluster.Advertise = way.l.Addr().String()
		doors, all = append(doors, way), append(all, openElastic(t, cfg, sinks...))
	}
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	p, err := all[0].Producer(ctx, "p")
	if err == nil {
		_, err = p.Send(ctx, event{Key: "k", Add: 1})
	}
	if err == nil {
		err = p.Flush(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range doors {
		d.shut()
	}
	await(ctx, t, "the other alone", func() bool { return all[1].Status().Coordinator.Instance == "n1" && all[1].Status().Owned == 16 })
	abort(all[1])
	await(ctx, t, "it says what it waits for", func() bool {
		return slices.ContainsFunc(all[0].Status().Problems, func(p actors.Problem) bool { return strings.Contains(p.Err.Error(), "sink 0 with epoch") })
	})
	free()
	await(ctx, t, "the first alone", func() bool {
		return all[0].Status().Coordinator.Instance == "n0" && all[0].Status().Owned == 16 && all[0].Status().Term > 2
	})
}

// TestLastToLeaveEmitsWhatIsSealed (I6): also what the coordinator sealed when it left, a moment before.
func TestLastToLeaveEmitsWhatIsSealed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	url := "file://" + t.TempDir()
	var m manager
	var all []*tallyInstance
	for i := range 2 {
		cfg := elastic(url, fmt.Sprintf("n%d", i))
		cfg.Membership = &managedBy{m: &m}
		all = append(all, openElastic(t, cfg))
	}
	await(ctx, t, "even shares", func() bool { return all[0].Status().Owned == 8 && all[1].Status().Owned == 8 })
	left := make(chan error, 1)
	go func() { left <- all[0].Close(ctx) }()
	await(ctx, t, "all shares", func() bool { return all[1].Status().Owned == 16 })
	if err := errors.Join(all[1].Close(ctx), <-left); err != nil {
		t.Fatal(err)
	}
	store, err := backend.ObjectStore(url, "reader").OpenReader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, rec, err := backend.OpenReader(ctx, store.Objects())
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	if rec.Emitted != rec.Epoch {
		t.Errorf("got epoch %d emitted, want %d, the newest sealed", rec.Emitted, rec.Epoch)
	}
}
