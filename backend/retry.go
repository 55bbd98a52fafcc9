package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// A request whose error may pass is repeated, after a pause that doubles from firstPause to longestPause, less up to
// half of it by lot. No try begins later than retryTime after the first; each has the deadline of a request besides.
const (
	retryTime    = time.Minute
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// retrying is [Objects] over requests that are asked once each. It is the only place that repeats any.
//
// A create is repeated like the rest, but what its tries meet must be told apart. A try without an answer may have
// landed, or land later. Whatever a later try meets then, the outcome is settled by what stands at the key: the bytes
// that were to be created say that a try has landed, for no two creators have the same (records carry a nonce, segments
// an id; of floors it does not matter whose they are); other bytes that the create is lost, for good; and if nothing
// can be told the outcome is [ErrUnknown], as it is if every try is without an answer. A first try that is refused
// needs none of this: the driver asks once, so that the refusal cannot be the echo of an earlier success.
type retrying struct {
	requests requests
	count    *requestCounts
	wait     func(context.Context, time.Duration) error // returns early, with the reason, when waiting is of no use
	jitter   func() float64                             // in [0, 1)
}

var _ Objects = (*retrying)(nil)

// Create implements [Objects].
func (o *retrying) Create(ctx context.Context, key string, data []byte) error {
	var doubt error // of the last try without an answer
	return o.repeat(ctx, &o.count.creates, func() error {
		err := o.requests.Create(ctx, key, data)
		switch {
		case errors.Is(err, ErrUnknown):
			doubt = err
		case err != nil && doubt != nil:
			return o.settle(ctx, key, data, err, doubt)
		}
		return err
	})
}

// settle says what became of a create of which an earlier try is in doubt and the last met err.
func (o *retrying) settle(ctx context.Context, key string, data []byte, err, doubt error) error {
	if !errors.Is(err, ErrExists) {
		return fmt.Errorf("%w: %w, after a try that went: %v", ErrUnknown, err, doubt) //nolint:errorlint // it is over
	}
	stands, getErr := o.Get(ctx, key, Range{})
	switch {
	case getErr != nil:
		return fmt.Errorf("%w: it cannot be told whose object stands: %w", ErrUnknown, getErr)
	case bytes.Equal(stands, data):
		return nil
	}
	return err
}

// Put implements [Objects].
func (o *retrying) Put(ctx context.Context, key string, data []byte) error {
	return o.repeat(ctx, &o.count.puts, func() error { return o.requests.Put(ctx, key, data) })
}

// Get implements [Objects].
func (o *retrying) Get(ctx context.Context, key string, part Range) (data []byte, err error) {
	err = o.repeat(ctx, &o.count.gets, func() error {
		data, err = o.requests.Get(ctx, key, part)
		return err
	})
	return data, err
}

// Delete implements [Objects].
func (o *retrying) Delete(ctx context.Context, key string) error {
	return o.repeat(ctx, &o.count.deletes, func() error { return o.requests.Delete(ctx, key) })
}

// List implements [Objects]. yield runs between requests, so it may use the store.
func (o *retrying) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	for page, token := []listedObject(nil), []byte(nil); ; {
		err := o.repeat(ctx, &o.count.lists, func() (err error) {
			page, token, err = o.listPage(ctx, prefix, token)
			return err
		})
		if err != nil {
			return err
		}
		for _, object := range page {
			if !yield(object.key, object.size) {
				return nil
			}
		}
		if len(token) == 0 {
			return nil
		}
	}
}

// listPage keeps the token of a page that did not come.
func (o *retrying) listPage(ctx context.Context, prefix string, token []byte) ([]listedObject, []byte, error) {
	page, next, err := o.requests.ListPage(ctx, prefix, token)
	if err != nil {
		return nil, token, err
	}
	return page, next, nil
}

// repeat makes a request until its error is none that may pass, or time is up.
func (o *retrying) repeat(ctx context.Context, kind *kindCount, request func() error) error {
	begin := time.Now()
	for tries, pause := 1, firstPause; ; tries, pause = tries+1, min(2*pause, longestPause) {
		err := request()
		if !errors.Is(err, errTransient) {
			return err
		}
		d := pause - time.Duration(o.jitter()*float64(pause)/2)
		if time.Since(begin)+d > retryTime {
			return fmt.Errorf("%w: given up after %d tries", err, tries)
		}
		if waitErr := o.wait(ctx, d); waitErr != nil {
			return errors.Join(err, waitErr)
		}
		kind.repeated.Add(1)
	}
}
