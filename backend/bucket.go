package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const listPage = 1000 // keys per request; what every provider grants

// errNotWritten marks an error of a write after which it is certain that nothing was or will be written.
var errNotWritten = errors.New("nothing was written")

// bucketObjects is [Objects] over a bucket of the blob library.
type bucketObjects struct {
	bucket *blob.Bucket
	gate   *gate
}

var _ Objects = (*bucketObjects)(nil)

// Create implements [Objects].
func (o *bucketObjects) Create(ctx context.Context, key string, data []byte) error {
	return o.write(ctx, "create", key, data, true)
}

// Put implements [Objects].
func (o *bucketObjects) Put(ctx context.Context, key string, data []byte) error {
	return o.write(ctx, "put", key, data, false)
}

// write goes through Upload with a content type and no MD5: with any other way of writing, the Azure driver panics
// when a conditional create loses.
func (o *bucketObjects) write(ctx context.Context, op, key string, data []byte, ifAbsent bool) error {
	r, err := o.gate.enter(ctx, int64(len(data)))
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	defer r.leave()
	err = o.bucket.Upload(r.ctx, key, bytes.NewReader(data), &blob.WriterOptions{
		ContentType: "application/octet-stream",
		IfNotExist:  ifAbsent,
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, key, writeError(r, err, ifAbsent))
	}
	return nil
}

// writeError says what an error of the blob library means for a write. A refusal that the same request always meets
// says that nothing was written; any other, a denied permission too, may be the answer to a retry by the driver whose
// first try landed.
func writeError(r *request, err error, ifAbsent bool) error {
	switch code := gcerrors.Code(err); {
	case errors.Is(err, errNotWritten):
		return err
	case code == gcerrors.FailedPrecondition && ifAbsent:
		return fmt.Errorf("%w: %w", ErrExists, err)
	case code == gcerrors.InvalidArgument, code == gcerrors.Unimplemented:
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, r.explain(err))
}

// Get implements [Objects].
func (o *bucketObjects) Get(ctx context.Context, key string, part Range) ([]byte, error) {
	if part.Offset < 0 || part.Size < 0 {
		return nil, fmt.Errorf("get %s: range %d+%d is negative", key, part.Offset, part.Size)
	}
	r, err := o.gate.enter(ctx, part.Size)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	defer r.leave()
	data, err := o.read(r, key, part)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, r.explain(err))
	}
	return data, nil
}

func (o *bucketObjects) read(request *request, key string, part Range) ([]byte, error) {
	length := part.Size
	if length == 0 {
		length = -1
	}
	r, err := o.bucket.NewRangeReader(request.ctx, key, part.Offset, length, nil)
	if err != nil {
		return nil, readError(err)
	}
	defer r.Close()
	if part.Size == 0 {
		part.Size = r.Size() - part.Offset
	}
	if part.Size < 0 || part.Size > r.Size()-part.Offset {
		return nil, fmt.Errorf("it ends at %d, before the range at %d: %w", r.Size(), part.Offset, io.ErrUnexpectedEOF)
	}
	request.allow(part.Size)
	return readAll(r, part.Size)
}

// readAll reads size bytes. The object is known to hold them: a shorter answer is a broken connection, and must not
// look like a short object.
func readAll(r io.Reader, size int64) ([]byte, error) {
	data := make([]byte, size)
	n, err := io.ReadFull(r, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("answer broke off after %d of %d bytes", n, size)
	}
	return data, err
}

func readError(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// Delete implements [Objects].
func (o *bucketObjects) Delete(ctx context.Context, key string) error {
	r, err := o.gate.enter(ctx, 0)
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	defer r.leave()
	err = o.bucket.Delete(r.ctx, key)
	if err == nil || gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return fmt.Errorf("delete %s: %w", key, r.explain(err))
}

// List implements [Objects]. yield runs between requests, so it may use the store.
func (o *bucketObjects) List(ctx context.Context, prefix string, yield func(string, int64) bool) error {
	for token := blob.FirstPageToken; len(token) > 0; {
		page, next, err := o.listPage(ctx, token, prefix)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, object := range page {
			if !yield(object.Key, object.Size) {
				return nil
			}
		}
		token = next
	}
	return nil
}

func (o *bucketObjects) listPage(ctx context.Context, token []byte, prefix string) ([]*blob.ListObject, []byte, error) {
	r, err := o.gate.enter(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	defer r.leave()
	page, next, err := o.bucket.ListPage(r.ctx, token, listPage, &blob.ListOptions{Prefix: prefix})
	return page, next, r.explain(err)
}
