package backend

import (
	"context"
	"errors"
	"io"
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

// Requests counts what a store was asked since it was opened, every try of a request for itself. All of it only grows.
// The caller's own bucket is not counted, nor is what a driver makes of one request: S3's asks whether an object is there
// before it deletes it, and moves large objects in parts.
type Requests struct {
	Creates, Puts, Gets, Deletes RequestCount
	Lists                        RequestCount // one a page; their bytes are not known
	Throttled                    int64        // the server asked for patience
	TimedOut                     int64        // ended at the deadline of a request
	Unknown                      int64        // creates and puts without an answer that says what became of them
}

// RequestCount counts the requests of one kind.
type RequestCount struct {
	Asked    int64 // tries, when they are over
	Repeated int64 // of those, the ones that repeat another
	Failed   int64 // of those, the ones without an answer; that an object stands already, or is absent, is an answer
	Bytes    int64 // of objects: sent by creates and puts, received by gets
}

// Total adds all kinds up.
func (r Requests) Total() RequestCount {
	var t RequestCount
	for _, c := range []RequestCount{r.Creates, r.Puts, r.Gets, r.Deletes, r.Lists} {
		t = RequestCount{t.Asked + c.Asked, t.Repeated + c.Repeated, t.Failed + c.Failed, t.Bytes + c.Bytes}
	}
	return t
}

// requestCounts is Requests while it grows.
type requestCounts struct {
	creates, puts, gets, deletes, lists kindCount
	throttled, timedOut, unknown        atomic.Int64
}

// kindCount is RequestCount while it grows.
type kindCount struct{ asked, repeated, failed, bytes atomic.Int64 }

// done counts a try that is over and moved bytes.
func (c *kindCount) done(bytes int, err error) {
	c.bytes.Add(int64(bytes))
	if err != nil && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotFound) && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.failed.Add(1)
	}
	c.asked.Add(1)
}

// now reads the parts before the whole: they are never more.
func (c *kindCount) now() RequestCount {
	r := RequestCount{Repeated: c.repeated.Load(), Failed: c.failed.Load(), Bytes: c.bytes.Load()}
	r.Asked = c.asked.Load()
	return r
}

// counted is [requests] that are counted. No other place counts them.
type counted struct {
	requests requests
	count    *requestCounts
}

var _ requests = (*counted)(nil)

// Create implements [requests].
func (o *counted) Create(ctx context.Context, key string, data []byte) error {
	err := o.requests.Create(ctx, key, data)
	o.count.creates.done(len(data), err)
	return err
}

// Put implements [requests].
func (o *counted) Put(ctx context.Context, key string, data []byte) error {
	err := o.requests.Put(ctx, key, data)
	o.count.puts.done(len(data), err)
	return err
}

// Get implements [requests].
func (o *counted) Get(ctx context.Context, key string, part Range) ([]byte, error) {
	data, err := o.requests.Get(ctx, key, part)
	o.count.gets.done(len(data), err)
	return data, err
}

// Delete implements [requests].
func (o *counted) Delete(ctx context.Context, key string) error {
	err := o.requests.Delete(ctx, key)
	o.count.deletes.done(0, err)
	return err
}

// ListPage implements [requests].
func (o *counted) ListPage(ctx context.Context, prefix string, token []byte) ([]listedObject, []byte, error) {
	page, next, err := o.requests.ListPage(ctx, prefix, token)
	o.count.lists.done(0, err)
	return page, next, err
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
		Creates: c.creates.now(), Puts: c.puts.now(), Gets: c.gets.now(), Deletes: c.deletes.now(), Lists: c.lists.now(),
		Throttled: c.throttled.Load(), TimedOut: c.timedOut.Load(), Unknown: c.unknown.Load(),
	}
}
