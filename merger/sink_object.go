package merger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// ErrConflict is returned by an object sink that finds other bytes under an epoch's key than it would write: another
// program, or another version of the app's codec, writes to the same place.
var ErrConflict = errors.New("the object of this epoch exists with other bytes")

// ObjectSink writes one object per epoch, once: an object that exists is compared.
type ObjectSink[R any] struct {
	bucket *blob.Bucket
	key    func(Result[R]) string
	encode func(Result[R]) ([]byte, error)
}

var _ Sink[int] = (*ObjectSink[int])(nil)

// NewObjectSink returns a sink that writes encode(r) under key(r) in a bucket, which the caller closes after the
// instance. Nil functions write [Result.Encoded] under epoch-<20 digits>.
func NewObjectSink[R any](bucket *blob.Bucket, key func(Result[R]) string, encode func(Result[R]) ([]byte, error)) *ObjectSink[R] {
	if key == nil {
		key = func(r Result[R]) string { return fmt.Sprintf("epoch-%020d", r.Epoch) }
	}
	if encode == nil {
		encode = func(r Result[R]) ([]byte, error) { return r.Encoded, nil }
	}
	return &ObjectSink[R]{bucket: bucket, key: key, encode: encode}
}

// Emit creates the epoch's object.
func (s *ObjectSink[R]) Emit(ctx context.Context, r Result[R]) error {
	data, err := s.encode(r)
	if err != nil {
		return fmt.Errorf("encode epoch %d: %w", r.Epoch, err)
	}
	key := s.key(r)
	err = s.bucket.Upload(ctx, key, bytes.NewReader(data), &blob.WriterOptions{IfNotExist: true, ContentType: "application/octet-stream"})
	if gcerrors.Code(err) != gcerrors.FailedPrecondition {
		return err
	}
	stands, err := s.bucket.ReadAll(ctx, key)
	if err != nil {
		return fmt.Errorf("compare object %s: %w", key, err)
	}
	if !bytes.Equal(stands, data) {
		return fmt.Errorf("object %s: %w", key, ErrConflict)
	}
	return nil
}
