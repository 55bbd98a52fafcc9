package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	demo "github.com/sheaf-go/sheaf/cmd/demo"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// asDemo makes the test binary the demo: tests that kill a process need a real one.
const asDemo = "DEMO_TEST_IS_DEMO"

func TestMain(m *testing.M) {
	if os.Getenv(asDemo) != "" {
		os.Exit(demo.Demo(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// answer is what a command line came to.
type answer struct {
	args       []string
	code       int
	out, notes string
}

// call carries out a command line in this process.
func call(args ...string) answer {
	var out, notes bytes.Buffer
	code := demo.Demo(args, &out, &notes)
	return answer{args, code, out.String(), notes.String()}
}

// want checks the exit code, and that the notes hold each of the texts.
func (a answer) want(t *testing.T, code int, notes ...string) answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("demo %q: got exit code %d, want %d; notes:\n%s", a.args, a.code, code, a.notes)
	}
	for _, text := range notes {
		if !strings.Contains(a.notes, text) {
			t.Errorf("demo %q: got notes %q, want %q in them", a.args, a.notes, text)
		}
	}
	return a
}

// header is the first line of every input.
const header = flights.Header + "\n"

// inputOf writes the first rows of an input to a CSV file, all of them if rows is 0, and returns its path.
func inputOf(t testing.TB, rows int) string {
	t.Helper()
	sample, err := flights.Sample()
	if err != nil {
		t.Fatal(err)
	}
	defer sample.Close()
	text, err := sample.Text()
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var head bytes.Buffer
	buffer := make([]byte, 1<<16)
	for lines := 0; lines <= rows; {
		n, err := text.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.SplitAfter(buffer[:n], []byte("\n")) {
			if lines <= rows {
				head.Write(line)
			}
			if bytes.HasSuffix(line, []byte("\n")) {
				lines++
			}
		}
	}
	return fileOf(t, "input.csv", head.Bytes())
}

// fileOf writes a file of its own and returns its path.
func fileOf(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
