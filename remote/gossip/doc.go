// Package gossip is a membership without a manager: instances tell each other who is there, over hashicorp/memberlist. A
// program links it by importing it:
//
//	import _ "github.com/sheaf-go/sheaf/remote/gossip"
//
// Each instance calls the seeds until it is one with them, and again whenever one is no member; for a day it calls members
// that it lost, too: so parts of a cluster that lost each other come together. A member that dies is gone from the lists in
// about four seconds, one that leaves at once. Of two processes of an instance the lists name the one of the newer
// incarnation.
//
// Promises. What is told is a hint (I7). A peer of another app, capacity or format is refused, counted, and logged once.
// Off loopback it takes a key (I12); whoever has the key is trusted. What memberlist calls back only copies, and calls
// nothing of it. Seeds that are not reached, and addresses whose gossip no key decrypts, are reported ([remote.Reporter]).
//
// # Keys
//
// The key file holds one key or more, of 16, 24 or 32 bytes in base64 or hex, one a line; [NewKey] makes one. Lines that
// begin with # are left out. It is read each second. To replace a key, change the files of all members thrice, and let
// each change reach all before the next: add the new key behind the old one, put it first, remove the old one.
//
// # Meta, version 1
//
// What a member says of itself, in at most 512 bytes. Integers are big-endian.
//
//	offset  size  what
//	0       1     version of this table: 1
//	1       1     flags: 1 leaving
//	2       2     capacity
//	4       4     format
//	8       16    the first bytes of the SHA-256 of the app
//	24      16    incarnation
//	40      4     weight
//	44      …     instance, address, zone: each behind its length in 2 bytes
//
// What follows is left alone: it is of a newer release. The name of a node is its instance, a dash, and the last six bytes
// of its incarnation in hex, so that a new process never waits for the name of the one before it. The label of all packets
// is the name of the cluster.
//
// # Goroutines
//
// Beside memberlist's own, which end with it, the last within a quarter of a second:
//
//	goroutine       owner    it alone touches           what ends it
//	tell            Gossip   calls of changed           Close, Leave, the context of Join
//	seek            Gossip   the seeds; one per seed    the same
//	                         or lost member, for each
//	                         call
//	watch           Gossip   the key file               the same
//	end             Gossip   memberlist's end           the same
//	sockets.accept  sockets  connections not yet taken  memberlist's end
package gossip
