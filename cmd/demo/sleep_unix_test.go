//go:build unix

package main_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights/flightstest"
	"github.com/sheaf-go/sheaf/vnode"
)

// I9 with real processes: a writer is stopped, another takes over, and the floor passes by. Continued, the first learns
// that it is over and leaves no trace.
func TestStoppedWriterLearnsThatTheFloorPassed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes for some seconds")
	}
	input, dir := inputOf(t, 40_000), t.TempDir()
	path := filepath.Join(dir, "state")
	state := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
	out := filepath.Join(dir, "out")
	common := []string{"--input", input, "--out", out, "--job", "routedays", "--epoch", "10ms"}
	first := start(t, append(common, "--state", state, "--rate", "10000")...)
	if !first.until(func(e entry) bool { return e.Epoch > 5 && e.Rows > 1000 }) {
		t.Fatal("the writer ended")
	}
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	config := fileOf(t, "other.toml", fmt.Appendf(nil, "[state]\nbackend = \"object_store\"\nurl = %q\ninstance_id = \"other\"\n", state))
	start(t, append(common, "--config", config)...).end().want(t, 0, "resumed")
	asleep := newestRecord(t, state)
	for range 3 {
		gc(t, "--state", state, "--retain", "2")
	}
	if done := gc(t, "--state", state, "--retain", "2"); done.Floor.Record <= asleep {
		t.Fatalf("the floor is at %+v, want it above record %d", done.Floor, asleep)
	}
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.end().want(t, 1, "the floor has passed")

	call("verify", "--state", state).want(t, 0)
	checker := flightstest.NewRouteDaysChecker(load(t, input), 1, vnode.DefaultCapacity)
	if err := checker.Check(os.DirFS(out)); err != nil || !checker.Complete() {
		t.Errorf("files: complete %t, %v", checker.Complete(), err)
	}
	oracle := flightstest.NewRouteDaysOracle(load(t, input), 1, vnode.DefaultCapacity)
	if err := oracle.Advance(oracle.Total()); err != nil {
		t.Fatal(err)
	}
	wantExport(t, oracle.States(), "--state", state)
	// What it revived is deleted as anything else.
	gc(t, "--state", state, "--retain", "2")
	call("verify", "--state", state).want(t, 0)
	if left, err := filepath.Glob(filepath.Join(path, "ledger", "0*")); err != nil || len(left) > 3 {
		t.Errorf("records left: %v, %v, want those retained", left, err)
	}
}

// newestRecord returns the sequence of a state's newest record.
func newestRecord(t *testing.T, state string) uint64 {
	t.Helper()
	store, err := backend.ObjectStore(state, "reader").OpenReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, newest, err := backend.OpenReader(t.Context(), store.Objects())
	if err != nil {
		t.Fatal(err)
	}
	return newest.Seq
}
