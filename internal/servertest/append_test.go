package servertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
	"github.com/sheaf-go/sheaf/vnode"
)

const (
	processes = 4
	appenders = 8 // in each process
)

// appendTask is what a process of appenders shall do; it finds it in the environment, as JSON.
type appendTask struct {
	URL     string
	Process int
	Records uint64
	Rate    float64 // of the creates whose answer is lost after they took effect
}

const appendTaskEnv = "SHEAF_TEST_APPEND"

// won is a record of which an appender was told that it won it.
type won struct {
	Seq    uint64
	Nonce  uuid.UUID
	Writer string
}

// race is what appenders came to.
type race struct {
	Won     []won
	Lost    int // appends
	Unknown int // appends, which were repeated
	Faults  int // creates whose answer was lost, and gets that failed
}

func (r *race) add(other race) {
	r.Won = append(r.Won, other.Won...)
	r.Lost, r.Unknown, r.Faults = r.Lost+other.Lost, r.Unknown+other.Unknown, r.Faults+other.Faults
}

func identity() backend.Identity {
	return backend.Identity{Capacity: 2, App: "race", KeyCodec: "string", StateCodec: "cbor", ResultCodec: "cbor"}
}

// I1: 32 appenders in 4 processes race for records. One wins each, all of them stand in one chain, and what each
// appender believes to have won is what the ledger says; also if every fifth create takes effect and says that its
// outcome is unknown, and some gets fail.
func oneAppenderWinsEachRecord(t *testing.T, records uint64, place func(t *testing.T) backend.Config) {
	for _, c := range []struct {
		name string
		rate float64
	}{{"Plain", 0}, {"AnswersLost", 0.2}} {
		t.Run(c.name, func(t *testing.T) {
			config := place(t)
			task := appendTask{URL: config.URL, Records: records, Rate: c.rate}
			wantOneChain(t, config, task, runAppenders(t, task))
		})
	}
}

func TestOneAppenderWinsEachRecordOnDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("runs 32 appenders for some seconds")
	}
	oneAppenderWinsEachRecord(t, 300, func(t *testing.T) backend.Config {
		dir := filepath.ToSlash(t.TempDir())
		return backend.ObjectStore("file:///"+strings.TrimPrefix(dir, "/"), "node-0")
	})
}

// runAppenders runs the processes, which begin together when their input ends.
func runAppenders(t *testing.T, task appendTask) []race {
	t.Helper()
	gate, open, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var all [processes]*exec.Cmd
	var outs [processes]bytes.Buffer
	for i := range all {
		task.Process = i
		text, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAppender$", "-test.timeout=8m")
		all[i].Env = append(os.Environ(), appendTaskEnv+"="+string(text))
		all[i].Stdin, all[i].Stdout, all[i].Stderr = gate, &outs[i], os.Stderr
		if err := all[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(open.Close(), gate.Close()); err != nil {
		t.Fatal(err)
	}
	races := make([]race, processes)
	for i, cmd := range all {
		err := cmd.Wait()
		line, _, _ := bytes.Cut(outs[i].Bytes(), []byte("\n"))
		if err = errors.Join(err, json.Unmarshal(line, &races[i])); err != nil {
			t.Errorf("process %d: %v\n%s", i, err, outs[i].Bytes())
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return races
}

// wantOneChain holds what the appenders say against the ledger, which checks that each record names the one before.
func wantOneChain(t *testing.T, config backend.Config, task appendTask, races []race) {
	t.Helper()
	var sum race
	for i, r := range races {
		t.Logf("process %d: %d won, %d lost, %d unknown, %d faults", i, len(r.Won), r.Lost, r.Unknown, r.Faults)
		sum.add(r)
	}
	claims := map[uint64]won{}
	for _, w := range sum.Won {
		if other, taken := claims[w.Seq]; taken {
			t.Errorf("record %d was won by %s and by %s", w.Seq, other.Writer, w.Writer)
		}
		claims[w.Seq] = w
	}
	if sum.Lost == 0 || (sum.Faults == 0) != (task.Rate == 0) {
		t.Errorf("got %d appends that lost and %d faults: it was not the race it should be", sum.Lost, sum.Faults)
	}
	ledger, newest, err := backend.OpenLedger(t.Context(), backendtest.Open(t, config).Objects(), identity())
	if err != nil {
		t.Fatal(err)
	}
	if newest.Seq != task.Records || uint64(len(claims)) != task.Records {
		t.Errorf("got %d records, %d of them won by somebody, want %d", newest.Seq, len(claims), task.Records)
	}
	for rec, err := range ledger.History(t.Context(), newest) {
		if err != nil {
			t.Fatal(err)
		}
		stands := won{rec.Seq, rec.Nonce, rec.Writer.Instance}
		if rec.Seq > 0 && claims[rec.Seq] != stands {
			t.Errorf("record %d: %+v stands, won was %+v", rec.Seq, stands, claims[rec.Seq])
		}
	}
}

// TestAppender is what this program does as a process of appenders.
func TestAppender(t *testing.T) {
	text := os.Getenv(appendTaskEnv)
	if text == "" {
		t.Skip("only as a process of TestOneAppenderWinsEachRecord…")
	}
	var task appendTask
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		t.Fatal(err)
	}
	objects := backendtest.Open(t, backend.ObjectStore(task.URL, fmt.Sprintf("node-%d", task.Process))).Objects()
	if _, err := io.ReadAll(os.Stdin); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
	defer cancel()
	all := make([]appender, appenders)
	var running sync.WaitGroup
	for i := range all {
		n := task.Process*appenders + i
		all[i] = appender{name: fmt.Sprintf("appender-%d", n), faults: backendtest.NewFaults(objects, uint64(n))}
		running.Go(func() {
			if err := all[i].run(ctx, task); err != nil {
				t.Errorf("%s: %v", all[i].name, err)
			}
		})
	}
	running.Wait()
	var sum race
	for _, a := range all {
		sum.add(a.race)
	}
	if err := json.NewEncoder(os.Stdout).Encode(sum); err != nil {
		t.Fatal(err)
	}
}

// appender races with the others under its own name.
type appender struct {
	name   string
	faults *backendtest.Faults
	ledger *backend.Ledger
	race
}

// run appends records until there are enough, its own or others'.
func (a *appender) run(ctx context.Context, task appendTask) error {
	var newest *backend.Record
	var err error
	if a.ledger, newest, err = backend.OpenLedger(ctx, a.faults, identity()); err != nil {
		return err
	}
	if task.Rate > 0 {
		a.faults.Add(backendtest.Rule{Op: backendtest.Create, Rate: task.Rate, After: true})
		a.faults.Add(backendtest.Rule{Op: backendtest.Get, Rate: task.Rate / 4})
	}
	for newest.Seq < task.Records {
		if newest, err = a.append(ctx, newest.Next(vnode.Member{Instance: a.name}, time.Now())); err != nil {
			return err
		}
	}
	for _, e := range a.faults.Journal() {
		if e.Fault {
			a.Faults++
		}
	}
	return nil
}

// append repeats a record until it is known what became of it, and returns the newest then.
func (a *appender) append(ctx context.Context, rec *backend.Record) (*backend.Record, error) {
	for {
		switch outcome, stands, err := a.ledger.Append(ctx, rec); outcome {
		case backend.Won:
			a.Won = append(a.Won, won{rec.Seq, rec.Nonce, a.name})
			return rec, nil
		case backend.Lost:
			a.Lost++
			return a.newest(ctx, stands)
		case backend.Void:
			return nil, fmt.Errorf("record %d is void, and nobody raised the floor", rec.Seq)
		default:
			if !errors.Is(err, backend.ErrUnknown) || ctx.Err() != nil {
				return nil, err
			}
			a.Unknown++
		}
	}
}

func (a *appender) newest(ctx context.Context, from *backend.Record) (*backend.Record, error) {
	for {
		newest, err := a.ledger.Newest(ctx, from)
		if !errors.Is(err, backend.ErrUnknown) || ctx.Err() != nil {
			return newest, err
		}
	}
}
