package main_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	demo "github.com/sheaf-go/sheaf/cmd/demo"
	"github.com/sheaf-go/sheaf/vnode"
)

// flock is an elastic cluster whose members are processes. Each has a place, whose address all gossip with.
type flock struct {
	t      *testing.T
	crew   *crew // its state and files; it has no members of its own
	gossip []string
	ids    []string   // by place
	at     []*process // by place; nil: nobody is there
	ever   []*process
	named  int
	launch func(place int, config backend.Config, more ...string) *process

	ledger *backend.Ledger
	newest *backend.Record
}

// newFlock returns a flock of which nobody is started. Args are those of every member.
func newFlock(t *testing.T, state string, places, sources int, args ...string) *flock {
	t.Helper()
	gossip, err := demo.FreeAddresses(t.Context(), places)
	if err != nil {
		t.Fatal(err)
	}
	f := &flock{t: t, crew: newCrew(t, state, 4<<20, sources, args...), gossip: gossip, at: make([]*process, places)}
	f.launch = func(_ int, config backend.Config, more ...string) *process { return f.crew.launch(config, more...) }
	for range places {
		f.ids = append(f.ids, f.newID())
	}
	return f
}

func (f *flock) newID() string {
	f.named++
	return fmt.Sprintf("n%d", f.named-1)
}

// start starts a process in a place where there is none.
func (f *flock) start(place int, more ...string) *process {
	f.t.Helper()
	config := demo.ElasticConfig(f.crew.state, f.ids[place], f.gossip[place], f.gossip)
	config.Cluster.Limits.InFlight = 4 << 20
	p := f.launch(place, config, more...)
	f.at[place] = p
	f.ever = append(f.ever, p)
	return p
}

// kill ends the process of a place.
func (f *flock) kill(place int) {
	f.at[place].kill()
	f.at[place] = nil
}

// read is the newest record; nil if there is none yet.
func (f *flock) read() *backend.Record {
	f.t.Helper()
	if f.ledger == nil {
		store, err := backend.ObjectStore(f.crew.state, "reader").OpenReader(f.t.Context())
		if err != nil {
			return nil
		}
		ledger, newest, err := backend.OpenReader(f.t.Context(), store.Objects())
		if err != nil {
			_ = store.Close()
			return nil
		}
		f.t.Cleanup(func() { _ = store.Close() })
		f.ledger, f.newest = ledger, newest
	}
	newest, err := f.ledger.Newest(f.t.Context(), f.newest)
	if err != nil {
		f.t.Fatal(err)
	}
	f.newest = newest
	return newest
}

// until waits until the newest record is such, and returns it. A process that ends badly meanwhile is a failure; nil: all
// have ended well.
func (f *flock) until(what string, such func(*backend.Record) bool) *backend.Record {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if rec := f.read(); rec != nil && such(rec) {
			return rec
		}
		running := false
		for _, p := range f.at {
			switch {
			case p == nil:
			case f.hasEnded(p):
				p.end().want(f.t, 0)
			default:
				running = true
			}
		}
		if !running {
			return nil
		}
		if time.Now().After(deadline) {
			f.dump()
			f.t.Fatalf("waited a minute for %s: the newest is record %d, epoch %d, emitted %d, term %d of %s, assignment %+v, cuts %v", what,
				f.newest.Seq, f.newest.Epoch, f.newest.Emitted, f.newest.Term, f.newest.Coordinator.Instance, f.newest.Assignment, f.newest.Cuts)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (f *flock) hasEnded(p *process) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// must is until, where an end is a failure.
func (f *flock) must(what string, such func(*backend.Record) bool) *backend.Record {
	f.t.Helper()
	rec := f.until(what, such)
	if rec == nil {
		f.t.Fatalf("all ended before %s", what)
	}
	return rec
}

// dump makes the members that run say where all their goroutines are, and keeps what all said.
func (f *flock) dump() {
	c := *f.crew
	c.members = [crewSize]*process{}
	for i, p := range f.at {
		if p == nil {
			continue
		}
		last, _ := p.progress()
		f.t.Logf("%s says last: %+v", f.ids[i], last)
		if !f.hasEnded(p) {
			quit(p)
			<-p.done
		}
		f.t.Logf("%s, the end of what it said:\n%s", f.ids[i], tailOf(p.end().notes))
	}
}

// tailOf is the end of what a process said before it was made to say where its goroutines are, and the beginning of that.
func tailOf(text string) string {
	said, dump, _ := strings.Cut(text, "SIGQUIT: quit")
	return said[max(0, len(said)-6000):] + dump[:min(len(dump), 3000)]
}

// place is where a member is; -1 if it is nowhere.
func (f *flock) place(m vnode.Member) int {
	i := slices.Index(f.ids, m.Instance)
	if i < 0 || f.at[i] == nil {
		return -1
	}
	return i
}

// anybody is a random place where somebody is.
func (f *flock) anybody() int {
	var all []int
	for i, p := range f.at {
		if p != nil {
			all = append(all, i)
		}
	}
	return all[rand.IntN(len(all))]
}

// end waits until all have ended well, and returns what one of them printed.
func (f *flock) end() answer {
	f.t.Helper()
	f.until("the end", func(*backend.Record) bool { return false })
	var last answer
	for _, p := range f.at {
		if p != nil {
			last = p.end().want(f.t, 0)
		}
	}
	return last
}

// wantOneContent checks that whatever any process ever was about to emit had one content for each epoch, and returns how
// many of them came again.
func (f *flock) wantOneContent() (repeats int) {
	f.t.Helper()
	content := map[uint64]uint64{}
	for _, p := range f.ever {
		p.mu.Lock()
		for _, e := range p.emits {
			was, again := content[e.Epoch]
			if again {
				repeats++
			}
			if again && was != e.Digest {
				f.t.Errorf("epoch %d: got two contents", e.Epoch)
			}
			content[e.Epoch] = e.Digest
		}
		p.mu.Unlock()
	}
	return repeats
}

// newestEmitted is the newest epoch that a process emitted, by what it said.
func (p *process) newestEmitted() (epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.emits {
		epoch = max(epoch, e.Epoch)
	}
	return epoch
}

// shares counts the vnodes of each member.
func shares(a vnode.Assignment) (all []int) {
	all = make([]int, len(a.Members))
	for _, o := range a.Owners {
		if o == vnode.Unowned {
			return nil
		}
		all[o]++
	}
	return all
}

// even reports whether so many members share all vnodes evenly.
func even(members int) func(*backend.Record) bool {
	return func(rec *backend.Record) bool {
		s := shares(rec.Assignment)
		return len(s) == members && slices.Max(s)-slices.Min(s) <= 1
	}
}

// moved lists the vnodes whose owner differs, by the instance that had them and the one that has.
func moved(before, after vnode.Assignment) (from, to map[string]int) {
	from, to = map[string]int{}, map[string]int{}
	for v := range after.Owners {
		was, _ := before.Owner(vnode.ID(v))
		is, _ := after.Owner(vnode.ID(v))
		if was.Instance != is.Instance {
			from[was.Instance]++
			to[is.Instance]++
		}
	}
	return from, to
}
