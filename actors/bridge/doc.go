// Package bridge puts a Sheaf instance into a program's own protoactor system: PIDs in, messages out.
//
//	                 Update ──▶ ┌────────┐ ──▶ producer ──▶ vnodes ──▶ … sealed epochs
//	your actors                 │ bridge │                                  │
//	     ▲  ▲        Get ─────▶ └────────┘ ──▶ the key's vnode              ▼
//	     │  └── Accepted, State, *Refused ┘                               Sink
//	     └───────────────────── sheaf.Result, answered with Taken ──────────┘
//
// A [Bridge] is spawned from its [Bridge.Props] like any actor. It understands [Update] and [Get]. A request is
// answered with [Accepted] or [State], or with a [*Refused] that says why not; a message of another type is refused with
// a [*MessageError]. What was told, not requested, and cannot be carried out is counted in [Stats] and becomes a dead
// letter of the program's system.
//
// Order. Updates reach the producer in the order in which they reached the bridge, so the order of one sender holds. A
// Get is answered beside the updates, from the live state: it may or may not show an update that was just accepted.
//
// Back-pressure. The bridge's actor never waits. Updates that the producer does not take yet, since one of its bounds is
// reached, wait in a queue of [Config].Pending; their requests are answered when they are taken. Behind a full queue an
// update is refused with a [*BoundError], and so is a Get beyond [Config].Reads at once. Whoever sends faster than the
// store can seal should request, and wait for answers.
//
// Durability. Accepted is not sealed: what is accepted survives a crash once the producer's Flush has returned, or a
// result has been emitted behind it. A bridge that stops refuses what waits in its queue and leaves the producer open;
// what has not left its mailbox is dropped by the actor system without an answer, unless the bridge is ended by Poison.
//
// Each bridge that runs has one goroutine, which sends updates to the producer, and one for each Get under way. All end
// before the actor has stopped.
package bridge
