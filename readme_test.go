package sheaf_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// block is a fenced block of a document.
type block struct {
	language string
	lines    []string
}

func (b block) text() string { return strings.Join(b.lines, "\n") + "\n" }

// blocks returns a document's fenced blocks of a language.
func blocks(t *testing.T, file, language string) []block {
	t.Helper()
	var all []block
	open := false
	for _, line := range linesOf(t, file) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence:
			if open = !open; open {
				all = append(all, block{language: fence})
			}
		case open:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	if open {
		t.Fatalf("%s: the last fence is not closed", file)
	}
	return slices.DeleteFunc(all, func(b block) bool { return b.language != language })
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// documents are the files whose words are checked.
func documents() []string { return []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"} }

// checkedBy says which file of the gate runs a command of the documents that is not run here, or which test: it contains the
// command.
func checkedBy() map[string]string {
	return map[string]string{
		"go test ./...": ".ci/run",
		"make check":    "Makefile",
		"go test -run '^$' -bench . -benchtime 1x ./...":                           ".ci/check",
		"go test ./actors -run TestInvariantsHoldInEverySchedule -sim.seeds 20000": ".ci/run",
		"go run ./cmd/demo cluster --dynamic --instances 3 --chaos 'kill 5s'":      "cmd/demo/cluster_linux_test.go",
		".ci/servers run go test -tags cloud -run Server ./internal/servertest":    ".ci/run",
	}
}

// runHere are the beginnings of commands that this test runs, with the files of the demo in a directory of its own.
const runHere = "go run ./cmd/demo"

func TestCommandsOfTheDocumentsWork(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the demo")
	}
	t.Parallel()
	dir := t.TempDir() + string(filepath.Separator)
	for _, doc := range documents() {
		for _, b := range blocks(t, doc, "sh") {
			for _, command := range b.lines {
				if _, elsewhere := checkedBy()[command]; !elsewhere && strings.HasPrefix(command, runHere) {
					runDemo(t, command, dir)
				} else {
					wantInGate(t, doc, command)
				}
			}
		}
	}
}

func runDemo(t *testing.T, command, dir string) {
	t.Helper()
	args := strings.Fields(strings.ReplaceAll(command, "flights.", dir+"flights."))
	var notes strings.Builder
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("%s: %v, %d bytes on stdout\n%s", command, err, len(out), &notes)
	}
}

func wantInGate(t *testing.T, doc, command string) {
	t.Helper()
	file, ok := checkedBy()[command]
	if !ok {
		t.Errorf("%s: nothing runs %q", doc, command)
		return
	}
	want := strings.TrimPrefix(command, "make ")
	want = strings.TrimSuffix(want, " -sim.seeds 20000") // the gate runs more of them
	if !strings.Contains(strings.Join(linesOf(t, file), "\n"), want) {
		t.Errorf("%s: %s does not run %q", doc, file, want)
	}
}

// TestCodeOfTheReadmeIsAnExample compares each program of the README with an example that is compiled and run.
func TestCodeOfTheReadmeIsAnExample(t *testing.T) {
	example := block{lines: linesOf(t, "example_readme_test.go")}.text()
	example = regexp.MustCompile(`\t// Output: .*\n`).ReplaceAllString(example, "")
	example = strings.NewReplacer("package sheaf_test\n", "package main\n", "func Example_embedded()", "func main()").Replace(example)
	programs := blocks(t, "README.md", "go")
	if len(programs) != 1 {
		t.Fatalf("README.md has %d programs, want 1", len(programs))
	}
	if got := programs[0].text(); got != example {
		t.Errorf("README.md:\n%s\nexample_readme_test.go:\n%s", got, example)
	}
}

// TestDocumentsNameWhatExists looks for every test, file and folder that a document names.
func TestDocumentsNameWhatExists(t *testing.T) {
	tests := testNames(t)
	named := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	quoted := regexp.MustCompile("`([\\w./]+(?:/|\\.go|\\.md|\\.mod|\\.proto))`")
	for _, doc := range documents() {
		text := strings.Join(linesOf(t, doc), "\n")
		for _, name := range named.FindAllString(text, -1) {
			if !tests[name] {
				t.Errorf("%s names %s, which does not exist", doc, name)
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.FromSlash(m[1])); err != nil {
				t.Errorf("%s names %s: %v", doc, m[1], err)
			}
		}
	}
}

// testNames collects the names of all tests of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, line := range linesOf(t, path) {
			if m := declared.FindStringSubmatch(line); m != nil {
				names[m[1]] = true
			}
		}
		return nil
	})
	if err != nil || len(names) < 100 {
		t.Fatalf("found %d tests: %v", len(names), err)
	}
	return names
}

// TestArchitectureHasTheImportTable compares the document's table with the one that is enforced, and its length with
// what somebody reads in one sitting.
func TestArchitectureHasTheImportTable(t *testing.T) {
	lines := linesOf(t, "ARCHITECTURE.md")
	if len(lines) > 150 {
		t.Errorf("ARCHITECTURE.md has %d lines, want at most 150", len(lines))
	}
	for folder, allowed := range mayImport() {
		row := "| `" + folder + "` | " + strings.Join(allowed, ", ") + " |"
		if len(allowed) == 0 {
			row = "| `" + folder + "` | – |"
		}
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, row) }) {
			t.Errorf("ARCHITECTURE.md has no row %q", row)
		}
	}
}

// TestConfigOfTheReadmeIsValid reads the configuration that the README shows.
func TestConfigOfTheReadmeIsValid(t *testing.T) {
	all := blocks(t, "README.md", "toml")
	if len(all) == 0 {
		t.Fatal("the README shows no configuration")
	}
	for _, b := range all {
		file := filepath.Join(t.TempDir(), "app.toml")
		if err := os.WriteFile(file, []byte(b.text()), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := backend.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := (sheaf.Config{State: c}).Validate(); err != nil {
			t.Error(err)
		}
	}
}
