// Package backendtest holds what every store is tested with: [Conformance], the one suite that each passes, and
// [Faults], a store that fails as it is told, for tests of what stands on a store.
package backendtest
