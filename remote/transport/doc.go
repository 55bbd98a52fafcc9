// Package transport moves frames between instances over gRPC.
//
// Each member dials every other and sends its frames on the stream that it opened; back come only acknowledgements. A
// client dials members, and theirs for it come down its own stream.
//
//	queue of b ──▶ writer ──── frames ────▶ reader ──▶ Handler.Receive     a dials b; b dials a, with another stream
//	     ▲                                     │ done
//	   reader ◀──── acknowledgements ──── writer
//
// Promises. Frames of one connection arrive in the order of Send. A tracked one is kept until its receiver is done with it,
// and is sent again over each new connection to the same incarnation before newer ones (I4). What is not a peer is refused
// at both ends with a reason, counted, and logged once (I12). Bounds (I8): bytes queued per peer of what is not
// tracked; 4 MiB on their way to a
// reader; frames and messages in size; acknowledgements by the frames received. Silence of 5 s ends a connection.
//
// # Format 1
//
// The stream is /sheaf.Transport/Link; its messages hold frames, one behind the other, and no frame spans two. Integers are
// little-endian. The first message of each end is one hello, or an end. Ends of strings that are longer are cut off.
//
//	offset  size  what
//	0       1     kind: 1 hello, 2 end, 3 plain, 4 tracked, 5 done, 6 alive
//	1       4     length of the body
//	5       …     body
//
//	hello    8 magic "SHEAFNET", 1 format, 1 flags (1 client, 2 probe), 4 lowest and 4 highest format of data,
//	         4 capacity, 8 version, 8 term, 16 incarnation; then strings of at most 4 KiB, each behind its length in
//	         2 bytes: cluster, instance, address, app, intended instance (a dialer's)
//	end      the sender's last frame: its kind, a string as above, and the reason
//	plain    data
//	tracked  8 number, growing on its connection; data
//	done     ranges of numbers, ascending: 8 first, 8 last
//	alive    nothing
//
// # Goroutines
//
// Beside gRPC's own, which end with their connection or server:
//
//	goroutine       owner      it alone touches             what ends it
//	Serve           Transport  the listener                 Close
//	run, per peer   Transport  the peer's connection; as    Dial without the peer, Close
//	                           its writer, session.batch
//	accept, a call  gRPC       a session, as its writer     the session's end, Close
//	session.read    serve      the wire.Reader              serve kills the connection, and waits
//
// Timers: of an accepted connection (its hello is due), of a session that ends (its last words), of a client that is gone.
package transport
