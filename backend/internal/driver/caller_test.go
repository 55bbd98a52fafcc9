package driver_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// TestCallersBucket writes as callers do, not as Sheaf does: what fails is an error, whichever way it was written.
func TestCallersBucket(t *testing.T) {
	eachDialect(t, func(t *testing.T, d dialect) {
		s, store := open(t, d)
		b, once := store.Bucket(), &blob.WriterOptions{IfNotExist: true}
		if err := b.WriteAll(t.Context(), "mine", []byte("first"), once); err != nil {
			t.Fatal(err)
		}
		if _, found := s.objects["some/prefix/user/mine"]; !found {
			t.Errorf("the caller's object is not at some/prefix/user/mine")
		}
		if err := b.WriteAll(t.Context(), "mine", []byte("second"), once); gcerrors.Code(err) != gcerrors.FailedPrecondition {
			t.Errorf("create again: got %v, want a failed precondition", err)
		}
		if got, err := b.ReadAll(t.Context(), "mine"); err != nil || string(got) != "first" {
			t.Errorf("read: got %q, %v, want first", got, err)
		}
		if is, err := b.Attributes(t.Context(), "mine"); err != nil || is.Size != 5 {
			t.Errorf("attributes: got %+v, %v, want 5 bytes", is, err)
		}
		s.will(fault{says: denied})
		if err := b.WriteAll(t.Context(), "denied", []byte("x"), nil); err == nil {
			t.Error("write that is denied: got no error")
		}
		ctx, cancel := context.WithCancel(t.Context())
		w, err := b.NewWriter(ctx, "cancelled", &blob.WriterOptions{ContentType: "a/b"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
		cancel()
		if err := w.Close(); !errors.Is(err, context.Canceled) && gcerrors.Code(err) != gcerrors.Canceled {
			t.Errorf("write that is cancelled: got %v, want that", err)
		}
		if ok, err := b.Exists(t.Context(), "cancelled"); ok || err != nil {
			t.Errorf("write that was cancelled: exists %t, %v, want none", ok, err)
		}
	})
}
