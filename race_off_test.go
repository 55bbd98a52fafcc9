//go:build !race

package sheaf_test

const raceEnabled = false
