package bench_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
	_ "github.com/sheaf-go/sheaf/remote/gossip"
)

// Of BenchmarkFailover.
var (
	failoverURL   = flag.String("failover.url", "", "where the cluster keeps its state; default: a directory; a bucket needs -tags cloud")
	failoverMB    = flag.Uint64("failover.mb", 0, "encoded state, in MB; default 20, with -full 200")
	failoverKills = flag.Int("failover.kills", -1, "kills; default 3, with -full 30")
)

// failoverRow is what a key takes, encoded, in bytes.
const failoverRow = 104

// elasticEnv makes this program a member of an elastic cluster: an elasticMember in JSON. It ends with its standard input.
const elasticEnv = "SHEAF_BENCH_ELASTIC"

type elasticMember struct {
	URL, ID, Gossip, Seed string
	Keys                  uint64
	Began                 time.Time
}

const (
	elasticSources = 4
	elasticEpoch   = 200 * time.Millisecond
	trickle        = 5_000   // events per second and source, once every key is there
	torrent        = 100_000 // until then
)

// growing is a source that first brings keys, at the pace of a torrent, and then changes them in a trickle. It is a log:
// what was written is there at once for whoever reads it again.
type growing struct {
	source, keys uint64
	began        time.Time
}

// written is how many events the source has at a time.
func (g growing) written(at time.Time) uint64 {
	fill, old := g.keys/elasticSources, at.Sub(g.began).Seconds()
	filling := float64(fill) / torrent
	if old < filling {
		return uint64(max(0, old) * torrent)
	}
	return fill + uint64((old-filling)*trickle)
}

func (g growing) Open(_ context.Context, at uint64) (sheaf.Reader[blobEvent], error) {
	return &growingReader{growing: g, at: at}, nil
}

type growingReader struct {
	growing
	at uint64
}

func (r *growingReader) Read(ctx context.Context, into []blobEvent) (int, error) {
	for r.written(time.Now()) <= r.at {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	n := int(min(uint64(len(into)), r.written(time.Now())-r.at))
	for i := range into[:n] {
		p := r.at + uint64(i)
		nth := p*elasticSources + r.source
		if p >= r.keys/elasticSources {
			nth = p * 0x9E3779B97F4A7C15 % r.keys
		}
		into[i].key = keyOf(nth)
		random := rand.New(rand.NewPCG(p, r.source))
		for j := range len(into[i].blob) / 8 {
			binary.LittleEndian.PutUint64(into[i].blob[8*j:], random.Uint64())
		}
	}
	r.at += uint64(n)
	return n, nil
}

func (r *growingReader) Close() error { return nil }

// runElastic is a member in a process of its own. It writes what happens to it to its standard output.
func runElastic(arguments string) error {
	var m elasticMember
	if err := json.Unmarshal([]byte(arguments), &m); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	c := backend.ObjectStore(m.URL, m.ID)
	c.Discovery, c.SeedPeers = backend.DiscoveryDynamic, []string{m.Seed}
	c.Cluster.Listen, c.Cluster.Gossip.Listen = "127.0.0.1:0", m.Gossip
	app := blobs()
	app.EventCodec = blobEventCodec{}
	in, err := sheaf.Open(ctx, sheaf.Config{State: c, Epoch: elasticEpoch}, app)
	if err != nil {
		return err
	}
	for i := range uint64(elasticSources) {
		if _, err := in.Attach(ctx, fmt.Sprint("s", i), growing{i, m.Keys, m.Began}); err != nil {
			return err
		}
	}
	tell := tellEvents(in)
	for every := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; {
		tell()
		select {
		case <-every.C:
		case <-ctx.Done():
		case <-in.Done():
			return in.Err()
		}
	}
	closing, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	defer tell()
	return in.Close(closing)
}

// tellEvents returns a function that writes what has happened to an instance since it was last called.
func tellEvents(in interface{ Timeline() []sheaf.Event }) func() {
	out, told := json.NewEncoder(os.Stdout), uint64(0)
	return func() {
		for _, e := range in.Timeline() {
			if e.N > told {
				told = e.N
				_ = out.Encode(e) // whoever reads it may be gone
			}
		}
	}
}

// blobEventCodec writes a blobEvent in 8 bytes and its blob.
type blobEventCodec struct{}

func (blobEventCodec) ID() string { return "bench blob event" }

func (blobEventCodec) Append(dst []byte, e *blobEvent) ([]byte, error) {
	return append(binary.LittleEndian.AppendUint64(dst, e.key), e.blob[:]...), nil
}

func (blobEventCodec) Decode(src []byte, e *blobEvent) error {
	if len(src) != 8+len(e.blob) {
		return fmt.Errorf("an event has %d bytes", 8+len(e.blob))
	}
	e.key = binary.LittleEndian.Uint64(src)
	copy(e.blob[:], src[8:])
	return nil
}

// herd is a cluster of member processes.
type herd struct {
	b      *testing.B
	base   elasticMember
	up     map[string]*exec.Cmd
	hold   map[string]io.Closer
	log    *backend.Ledger
	newest *backend.Record // seen in it

	mu     sync.Mutex // guards events
	events []memberEvent
}

type memberEvent struct {
	member string
	sheaf.Event
}

func newHerd(b *testing.B, keys uint64) *herd {
	url := *failoverURL
	if url == "" {
		url = "file://" + b.TempDir()
	}
	h := &herd{b: b, up: map[string]*exec.Cmd{}, hold: map[string]io.Closer{}}
	h.base = elasticMember{URL: url, Seed: freeAddress(b), Keys: keys, Began: time.Now()}
	b.Cleanup(func() {
		for id := range h.up {
			h.kill(id)
		}
	})
	return h
}

func (h *herd) start(id string) {
	m := h.base
	m.ID, m.Gossip = id, "127.0.0.1:0"
	if len(h.up) == 0 {
		m.Gossip = m.Seed
	}
	arguments, err := json.Marshal(m)
	if err != nil {
		h.b.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), elasticEnv+"="+string(arguments))
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		h.b.Fatal("member does not start", err1, err2)
	}
	h.up[id], h.hold[id] = cmd, in
	go h.follow(id, out)
}

func (h *herd) follow(id string, out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e sheaf.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			h.mu.Lock()
			h.events = append(h.events, memberEvent{id, e})
			h.mu.Unlock()
		}
	}
}

func (h *herd) kill(id string) {
	_ = h.up[id].Process.Kill()
	_ = h.up[id].Wait()
	_ = h.hold[id].Close()
	delete(h.up, id)
}

// lookEvery is how often the ledger is looked at. Records say when they were made, so that haste gains nothing, and takes
// the processor from those that are measured.
const lookEvery = 50 * time.Millisecond

// await follows the ledger until a record says so, and returns it.
func (h *herd) await(what string, says func(*backend.Record) bool) *backend.Record {
	h.b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		records, err := h.news(ctx)
		for _, rec := range records {
			if says(rec) {
				return rec
			}
		}
		if err != nil || len(records) == 0 {
			pause(h.b, lookEvery)
		}
	}
	h.b.Fatalf("%s: waited in vain; the newest record is %d of term %d, with %v", what, h.newest.Seq, h.newest.Term, h.newest.Assignment.Members)
	return nil
}

// news are the records that the ledger has since the last call, oldest first.
func (h *herd) news(ctx context.Context) ([]*backend.Record, error) {
	if h.log == nil {
		c := backend.ObjectStore(h.base.URL, "observer")
		store, err := c.OpenReader(ctx)
		if err != nil {
			return nil, err
		}
		log, newest, err := backend.OpenReader(ctx, store.Objects())
		if err != nil {
			return nil, errors.Join(err, store.Close())
		}
		h.log, h.newest = log, newest
		h.b.Cleanup(func() { _ = store.Close() })
		return []*backend.Record{newest}, nil
	}
	newest, err := h.log.Newest(ctx, h.newest)
	if err != nil || newest.Seq == h.newest.Seq {
		return nil, err
	}
	var out []*backend.Record
	for rec, err := range h.log.History(ctx, newest) {
		if err != nil || rec.Seq <= h.newest.Seq {
			break
		}
		out = append([]*backend.Record{rec}, out...)
	}
	h.newest = newest
	return out, nil
}

// even reports whether n members share the vnodes evenly.
func even(n int, rec *backend.Record) bool {
	held := make([]int, max(1, len(rec.Assignment.Members)))
	for _, o := range rec.Assignment.Owners {
		if o < 0 {
			return false
		}
		held[o]++
	}
	return len(rec.Assignment.Members) == n && slices.Max(held)-slices.Min(held) <= 1
}

// grown reports whether every key is there, and the cluster has caught up with its sources.
func (h *herd) grown(rec *backend.Record) bool {
	g := growing{keys: h.base.Keys, began: h.base.Began}
	for i := range elasticSources {
		if cut, known := rec.CutOf(fmt.Sprint("s", i)); !known || cut.At < max(g.keys/elasticSources, g.written(rec.Time.Add(-time.Second))) {
			return false
		}
	}
	return true
}

// span is when the first and the last event of a kind were over that happened since; zero if none did.
func (h *herd) span(step string, since time.Time) (first, last time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if string(e.Step) != step || !e.At.After(since) {
			continue
		}
		if first.IsZero() || e.At.Before(first) {
			first = e.At
		}
		if e.At.After(last) {
			last = e.At
		}
	}
	return first, last
}

// BenchmarkFailover kills members of a cluster of three with kill -9, the coordinator every other time, while its sources
// change keys, and measures the time to the next sealed epoch, in which every vnode is active. Then it adds a member and
// takes it away again, which moves a quarter of the vnodes each time, and measures for how long they stop: from the first
// that stops at its old member to the last that goes on at its new one.
func BenchmarkFailover(b *testing.B) {
	mb, kills := scale[uint64](20, 200), scale(3, 30)
	if *failoverMB > 0 {
		mb = *failoverMB
	}
	if *failoverKills >= 0 {
		kills = *failoverKills
	}
	h := newHerd(b, mb*1_000_000/failoverRow)
	for i := range 3 {
		h.start(fmt.Sprint("n", i))
	}
	h.await("three members, and every key", func(rec *backend.Record) bool { return even(3, rec) && h.grown(rec) })
	var failovers, moves phases
	for b.Loop() {
		for i := range kills {
			h.failover(&failovers, i)
		}
		for range scale(1, 5) {
			h.moves(&moves)
		}
	}
	hideTime(b)
	b.ReportMetric(float64(h.base.Keys)*failoverRow/1e6, "state-MB")
	for _, name := range []string{"noticed", "taken-over", "restored", "replayed", "sealed"} {
		b.ReportMetric(failovers.median(name), name+"-ms")
	}
	b.ReportMetric(failovers.most("sealed"), "sealed-worst-ms")
	b.ReportMetric(moves.median("stopped"), "move-stop-ms")
	b.ReportMetric(moves.most("stopped"), "move-stop-worst-ms")
}

// phases are times after an event, by name, in milliseconds.
type phases map[string][]float64

func (p *phases) add(name string, d time.Duration) {
	if *p == nil {
		*p = phases{}
	}
	(*p)[name] = append((*p)[name], float64(d)/1e6)
}

func (p phases) median(name string) float64 {
	all := slices.Sorted(slices.Values(p[name]))
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}

func (p phases) most(name string) float64 {
	if len(p[name]) == 0 {
		return 0
	}
	return slices.Max(p[name])
}

// failover kills a member and waits until the others have sealed an epoch without it; then it comes again.
func (h *herd) failover(p *phases, i int) {
	h.b.Helper()
	before := h.newest
	victim := before.Coordinator
	if i%2 == 1 {
		for _, m := range before.Assignment.Members {
			if m != before.Coordinator {
				victim = m
			}
		}
	}
	killed := time.Now()
	h.kill(victim.Instance)
	var taken time.Time // by the record that leaves it out
	sealed := h.await("an epoch without the killed member", func(rec *backend.Record) bool {
		without := !slices.Contains(rec.Assignment.Members, victim)
		if without && taken.IsZero() {
			taken = rec.Time
		}
		return without && rec.Epoch > before.Epoch && rec.Attempt.Version == rec.Assignment.Version
	})
	pause(h.b, 50*time.Millisecond) // the members' words are on their way
	noticed, _ := h.span("miss", killed)
	_, restored := h.span("restore", killed)
	if noticed.IsZero() || restored.IsZero() {
		h.b.Fatalf("kill %d of %s: nobody says that it was missed and its vnodes restored", i, victim.Instance)
	}
	p.add("noticed", noticed.Sub(killed))
	p.add("taken-over", taken.Sub(killed))
	p.add("restored", restored.Sub(killed))
	if _, replayed := h.span("replay", killed); !replayed.IsZero() {
		p.add("replayed", replayed.Sub(killed))
	}
	p.add("sealed", sealed.Time.Sub(killed))
	h.b.Logf("kill %d of %s: noticed after %v, taken over after %v, sealed after %v",
		i, victim.Instance, noticed.Sub(killed), taken.Sub(killed), sealed.Time.Sub(killed))
	h.start(victim.Instance)
	h.await("three members again", func(rec *backend.Record) bool { return even(3, rec) && rec.Epoch > sealed.Epoch })
}

// moves adds a member and lets it leave.
func (h *herd) moves(p *phases) {
	h.b.Helper()
	for _, n := range []int{4, 3} {
		began := time.Now()
		if n == 4 {
			h.start("extra")
		} else {
			_ = h.hold["extra"].Close()
			_ = h.up["extra"].Wait()
			delete(h.up, "extra")
		}
		rec := h.await(fmt.Sprintf("%d members", n), func(rec *backend.Record) bool { return even(n, rec) })
		h.await("another epoch", func(next *backend.Record) bool { return next.Epoch > rec.Epoch })
		pause(h.b, 50*time.Millisecond)
		stopped, _ := h.span("move", began)
		_, again := h.span("restore", began)
		if stopped.IsZero() || again.Before(stopped) {
			h.b.Fatalf("%d members: vnodes stopped at %v and went on at %v", n, stopped, again)
		}
		p.add("stopped", again.Sub(stopped))
		h.b.Logf("%d members after %v: vnodes stopped for %v", n, rec.Time.Sub(began), again.Sub(stopped))
	}
}
