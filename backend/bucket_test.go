package backend_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"github.com/sheaf-go/sheaf/backend"
)

func uploadOptions() *blob.WriterOptions {
	return &blob.WriterOptions{ContentType: "application/octet-stream"}
}

// brokenReader gives data, then err.
type brokenReader struct {
	data []byte
	err  error
}

func (r *brokenReader) Read(p []byte) (int, error) {
	n := copy(p, r.data)
	if r.data = r.data[n:]; n > 0 {
		return n, nil
	}
	return 0, r.err
}

// fakeDriver is a store whose writes and reads go as its functions say.
type fakeDriver struct {
	driver.Bucket
	code  gcerrors.ErrorCode
	write func(ctx context.Context) error
	read  func(ctx context.Context) (io.Reader, error)
}

func (d *fakeDriver) ErrorCode(error) gcerrors.ErrorCode { return d.code }
func (d *fakeDriver) Close() error                       { return nil }

func (d *fakeDriver) NewTypedWriter(ctx context.Context, _, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return &fakeWriter{ctx: ctx, close: d.write}, nil
}

type fakeWriter struct {
	bytes.Buffer
	ctx   context.Context
	close func(ctx context.Context) error
}

func (w *fakeWriter) Close() error { return w.close(w.ctx) }

func (d *fakeDriver) NewRangeReader(ctx context.Context, _ string, _, _ int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	r, err := d.read(ctx)
	return &fakeReader{r}, err
}

type fakeReader struct{ io.Reader }

func (*fakeReader) Close() error { return nil }
func (*fakeReader) As(any) bool  { return false }
func (*fakeReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: "a/b", Size: 10}
}

func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestCreateIsUnknownUnlessTheStoreIsSure: a code that a retry may have caused says nothing of the first try.
func TestCreateIsUnknownUnlessTheStoreIsSure(t *testing.T) {
	cause := errors.New("cause")
	for code, want := range map[gcerrors.ErrorCode]error{
		gcerrors.FailedPrecondition: backend.ErrExists,
		gcerrors.InvalidArgument:    nil,
		gcerrors.Unimplemented:      nil,
		gcerrors.Unknown:            backend.ErrUnknown,
		gcerrors.Internal:           backend.ErrUnknown,
		gcerrors.PermissionDenied:   backend.ErrUnknown,
		gcerrors.NotFound:           backend.ErrUnknown,
		gcerrors.ResourceExhausted:  backend.ErrUnknown,
		gcerrors.DeadlineExceeded:   backend.ErrUnknown,
	} {
		b := blob.NewBucket(&fakeDriver{code: code, write: func(context.Context) error { return cause }})
		err := backend.NewStore(b).Objects().Create(t.Context(), "k", []byte("x"))
		if !errors.Is(err, cause) {
			t.Errorf("create, code %v: got %v, want the cause in it", code, err)
		}
		for _, verdict := range []error{backend.ErrExists, backend.ErrUnknown} {
			if errors.Is(err, verdict) != (want == verdict) {
				t.Errorf("create, code %v: got %v, want %v", code, err, want)
			}
		}
	}
}

func TestRequestsEndAtTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blob.NewBucket(&fakeDriver{write: untilDone, read: func(ctx context.Context) (io.Reader, error) {
			return nil, untilDone(ctx)
		}})
		objects := backend.NewStore(b).Objects()
		begin := time.Now()
		err := objects.Create(t.Context(), "k", make([]byte, 5<<20))
		if took := time.Since(begin); !errors.Is(err, backend.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) || took != 35*time.Second {
			t.Errorf("create of 5 MiB in a hanging store: got %v after %v, want ErrUnknown and DeadlineExceeded after 35s", err, took)
		}
		begin = time.Now()
		_, err = objects.Get(t.Context(), "k", backend.Range{})
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 30*time.Second {
			t.Errorf("get from a hanging store: got %v after %v, want DeadlineExceeded after 30s", err, took)
		}
	})
}

func TestCancelUnderWayIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := blob.NewBucket(&fakeDriver{write: func(ctx context.Context) error {
		cancel()
		return untilDone(ctx)
	}})
	err := backend.NewStore(b).Objects().Create(ctx, "k", nil)
	if !errors.Is(err, backend.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("create, cancelled after it was sent: got %v, want ErrUnknown and Canceled", err)
	}
}

// TestBrokenAnswerIsNoShortObject: the one is a fault of the network, the other of the store (I10).
func TestBrokenAnswerIsNoShortObject(t *testing.T) {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		b := blob.NewBucket(&fakeDriver{read: func(context.Context) (io.Reader, error) {
			return &brokenReader{[]byte("123"), end}, nil
		}})
		if _, err := backend.NewStore(b).Objects().Get(t.Context(), "k", backend.Range{}); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("get of 10 bytes, 3 of which come, then %v: got %v, want an error that is not ErrUnexpectedEOF", end, err)
		}
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	arrived := make(chan struct{})
	store := backend.NewStore(blob.NewBucket(&fakeDriver{write: func(ctx context.Context) error {
		close(arrived)
		return untilDone(ctx)
	}}))
	objects := store.Objects()
	done := make(chan error, 1)
	go func() { done <- objects.Create(t.Context(), "k", nil) }()
	<-arrived
	for range 2 {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := <-done; !errors.Is(err, backend.ErrUnknown) || !errors.Is(err, backend.ErrClosed) {
		t.Errorf("create under way at close: got %v, want ErrUnknown and ErrClosed", err)
	}
	if err := objects.Create(t.Context(), "k", nil); !errors.Is(err, backend.ErrClosed) || errors.Is(err, backend.ErrExists) {
		t.Errorf("create after close: got %v, want ErrClosed", err)
	}
}
