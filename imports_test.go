package sheaf_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	module     = "github.com/sheaf-go/sheaf"
	protoactor = "github.com/asynkron/protoactor-go"
)

// mayImport is the table of the design: what the packages in each folder, and below it, may import of this module. A
// folder may always import what lies below it, and tests may import packages whose name ends in "test".
func mayImport() map[string][]string {
	return map[string][]string{
		"vnode":               {},
		"backend":             {"vnode"},
		"merger":              {"vnode"},
		"remote":              {"vnode"},
		"actors":              {"vnode", "backend", "merger", "remote"},
		".":                   {"vnode", "backend", "merger", "remote", "actors", "internal/storehook"},
		"actors/bridge":       {"."},
		"sheaftest":           {".", "vnode", "backend", "internal/storehook"},
		"internal/storehook":  {"backend"},
		"internal/servertest": {"backend", "vnode"},
		"cmd":                 {".", "vnode", "backend", "merger", "remote", "actors/bridge", "sheaftest"},
		"bench":               {".", "vnode", "backend", "merger", "remote", "internal/storehook"},
	}
}

// protoactorUsers are the folders that may import protoactor, and of it only its actor package.
func protoactorUsers() []string { return []string{"vnode", "merger", "actors", "actors/bridge"} }

// notLinked is what no program gets by importing the root package: drivers of clouds, gossip, and protoactor's own
// remoting.
func notLinked() []string {
	return []string{
		"cloud.google.com/", "github.com/aws/", "github.com/Azure/", "github.com/hashicorp/memberlist",
		protoactor + "/remote", protoactor + "/cluster", protoactor + "/persistence",
	}
}

// maxLinked is the number of other modules that a program links by importing the root package. Most come with
// protoactor (metrics, logs) and the blob library. Raising it is a decision.
const maxLinked = 45

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Module       *struct{ Path string }
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,TestImports,XTestImports,Module"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %v\n%s", cmd, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		all = append(all, p)
	}
}

// folderOf returns the folder of a package of this module; false for others.
func folderOf(pkg string) (string, bool) {
	if pkg == module {
		return ".", true
	}
	return strings.CutPrefix(pkg, module+"/")
}

// rowOf returns the row of the table that a folder belongs to: its own, or that of the nearest folder above.
func rowOf(t *testing.T, folder string) string {
	t.Helper()
	table := mayImport()
	for row := folder; row != "."; row = path.Dir(row) {
		if _, ok := table[row]; ok {
			return row
		}
	}
	if folder != "." {
		t.Errorf("folder %s is in no row of the import table", folder)
	}
	return "."
}

// within reports whether a folder is another, or lies below it.
func within(folder, above string) bool {
	return folder == above || (above != "." && strings.HasPrefix(folder, above+"/"))
}

func TestImportsRunOneWay(t *testing.T) {
	packages := goList(t, "./...")
	if len(packages) < 8 {
		t.Fatalf("go list found %d packages: %v", len(packages), packages)
	}
	for _, p := range packages {
		folder, _ := folderOf(p.ImportPath)
		row := rowOf(t, folder)
		allowed := mayImport()[row]
		check := func(imports []string, inTests bool) {
			for _, i := range imports {
				to, ours := folderOf(i)
				switch {
				case !ours, within(to, row), inTests && (strings.HasSuffix(to, "test") || to == "internal/storehook"):
				case !slices.Contains(allowed, rowOf(t, to)):
					t.Errorf("%s imports %s (tests: %v); folder %s may import %v", folder, to, inTests, row, allowed)
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
}

func TestProtoactorIsUsedForActorsAlone(t *testing.T) {
	users := protoactorUsers()
	for _, p := range goList(t, "./...") {
		folder, _ := folderOf(p.ImportPath)
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if !within(i, protoactor) {
				continue
			}
			if i != protoactor+"/actor" {
				t.Errorf("%s imports %s; only %s/actor is used", folder, i, protoactor)
			}
			if !slices.Contains(users, folder) && slices.Contains(p.Imports, i) {
				t.Errorf("%s imports %s; only %v may", folder, i, users)
			}
		}
	}
}

func TestCoreLinksNoCloud(t *testing.T) {
	modules := map[string]bool{}
	for _, p := range goList(t, "-deps", ".") {
		if p.Module != nil && p.Module.Path != module {
			modules[p.Module.Path] = true
		}
		for _, no := range notLinked() {
			if strings.HasPrefix(p.ImportPath, no) {
				t.Errorf("the root package links %s", p.ImportPath)
			}
		}
		folder, ours := folderOf(p.ImportPath)
		if ours && !within(folder, "remote/transport") && slices.ContainsFunc(p.Imports, func(i string) bool { return within(i, "google.golang.org/grpc") }) {
			t.Errorf("%s imports grpc: only the transport of a cluster may", p.ImportPath)
		}
	}
	if len(modules) > maxLinked {
		t.Errorf("the root package links %d other modules, the budget is %d: %v", len(modules), maxLinked, slices.Sorted(maps.Keys(modules)))
	}
	t.Logf("%d other modules are linked, of %d", len(modules), maxLinked)
}
