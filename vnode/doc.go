// Package vnode is what a vnode is: one of the partitions of the keyed state, and the actor that owns it.
//
//	key ── hash (xxh3) ── % capacity ──▶ vnode ──┬─ Rules   which events count, when to capture
//	                                             ├─ Slice   key -> state, and what changed since the last seal
//	                                             └─ Actor   the shell around both
//
// The nouns. An [ID] is a partition's number. A [Slice] is the state that a vnode owns. A [Batch] carries the events of
// one origin and an interval of its positions (I4); the last batch before a cut is the barrier (I5). An [Attempt] is
// one try at sealing an epoch. A [Life] is what a vnode is from one restore to the next; a [SliceID] names a captured
// slice. A [View] is what a vnode must know of a ledger record. An [Assignment] says who owns what.
//
// Promises. An event changes the state of its key once, whatever is sent twice, late or out of order (I4). A capture
// holds every key that changed or went since the newest sealed slice, the positions and the partial result, all taken
// in one turn, and shares no memory with the state (I3). It builds on the newest sealed slice or on an earlier capture
// of the same life; whoever reads a record that says otherwise drops its slice and restores (I2). A panic of the app
// ends a life, never the process, and an event that keeps panicking is rejected after some tries (I11).
//
// Who owns the bytes. A batch belongs to the vnode from the send until its owner is told that it is finished. Events
// belong to Sheaf. States belong to the slice and are read and changed in its actor's turn alone.
//
// # Batches
//
// Within a process a batch is handed over by reference. Beside each event stands a [Slot]: the 44 upper bits of the
// key's hash, and 20 bits of its position counted from the batch's base. So the vnode never hashes a key, and a batch of
// events of many vnodes' positions needs eight bytes per event and no more.
//
// # Entries of a delta, format 1
//
// A delta is a sequence of entries, of distinct keys, in no order that means anything. A base is a delta on the empty
// slice. The frames and the footer around them are the segment's, in package backend.
//
//	size     what
//	uvarint  length of the key in bytes, times two; plus one if the key is deleted
//	…        the key, as [KeyOps] writes it
//	uvarint  length of the state in bytes; absent if the key is deleted
//	…        the state, as the app's codec writes it
package vnode
