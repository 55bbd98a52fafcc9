//go:build unix

package main_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// I1, I6, I7 with real processes: the coordinator is stopped until another has taken over and seals, and goes on. No epoch gets
// a second content, it emits none that it did not seal itself, and it is a member again by itself.
func TestStoppedCoordinatorChangesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("stops processes for some seconds")
	}
	t.Parallel()
	const sources, rows, rounds = 8, 150_000, 2
	input := inputOf(t, rows)
	f := newFlock(t, fileURL(t), 3, sources, "--input", input, "--epoch", "100ms", "--json")
	for i := range f.at {
		f.start(i, "--rate", "1500")
	}
	for range rounds {
		was := f.must("three members", func(rec *backend.Record) bool { return even(3)(rec) && rec.Epoch > 2 })
		stopped := was.Coordinator
		p := f.at[f.place(stopped)]
		signalTo(t, p, syscall.SIGSTOP)
		own := uint64(0) // the newest epoch that it can have sealed
		over := f.must("another coordinator that seals", func(rec *backend.Record) bool {
			if own == 0 && rec.Term > was.Term {
				own = uint64(rec.Epoch)
			}
			return rec.Term > was.Term && rec.Coordinator != stopped && rec.Epoch > was.Epoch+2
		})
		signalTo(t, p, syscall.SIGCONT)
		again := f.must("it to be a member again", func(rec *backend.Record) bool {
			return slices.Contains(rec.Assignment.Members, stopped) && even(3)(rec) && rec.Epoch > over.Epoch
		})
		t.Logf("%s was stopped at epoch %d of term %d; %s coordinates term %d; member again at epoch %d of term %d", stopped.Instance,
			was.Epoch, was.Term, over.Coordinator.Instance, over.Term, again.Epoch, again.Term)
		if newest := p.newestEmitted(); again.Term == over.Term && (newest == 0 || newest > own) {
			t.Errorf("%s emitted epoch %d, and sealed none behind %d", stopped.Instance, newest, own)
		}
	}
	finish(f, input, rows)
}

// finish kills everybody, lets one who comes again count what is left, and checks what stands. If more came, one that is
// about to join when all is counted would end, while the others leave everything to it.
func finish(f *flock, input string, rows int) {
	f.t.Helper()
	last := -1
	for i, p := range f.at {
		if p != nil {
			f.kill(i)
			last = i
		}
	}
	f.start(last)
	f.end()
	all := load(f.t, input)
	f.crew.checkEnd(newChecker("board", all, f.crew.sources), rows)
	wantStates(f.t, "board", f.crew.state, all, f.crew.sources)
	f.t.Logf("%d epochs were emitted again, with the same bytes", f.wantOneContent())
}

// A fourth member gets exactly a quarter, and takes nothing else from anywhere; members that are sent SIGTERM leave with
// exit code 0, the coordinator too, and only what they had moves. Nothing is lost (I4, I5).
func TestDrainedMemberLeaves(t *testing.T) {
	if testing.Short() {
		t.Skip("stops processes for some seconds")
	}
	t.Parallel()
	const sources, rows = 8, 150_000
	input := inputOf(t, rows)
	f := newFlock(t, fileURL(t), 4, sources, "--input", input, "--epoch", "100ms", "--json")
	for i := range 3 {
		f.start(i, "--rate", "1500")
	}
	before := f.must("three members", func(rec *backend.Record) bool { return even(3)(rec) && rec.Epoch > 2 })
	f.start(3, "--rate", "1500")
	after := f.must("a fourth member", func(rec *backend.Record) bool { return len(rec.Assignment.Members) == 4 && rec.Epoch > before.Epoch })
	from, to := moved(before.Assignment, after.Assignment)
	t.Logf("join of %s: shares %v to %v; moved from %v to %v", f.ids[3], shares(before.Assignment), shares(after.Assignment), from, to)
	if quarter := before.Identity.Capacity / 4; !even(4)(after) || len(to) != 1 || to[f.ids[3]] != quarter {
		t.Errorf("join of a fourth: moved to %v, shares %v, want %d to %s alone", to, shares(after.Assignment), quarter, f.ids[3])
	}
	for left := 3; left > 1; left-- {
		before = f.read()
		leaver := before.Coordinator
		if left == 3 {
			leaver = before.Assignment.Members[slices.IndexFunc(before.Assignment.Members, func(m vnode.Member) bool { return m != before.Coordinator })]
		}
		i := f.place(leaver)
		signalTo(t, f.at[i], syscall.SIGTERM)
		f.at[i].end().want(t, 0, "left: ")
		f.at[i] = nil
		after = f.must("the others go on", func(rec *backend.Record) bool {
			return len(rec.Assignment.Members) == left && rec.Epoch > before.Epoch+2
		})
		from, to = moved(before.Assignment, after.Assignment)
		t.Logf("%s left, coordinator %t: moved from %v to %v; shares %v; term %d to %d", leaver.Instance, leaver == before.Coordinator, from, to,
			shares(after.Assignment), before.Term, after.Term)
		if len(from) != 1 || from[leaver.Instance] == 0 || !even(left)(after) {
			t.Errorf("%s left: moved from %v, shares %v, want from it alone", leaver.Instance, from, shares(after.Assignment))
		}
	}
	finish(f, input, rows)
}
