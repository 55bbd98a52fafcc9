// Package actors is how Sheaf runs: it turns the rules of vnodes, producers, the coordinator and the merger into one
// [Instance], with its goroutines, timers and requests to the store.
//
//	source, producer ── batches, barriers ──▶ vnodes ── captures ──▶ checkpointer ── segment ──▶ store
//	        ▲  ▲                                │  ▲                     │  └─ partials ──▶ merger ──▶ sinks
//	        │  └────────── replies ─────────────┘  │                     │ captured
//	        └──── views of records, attempts ──────┴─── coordinator ◀────┘── record ──▶ store
//
// In a cluster the same picture spans instances: every one has vnodes, a checkpointer, sources, producers, and a follower,
// through which it hears of the ledger. One has a reign as well: the coordinator and the merger. In a static cluster its
// configuration says which; in an elastic one whoever begins a term, until another does. Actors of other instances are sent messages by their
// PIDs, which resolve to [far]; what arrives is handed on by received. Such a message may be lost, repeated or late: what
// matters is said again, and positions, attempts, lives and records decide what it still means (I4).
//
//	instance A                                         instance B
//	source ── batch ──▶ far B ══ transport ══▶ received ──▶ vnode
//	       ◀── reply ── received ◀══ transport ══ far A ◀──┘
//	coordinator ── record, beat ──▶ far B ══════▶ follower ──▶ vnodes, sources, checkpointer
//	            ◀── claim, cut, captured, wishes ════════════╯
//
// A file *_rules.go holds rules: a state machine without goroutine, clock or store, a call in and effects out. The file
// of the same name without _rules is its shell. The simulator in the tests drives the rules alone; the shells only carry
// out what they say. Everything that crosses from one row below to another is a message, an atomic, or guarded by a
// mutex whose comment says so. Views, records and captures are immutable once they have been sent.
//
// # Actors
//
// An actor takes one message at a time, in order. Nothing that waits runs in its turn.
//
//	actor         owner       it alone touches                        what ends it
//	supervisor    Instance    the spawning and restarting of vnodes   Instance.Abort, first; its vnodes with it
//	vnode, each   supervisor  its slice, rules and held-back batches  its supervisor; a panic of the app, or a sealed
//	                                                                  slice that is not its own, only ends its life
//	checkpointer  Instance    captures of the newest attempt          Instance.Abort
//	merger        reign       sealed epochs that no sink has, and     the reign, or Instance.Abort
//	                          their partials
//	coordinator   reign       CoordinatorRules, its timer, the        the reign: another begins a term, or this one
//	                          answers that it owes                    has left; or Instance.Abort
//	follower      Instance    FollowerRules and its timer; it         Instance.Abort, last
//	                          begins reigns
//
// A panic of a vnode's app starts a new life of the vnode. A panic of another actor is a mistake of ours and ends the
// instance, with an error that says so.
//
// # Goroutines
//
// Instance.Abort cancels the instance's context, stops the actors, and waits for every row but the last; Instance.Close
// waits for that too.
//
//	goroutine     owner         it alone touches                      what ends it
//	restoreLoop   Instance      the queue of vnodes without a slice   the instance's context
//	compactLoop   Instance      the one fold under way                the instance's context
//	prepareLoop   Instance      slices that are to move here, until   the instance's context
//	                            a record makes them its own
//	collectLoop   Instance      the Collector; it does something only the instance's context
//	                            in a reign
//	beatLoop      Instance      nothing: it repeats what the          the instance's context
//	                            coordinator here said
//	lead          reign         nothing: it reads what is to be       the coordinator is told where it begins
//	                            emitted, once the reign before has
//	                            let go of the sinks
//	letGo         reign         nothing: it waits for what the reign  the last of that has returned
//	                            before does with the sinks
//	serveOffer    Attach        one source of an elastic cluster: it  the source's end is sealed, the offer is
//	                            runs source.run while a record says   withdrawn, or the instance's context
//	                            so
//	runner, ≤ 64  runners       the turn of one vnode at a time       Instance.Abort, once the vnodes have stopped
//	source.run    Attach        SourceRules, one buffer per vnode     its end is sealed, or the instance's context
//	openProducer  Producer      one question to the coordinator       the answer, or the instance's context
//	readAhead     source.run    the user's Reader                     its last chunk, or source.run cancels it
//	append        coordinator   one try at one record                 its outcome; one at a time
//	pack          checkpointer  the captures of one attempt           its put stands, or a higher attempt cancels it
//	call, search  follower      one question to an instance, or to    its answer, or the instance's context
//	                            the ledger
//	giveBack,     Instance      one question to the coordinator       its answer, or the instance's context
//	attachAgain
//	emit, fetch,  merger        one epoch's result; sinks are         it is done; one at a time
//	and pause                   called here
//	stop          an actor      nothing: it calls Instance.Abort      Abort returns
//
// Timers, which only send a message or take the producer's lock: the coordinator's (stopped with it) and one of each
// plain producer, which sends half-full batches (stopped by Close, by a newer generation and by Abort). And that of the
// runners, which wakes one more of them (stopped with them).
//
// A plain producer and a resumable one have no goroutine of their own: their state is under their mutex, and is touched
// by whoever calls Send and Flush and, for a moment, by the vnode that replies.
//
// # Bounds (I8)
//
// Events that are read ahead are bounded per source by their number; those in flight, by bytes, per source and
// producer; unsealed ones per producer, names per store, sealed epochs that wait for the sinks by four. Whoever reaches a
// bound waits, or is refused by name; Status says which bound it is. Between instances what is in flight counts per source
// or producer and receiving instance, until the vnode there has finished with it or its process is gone; other messages
// have a bound per peer, past which they are lost, and said again.
package actors
