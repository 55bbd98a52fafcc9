// Package wire is the format of what two instances say to each other: bytes in, frames out, and back. It knows no
// connection.
//
// A message of a stream is one frame or more, one behind the other. The first message of each end is one frame, a hello
// or an end; no other hello follows. The byte table stands in the documentation of package transport.
package wire
