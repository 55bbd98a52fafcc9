package backend

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

// requests are what [Objects] is made of, each asked once. Their errors are those of Objects; one that may
// pass is errTransient.
type requests interface {
	Create(ctx context.Context, key string, data []byte) error
	Put(ctx context.Context, key string, data []byte) error
	Get(ctx context.Context, key string, part Range) ([]byte, error)
	Delete(ctx context.Context, key string) error
	// ListPage returns a page of a list and the token of the next; no token: the first or, returned, it was the last.
	ListPage(ctx context.Context, prefix string, token []byte) (page []listedObject, next []byte, err error)
}

// listedObject is an object in a list.
type listedObject struct {
	key  string
	size int64
}

// Requests counts what a store was asked, every try of a request for itself. The caller's own bucket is not counted,
// nor is what a driver makes of one request: S3's asks whether an object is there before it deletes it, and moves large
// objects in parts.
type Requests struct {
	Creates, Puts, Gets, Deletes int64
	Lists                        int64 // pages
	Retries                      int64 // of all those, the ones that repeat another
	Throttled                    int64 // the server asked for patience
	TimedOut                     int64 // ended at the deadline of a request
	Unknown                      int64 // creates and puts without an answer that says what became of them
}

// requestCounts is Requests while it grows.
type requestCounts struct {
	creates, puts, gets, deletes, lists, retries, throttled, timedOut, unknown atomic.Int64
}

// trouble counts a request without an answer, or one that may pass.
func (c *requestCounts) trouble(cause error, verdict driver.Verdict) {
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		c.timedOut.Add(1)
	case verdict == driver.Throttled:
		c.throttled.Add(1)
	}
}

func (c *requestCounts) now() Requests {
	return Requests{
		Creates: c.creates.Load(), Puts: c.puts.Load(), Gets: c.gets.Load(), Deletes: c.deletes.Load(), Lists: c.lists.Load(),
		Retries: c.retries.Load(), Throttled: c.throttled.Load(), TimedOut: c.timedOut.Load(), Unknown: c.unknown.Load(),
	}
}
