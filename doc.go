// Package sheaf embeds durable keyed state in a Go program: an actor-model runtime whose state survives kill -9, is
// read as one consistent answer per epoch, and moves from one process to a cluster by one configuration value.
//
// An [App] says what an event's key is, how an event changes the state of its key, and how states fold into a result.
// [Open] runs it:
//
//	source / producer ── key -> vnode ──▶ 256 vnodes (actors), each owns a slice of the keys
//	                                        │ at a barrier: what changed, and a partial result
//	                                        ▼
//	                     one segment and one ledger record per epoch, in any blob store: sealed
//	                                        ▼
//	                     sinks: one result per sealed epoch, in order, exactly once
//
// Promises. Each event changes its key's state once, whatever crashes (exactly once). A result holds exactly the events
// up to the positions that it names, and is emitted only after its epoch is sealed; after a crash an epoch may be
// emitted again, with the same number and bytes. What is missing, torn or foreign is a typed error, never an empty
// start. Everything that waits has a bound, which slows whoever sends.
//
// A [Source] can be read again from an offset and is replayed by reading. A [Producer] is pushed to and keeps events
// until they are sealed; a [Resumable] numbers its own events and goes on after a crash where the sealed ones end.
//
// The packages below are the parts: vnode, backend, merger, remote and actors. Programs need this package and backend
// for the configuration of the store.
package sheaf
