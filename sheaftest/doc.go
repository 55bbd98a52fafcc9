// Package sheaftest is for tests of programs that use Sheaf: is the app one that can be restored, replayed and merged?
//
// [Laws] draws events, keys and states at random and checks what Sheaf relies on: codecs that keep everything and are
// canonical, updates that depend on their arguments alone, folds in any order of keys, merges in any grouping by vnode. A
// law that does not hold is named with the smallest counterexample found.
//
// [Simulate] runs given events through a real instance on a store in memory, in virtual time, while it crashes, its
// store fails or answers wrongly, and its updates panic. Every result must be the fold of exactly the events up to its
// cut, and the state at the end the fold of all: what a plain program without Sheaf computes.
//
//	func TestLaws(t *testing.T) { sheaftest.Laws(t, app, func(r *rand.Rand) Event { … }) }
//
//	func TestSimulate(t *testing.T) { sheaftest.Simulate(t, app, events) }
//
// Both are seeded: what a run found is found again with the [Seed] that it printed.
package sheaftest
