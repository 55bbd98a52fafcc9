// Package backend is where state stays: the configuration of a store, the store itself, its ledger and segments, and
// the collection of what nothing reaches any more.
//
//	Config ──Open──▶ Objects ◀── Ledger ── records: the only truth (I1)
//	                        ◀── segments ── slices and partials of an epoch
//	                        ◀── Collector ── deletes what is below the floor
//
// A store is a flat name space of objects, [Objects]. The [Ledger] is a chain of create-once records in it. A [Record]
// is the complete control state at one sequence number. It names the live segments, and what it does not name does not
// exist. The floor is a sequence number below which records may be gone; a [Collector] deletes them, and the segments
// that only they named.
//
// Promises. A record that [Ledger.Append] won is durable and in force, and every later record follows it. A record that
// [Ledger.Newest] returns was the newest at some time within the call. What a retained record or a pin names is never
// deleted, and who slept past a collection is told so, [ErrCollected] or [Void] (I9). What is missing, damaged, foreign
// or too new is a typed error that names the object (I10). Bytes handed to a store are neither kept nor changed; records
// are immutable once created.
//
// # Objects of the ledger, format 1
//
// Integers are little-endian. Keys, relative to the store's prefix:
//
//	ledger/<sequence, 20 digits>  a record, created once, deleted below the floor
//	ledger/floor/<k>              floor k = 1, 2, 3, …: created once, never deleted, never lower than the one before
//	ledger/head                   hint, overwritten: "<sequence, 20 digits> <k>\n"; it may lag, be lost, or be wrong
//
// A record:
//
//	offset  size  what
//	0       8     magic "SHEAFREC"
//	8       4     format: 1
//	12      …     body, a zstd frame; inside, at most 16 MiB: the message Record of recordpb/record.proto
//	end-32  32    SHA-256 of everything before it: the digest by which the next record names this one
//
// A floor:
//
//	offset  size  what
//	0       8     magic "SHEAFFLR"
//	8       4     format: 1
//	12      8     k
//	20      8     the sequence below which records may be gone
//	28      32    SHA-256 of everything before it
//
// Magic, format and digest stay where they are in every later format, so that a damaged object is told from a newer one.
// A release reads its own format and the one before, and writes the format that the store has. Whoever extends a record
// copies all of it, and would drop a field that it does not know: so a new field always makes a new format, a release
// refuses formats above its own with a [FormatError], and an unknown field in a format that it knows is damage.
//
// Segments are documented beside their code.
package backend
