// Package transport moves frames between instances over gRPC.
package transport
