package sheaf_test

import (
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// smallDisk mounts a file system that holds so many bytes.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("mount a tmpfs: %v", err)
		}
		t.Skipf("NOT TESTED: a full disk. Mounting a tmpfs needs root and CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// room is how many bytes a file system still takes.
func room(t *testing.T, dir string) int64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// longKeys are events whose keys no compression makes shorter than a kilobyte.
func longKeys(n int) []event {
	random, all := rand.NewChaCha8([32]byte{}), make([]event, n)
	for i := range all {
		key := make([]byte, 1<<10)
		_, _ = random.Read(key)
		all[i] = event{Key: hex.EncodeToString(key), Add: int64(i + 1)}
	}
	return all
}

// wantSum checks what an instance holds against events, each of a key of its own.
func wantSum(t *testing.T, what string, in *tallyInstance, events []event) {
	t.Helper()
	got, want := live(t, in), map[string]int64{}
	for _, e := range events {
		want[e.Key] += e.Add
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: got %d keys and %d in all, want %d and %d", what, len(got), sum(got), len(want), sum(want))
	}
}

// openLocal opens an instance that seals when it is asked to. It is ended at the end of the test at the latest.
func openLocal(t *testing.T, dir string, sinks ...sheaf.Sink[total]) *tallyInstance {
	t.Helper()
	cfg := sheaf.Config{State: backend.Local(dir), Epoch: time.Hour}
	cfg.State.VnodeCapacity = 8
	in, err := sheaf.Open(t.Context(), cfg, tallies(), sinks...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { abort(in) })
	return in
}

// wantFull checks that the problem of an instance is the full disk, in the middle of a segment, and costs it nothing.
func wantFull(t *testing.T, in *tallyInstance, before sheaf.Status, held []event) {
	t.Helper()
	err := problem(t, in, "put a segment")
	if wantError(t, "the problem", err, backend.ErrFull); !strings.Contains(err.Error(), "segment/") {
		t.Errorf("the problem: got %q, want one that names the segment", err)
	}
	wantSum(t, "while the disk is full", in, held)
	if got := in.Status(); got.Epoch != before.Epoch || got.Record != before.Record {
		t.Errorf("while the disk is full: got epoch %d of record %d, want %d of %d still", got.Epoch, got.Record, before.Epoch, before.Record)
	}
}

// A disk that is full in the middle of a segment is a problem that Status shows, and costs nothing: once there is room the
// epoch is sealed, and the next start finds exactly what was flushed (I1, I2).
func TestFullDiskIsVisibleAndHeals(t *testing.T) {
	disk := smallDisk(t, "16m") // room for a fold too
	ballast, dir := filepath.Join(disk, "ballast"), filepath.Join(disk, "state")
	if err := os.WriteFile(ballast, make([]byte, 14<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	in := openLocal(t, dir)
	p, q := producer(t, in, "p"), producer(t, in, "q")
	events := longKeys(1500)
	send(t, p, events[:100]...)
	flush(t, p)
	before, free := in.Status(), room(t, disk)
	send(t, p, events[100:1400]...)
	flushed := make(chan error, 1)
	go func() { flushed <- p.Flush(t.Context()) }()
	wantFull(t, in, before, events[:1400])
	send(t, q, events[1400:1450]...) // it goes on taking them
	eventually(t, "all of them are applied", func() bool { return in.Status().Counts.Applied == 1450 })
	wantFull(t, in, before, events[:1450])
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	healthy(t, in)
	if size := in.Status().Bytes - before.Bytes; free < 1<<16 || size <= free {
		t.Errorf("the segment had %d bytes and there was room for %d: want that it was full in the middle of it", size, free)
	}
	flush(t, q)
	send(t, p, events[1450:]...) // and these are lost
	abort(in)
	sink := &inbox{}
	in = openLocal(t, dir, sink)
	wantSum(t, "after a restart", in, events[:1450])
	closeAll(t, in)
	healthy(t, in)
	if got := sink.last(t).Value; got.Keys != 1450 || got.Sum != 1450*1451/2 {
		t.Errorf("the newest result: got %+v, want 1450 keys", got)
	}
}
