package bench_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// residentMB is the memory of this process in megabytes: what is resident, where the system says so in /proc, else what
// the Go runtime holds.
func residentMB() float64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
				kb, _ := strconv.ParseFloat(f[1], 64)
				return kb / 1e3
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys-m.HeapReleased) / 1e6
}
