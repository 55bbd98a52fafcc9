package backend_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/backend/backendtest"
)

// Some tests need other processes: they start this test program again, with childEnv set to what it shall do.
const childEnv = "SHEAF_TEST_CHILD"

// child is this program in another process.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\n"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{cmd: cmd, in: in, out: bufio.NewScanner(out)}
}

// answer returns the next line that the child says, without its mark.
func (c *child) answer(t *testing.T) string {
	t.Helper()
	for c.out.Scan() {
		if line, found := strings.CutPrefix(c.out.Text(), "child: "); found {
			return line
		}
		t.Log(c.out.Text())
	}
	t.Fatalf("the child ended: %v", c.out.Err())
	return ""
}

func (c *child) want(t *testing.T, line string) {
	t.Helper()
	if got := c.answer(t); got != line {
		t.Fatalf("child: got %q, want %q", got, line)
	}
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // it says that it was killed
}

// TestChild is what this program does as a child.
func TestChild(t *testing.T) {
	task := strings.Split(os.Getenv(childEnv), "\n")
	switch task[0] {
	case "hold":
		holdChild(t, task[1], task[2])
	case "race":
		raceChild(t, task[1], task[2])
	}
}

// TestOneProcessWinsEachCreate lets 4 processes of 8 goroutines create the same keys, while others of their goroutines
// read them: one creator wins, and what is read is whole and stays as it is (I1).
func TestOneProcessWinsEachCreate(t *testing.T) {
	dir := t.TempDir()
	children := make([]*child, 4)
	for i := range children {
		children[i] = startChild(t, "race", dir, fmt.Sprintf("node-%d", i))
		children[i].want(t, "open")
	}
	for _, size := range []int{4 << 10, 256 << 10} {
		for round := range 50 {
			for _, c := range children {
				fmt.Fprintf(c.in, "%d %d\n", round, size)
			}
			winners, reads := 0, 0
			for i, c := range children {
				var won, read int
				if answer := c.answer(t); !scanned(answer, &won, &read) {
					t.Fatalf("round %d of %d bytes, process %d: %s", round, size, i, answer)
				}
				winners, reads = winners+won, reads+read
			}
			if winners != 1 || reads == 0 {
				t.Fatalf("round %d of %d bytes: got %d winners and %d reads, want one winner and some reads", round, size, winners, reads)
			}
		}
	}
	for _, c := range children {
		if err := errors.Join(c.in.Close(), c.cmd.Wait()); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	wantNoTemp(t, dir)
}

func scanned(answer string, won, read *int) bool {
	n, err := fmt.Sscanf(answer, "%d won, %d read", won, read)
	return n == 2 && err == nil
}

// raceChild runs a round for each line that it reads: its number and the size of the object.
func raceChild(t *testing.T, dir, instance string) {
	s := backendtest.Open(t, backend.ObjectStore(fileURL(dir), instance))
	fmt.Println("child: open")
	for {
		var round, size int
		if _, err := fmt.Scan(&round, &size); err != nil {
			return
		}
		key := fmt.Sprintf("race/%d/%d", size, round)
		won, read, err := raceRound(t.Context(), s.Objects(), key, size)
		if err != nil {
			fmt.Printf("child: %q\n", err)
			continue
		}
		fmt.Printf("child: %d won, %d read\n", won, read)
	}
}

func raceRound(ctx context.Context, objects backend.Objects, key string, size int) (won, read int, err error) {
	var all sync.WaitGroup
	var winners, reads atomic.Int64
	errs := make([]error, 10)
	for i := range errs {
		all.Go(func() {
			if i >= 8 {
				n, err := readUntilThere(ctx, objects, key, size)
				reads.Add(int64(n))
				errs[i] = err
				return
			}
			err := objects.Create(ctx, key, signedObject(size))
			if err == nil {
				winners.Add(1)
			} else if !errors.Is(err, backend.ErrExists) {
				errs[i] = err
			}
		})
	}
	all.Wait()
	return int(winners.Load()), int(reads.Load()), errors.Join(errs...)
}

// signedObject is noise behind its own digest.
func signedObject(size int) []byte {
	data := make([]byte, size)
	noise := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, rand.Uint64(), rand.Uint64())))
	_, _ = noise.Read(data[sha256.Size:]) // never fails
	digest := sha256.Sum256(data[sha256.Size:])
	copy(data, digest[:])
	return data
}

// readUntilThere reads a key until it is there, and then some more: every read is whole, and the same.
func readUntilThere(ctx context.Context, objects backend.Objects, key string, size int) (reads int, err error) {
	var seen []byte
	for reads < 10 {
		data, err := objects.Get(ctx, key, backend.Range{})
		if errors.Is(err, backend.ErrNotFound) && seen == nil {
			continue
		}
		if err != nil {
			return reads, err
		}
		reads++
		if len(data) != size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data) {
			return reads, fmt.Errorf("read %d of %s is torn", reads, key)
		}
		if seen != nil && !bytes.Equal(data, seen) {
			return reads, fmt.Errorf("read %d of %s is another object", reads, key)
		}
		seen = data
	}
	return reads, nil
}
