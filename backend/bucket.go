package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

const (
	listPage = 1000    // keys per request; what every provider grants
	largest  = 1 << 50 // bytes; no provider keeps an object so large
)

// errNotWritten marks an error of a write after which it is certain that nothing was or will be written.
var errNotWritten = errors.New("nothing was written")

// bucketRequests is [requests] over a bucket of the blob library.
type bucketRequests struct {
	bucket *blob.Bucket
	gate   *gate
	count  *requestCounts
	remote driver.Connection // nil: the bucket is of this machine
}

var _ requests = (*bucketRequests)(nil)

// Create implements [requests].
func (o *bucketRequests) Create(ctx context.Context, key string, data []byte) error {
	return o.write(ctx, "create", key, data, true)
}

// Put implements [requests].
func (o *bucketRequests) Put(ctx context.Context, key string, data []byte) error {
	return o.write(ctx, "put", key, data, false)
}

// write goes through Upload with a content type and no MD5: with any other way of writing, the Azure driver panics
// when a conditional create loses.
func (o *bucketRequests) write(ctx context.Context, op, key string, data []byte, ifAbsent bool) error {
	r, err := o.gate.enter(ctx, int64(len(data)))
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	defer r.leave()
	options := &blob.WriterOptions{ContentType: "application/octet-stream", IfNotExist: ifAbsent}
	if o.remote != nil {
		options.BufferSize = o.remote.BufferSize()
	}
	if err := o.bucket.Upload(r.ctx, key, bytes.NewReader(data), options); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, o.writeError(r, err, ifAbsent))
	}
	return nil
}

// writeError says what an error of the blob library means for a write. A refusal says that nothing was written; any
// other error may hide that it was.
func (o *bucketRequests) writeError(r *request, err error, ifAbsent bool) error {
	verdict := o.judge(err)
	said := o.explain(r, err, verdict)
	switch {
	case errors.Is(err, errNotWritten):
		return err
	case verdict == driver.Taken && ifAbsent:
		return fmt.Errorf("%w: %w", ErrExists, said)
	case verdict == driver.Refused:
		return said
	}
	o.count.unknown.Add(1)
	return fmt.Errorf("%w: %w", ErrUnknown, said)
}

// Get implements [requests].
func (o *bucketRequests) Get(ctx context.Context, key string, part Range) ([]byte, error) {
	if part.Offset < 0 || part.Size < 0 {
		return nil, fmt.Errorf("get %s: range %d+%d is negative", key, part.Offset, part.Size)
	}
	r, err := o.gate.enter(ctx, 0) // what the range asks for may be more than there is
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	defer r.leave()
	data, err := o.read(r, key, part)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return data, nil
}

func (o *bucketRequests) read(request *request, key string, part Range) ([]byte, error) {
	length := part.Size
	if length == 0 || length > largest {
		length = -1
	}
	r, err := o.bucket.NewRangeReader(request.ctx, key, part.Offset, length, nil)
	if err != nil {
		return o.readError(request, key, part, err)
	}
	defer r.Close()
	if r.Size() < 0 {
		return nil, o.explain(request, errors.New("the answer does not say how large the object is"), driver.Unheard)
	}
	if part.Size == 0 {
		part.Size = r.Size() - part.Offset
	}
	if part.Size < 0 || part.Size > r.Size()-part.Offset {
		return nil, endsBefore(part, r.Size())
	}
	request.allow(part.Size)
	data, err := readAll(r, part.Size)
	if err != nil {
		return nil, o.explain(request, err, driver.Unheard)
	}
	return data, nil
}

func endsBefore(part Range, size int64) error {
	return fmt.Errorf("it ends at %d, before the range %d+%d: %w", size, part.Offset, part.Size, io.ErrUnexpectedEOF)
}

// readAll reads size bytes and their end. The object is known to hold them: another answer is a broken connection, or
// none of the store's, and must not look like a short object.
func readAll(r io.Reader, size int64) ([]byte, error) {
	data := make([]byte, size)
	n, err := io.ReadFull(r, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("answer broke off after %d of %d bytes", n, size)
	}
	if err != nil {
		return nil, err
	}
	switch _, err := io.ReadFull(r, make([]byte, 1)); {
	case errors.Is(err, io.EOF):
		return data, nil
	case err != nil: // some drivers compare a checksum here
		return nil, err
	}
	return nil, fmt.Errorf("answer goes on after %d bytes, which it says are all", size)
}

// readError says what an error of the blob library means for a read. A server refuses a range that begins at the end of
// an object, though it asks for nothing behind it: that is no bytes, and no error. The byte before tells.
func (o *bucketRequests) readError(r *request, key string, part Range, err error) ([]byte, error) {
	verdict := o.judge(err)
	said := o.explain(r, err, verdict)
	switch {
	case verdict == driver.Absent:
		return nil, fmt.Errorf("%w: %w", ErrNotFound, said)
	case verdict != driver.Beyond:
		return nil, said
	case part.Size > 0 || part.Offset == 0:
		return nil, fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, said)
	}
	o.count.gets.asked.Add(1) // one more
	_, err = o.read(r, key, Range{Offset: part.Offset - 1, Size: 1})
	return nil, err
}

// Delete implements [requests].
func (o *bucketRequests) Delete(ctx context.Context, key string) error {
	r, err := o.gate.enter(ctx, 0)
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	defer r.leave()
	err = o.bucket.Delete(r.ctx, key)
	if err == nil {
		return nil
	}
	verdict := o.judge(err)
	if verdict == driver.Absent {
		return nil
	}
	return fmt.Errorf("delete %s: %w", key, o.explain(r, err, verdict))
}

// ListPage implements [requests].
func (o *bucketRequests) ListPage(ctx context.Context, prefix string, token []byte) ([]listedObject, []byte, error) {
	r, err := o.gate.enter(ctx, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	defer r.leave()
	if token == nil {
		token = blob.FirstPageToken
	}
	objects, next, err := o.bucket.ListPage(r.ctx, token, listPage, &blob.ListOptions{Prefix: prefix})
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", prefix, o.explain(r, err, o.judge(err)))
	}
	page := make([]listedObject, len(objects))
	for i, object := range objects {
		page[i] = listedObject{key: object.Key, size: object.Size}
	}
	return page, next, nil
}

// judge says what an error of the blob library means.
func (o *bucketRequests) judge(err error) driver.Verdict {
	if o.remote != nil {
		return o.remote.Judge(err)
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return driver.Absent
	case gcerrors.FailedPrecondition:
		return driver.Taken
	case gcerrors.InvalidArgument, gcerrors.Unimplemented:
		return driver.Refused
	}
	return driver.Unheard
}

// explain returns an error of the blob library with the reason, if its request's context has ended; one of a server in
// words alone.
func (o *bucketRequests) explain(r *request, err error, verdict driver.Verdict) error {
	if o.remote == nil {
		return r.explain(err)
	}
	said := &serverError{text: hideTokens(err.Error()), cause: context.Cause(r.ctx)}
	switch verdict {
	case driver.Unheard, driver.Failed, driver.Throttled:
		said.passes = true
		o.count.trouble(said.cause, verdict)
	}
	return said
}
