package sheaf_test

import (
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
	}
}

// clouds are what only the driver of that cloud may link: paths that begin so. What they share is in the budgets.
func clouds() map[string][]string {
	return map[string][]string{
		"/backend/s3":    {"github.com/aws/", module + "/backend/s3"},
		"/backend/gcs":   {"cloud.google.com/go/storage", module + "/backend/gcs"},
		"/backend/azure": {"github.com/Azure/", "github.com/AzureAD/", module + "/backend/azure"},
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
