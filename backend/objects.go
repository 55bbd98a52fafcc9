package backend

import "context"

// Objects is all that Sheaf asks of a store. Keys are relative to the store's prefix, plain ASCII, and no key is the
// directory of another. Every store passes the conformance suite in backendtest. Implementations are safe for
// concurrent use and neither keep nor change the bytes they are given.
type Objects interface {
	// Create writes an object only if the key is absent, atomically and durably: of any number of racing creators one
	// wins, and no reader ever sees a part of an object. It returns [ErrExists] if the key is taken and [ErrUnknown]
	// if the outcome cannot be told: the object may stand, or may still come to stand. Any other error means that
	// nothing was or will be written. Creators have different bytes, or it is all the same whose stand: one whose answer
	// was lost is told that it won if what stands are its bytes.
	Create(ctx context.Context, key string, data []byte) error
	// Put writes an object whether or not the key is taken. Only hints are written so.
	Put(ctx context.Context, key string, data []byte) error
	// Get reads part of an object; the zero Range is all of it. It returns [ErrNotFound] if the key is absent and
	// [io.ErrUnexpectedEOF] if the object ends before the range does.
	Get(ctx context.Context, key string, part Range) ([]byte, error)
	// Delete removes an object; an absent key is no error.
	Delete(ctx context.Context, key string) error
	// List calls yield for each key that begins with prefix, in ascending order, until yield returns false.
	List(ctx context.Context, prefix string, yield func(key string, size int64) bool) error
}

// Range is a part of an object in bytes. Size 0 reaches to the end.
type Range struct {
	Offset, Size int64
}
