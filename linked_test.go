package sheaf_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxPackages are the packages of other modules that a program links by importing one of ours: the core's all, a
// driver's beyond those of the core. Raising one is a decision.
func maxPackages() map[string]int {
	return map[string]int{
		"":               240,
		"/backend":       235,
		"/backend/s3":    110,
		"/backend/gcs":   300,
		"/backend/azure": 145,
		"/remote/gossip": 30,
	}
}

// clouds are what only the driver of that cloud may link, and gossip: paths that begin so. What they share is in the
// budgets.
func clouds() map[string][]string {
	return map[string][]string{
		"/backend/s3":    {"github.com/aws/", module + "/backend/s3"},
		"/backend/gcs":   {"cloud.google.com/go/storage", module + "/backend/gcs"},
		"/backend/azure": {"github.com/Azure/", "github.com/AzureAD/", module + "/backend/azure"},
		"/remote/gossip": {"github.com/hashicorp/", module + "/remote/gossip"},
	}
}

// TestPackagesAreWithinBudget: who keeps state on a disk does not pay for clouds, and who uses one cloud not for another.
func TestPackagesAreWithinBudget(t *testing.T) {
	core := map[string]bool{}
	for _, p := range goList(t, "-deps", module) {
		core[p.ImportPath] = true
	}
	for folder, limit := range maxPackages() {
		own, count := clouds()[folder], 0
		for _, p := range goList(t, "-deps", module+folder) {
			if p.Module != nil && p.Module.Path != module && (own == nil || !core[p.ImportPath]) {
				count++
			}
			for cloud, begins := range clouds() {
				is := slices.ContainsFunc(begins, func(begin string) bool { return strings.HasPrefix(p.ImportPath, begin) })
				if is && cloud != folder {
					t.Errorf("%s links %s: only %s may", module+folder, p.ImportPath, module+cloud)
				}
			}
		}
		if count > limit || count < limit/2 {
			t.Errorf("%s links %d packages, the budget is %d", module+folder, count, limit)
		}
		t.Logf("%s: %d packages, budget %d", module+folder, count, limit)
	}
}

// maxProgram is the size of a program that only opens an instance, without symbols, in bytes: linux/amd64 has 17.8 MB, of
// which the transport of clusters is 1.5 MB. That is a twelfth: less than what an import to be remembered would cost.
const maxProgram = 20 << 20

func TestProgramIsWithinBudget(t *testing.T) {
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	text := `package main

import (
	"context"

	"` + module + `"
)

func main() {
	_, _ = sheaf.Open(context.Background(), sheaf.Config{}, sheaf.App[string, int, int, int]{})
}
`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > maxProgram || size < maxProgram/2 {
		t.Errorf("the program has %d bytes, the budget is %d", size, maxProgram)
	}
	t.Logf("%d bytes, budget %d", info.Size(), maxProgram)
}
