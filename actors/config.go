package actors

import (
	"time"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
)

// Config is what an instance runs on. Everything is set by the root package.
type Config[K vnode.Key, E, S, R any] struct {
	App      vnode.App[K, E, S, R]
	Identity backend.Identity
	Store    backend.Objects
	Instance string
	Events   vnode.Codec[E] // between instances
	Cluster  *ClusterConfig // nil: this instance is alone

	// Merge folds one result into another; Sinks take the results. Nil and none without App.Fold.
	Merge func(into *R, from R)
	Sinks []merger.Sink[R]

	DeadLetter func(vnode.Rejected[E]) // nil: logged only
	Tries      int                     // times that a panicking event is applied

	Epoch   time.Duration // from one epoch's barrier to the next
	Timeout time.Duration // for an epoch to be sealed
	Retain  int           // records
	Limits  Limits

	Log      *zap.Logger
	Timeline *Timeline               // of the opening so far
	Requests func() backend.Requests // made of the store so far
}

// Limits bound what waits (I8).
type Limits struct {
	InFlight  int64 // bytes of a source's or producer's events that are sent and not applied
	History   int64 // bytes of a producer's unsealed events
	Producers int   // names
	Sources   int   // names
}

// maxInFlight bounds, in bytes, what a source sends ahead of the vnodes of its own process, whatever the config allows:
// what a barrier of it waits behind, too. Half as much slows ingest; twice as much won nothing that could be measured.
const maxInFlight = 4 << 20

// What a batch holds at most: enough events to make the cost of a message small beside them, and to find many keys of a
// vnode in the processor's cache that the same batch brought there; fewer with many vnodes, or large events, so that the
// buffers of a source stay small.
const (
	minBatch    = 64
	maxBatch    = 1024
	buffersRoom = 8 << 20 // bytes of a source's buffers, one for each vnode
)

// batchLen is how many events a batch holds at most.
func batchLen[E any](capacity int) int {
	return int(min(maxBatch, max(minBatch, buffersRoom/int64(capacity)/bytesOf[E](1))))
}
