package azure

import (
	"cmp"
	"context"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// steady is a driver over the library's bucket whose writes fail with an error. The library's own panic when a write
// fails that is neither an Upload nor empty.
type steady struct{ *blob.Bucket }

var _ driver.Bucket = steady{}

// NewTypedWriter implements [driver.Bucket]: by Upload, in a goroutine that ends before Close returns. The MD5 is
// checked on the way, and not sent: with it Upload is no Upload.
func (b steady) NewTypedWriter(ctx context.Context, key, contentType string, o *driver.WriterOptions) (driver.Writer, error) {
	r, w := io.Pipe()
	s := &steadyWriter{PipeWriter: w, ctx: ctx, done: make(chan error, 1)}
	go func() {
		err := b.Upload(ctx, key, r, &blob.WriterOptions{
			CacheControl: o.CacheControl, ContentDisposition: o.ContentDisposition, ContentEncoding: o.ContentEncoding,
			ContentLanguage: o.ContentLanguage, ContentType: cmp.Or(contentType, "application/octet-stream"), Metadata: o.Metadata,
			BufferSize: o.BufferSize, MaxConcurrency: o.MaxConcurrency, BeforeWrite: o.BeforeWrite, IfNotExist: o.IfNotExist,
		})
		_ = r.CloseWithError(err) // a write that waits ends too
		s.done <- err
	}()
	return s, nil
}

type steadyWriter struct {
	*io.PipeWriter
	ctx  context.Context // of the write: it is aborted through it
	done chan error
}

// Close implements [driver.Writer].
func (w *steadyWriter) Close() error {
	_ = w.CloseWithError(w.ctx.Err()) // nil: the end of the object
	return <-w.done
}

// ErrorCode implements [driver.Bucket].
func (b steady) ErrorCode(err error) gcerrors.ErrorCode { return gcerrors.Code(err) }

// Attributes implements [driver.Bucket].
func (b steady) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	a, err := b.Bucket.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{
		CacheControl: a.CacheControl, ContentDisposition: a.ContentDisposition, ContentEncoding: a.ContentEncoding,
		ContentLanguage: a.ContentLanguage, ContentType: a.ContentType, Metadata: a.Metadata,
		CreateTime: a.CreateTime, ModTime: a.ModTime, Size: a.Size, MD5: a.MD5, ETag: a.ETag, AsFunc: a.As,
	}, nil
}

// ListPaged implements [driver.Bucket].
func (b steady) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	token := o.PageToken
	if len(token) == 0 {
		token = blob.FirstPageToken
	}
	objects, next, err := b.ListPage(ctx, token, cmp.Or(o.PageSize, 1000), &blob.ListOptions{
		Prefix: o.Prefix, Delimiter: o.Delimiter, BeforeList: o.BeforeList,
	})
	if err != nil {
		return nil, err
	}
	page := &driver.ListPage{NextPageToken: next}
	for _, is := range objects {
		page.Objects = append(page.Objects, &driver.ListObject{
			Key: is.Key, ModTime: is.ModTime, Size: is.Size, MD5: is.MD5, IsDir: is.IsDir, AsFunc: is.As,
		})
	}
	return page, nil
}

// NewRangeReader implements [driver.Bucket].
func (b steady) NewRangeReader(ctx context.Context, key string, offset, length int64, o *driver.ReaderOptions) (driver.Reader, error) {
	r, err := b.Bucket.NewRangeReader(ctx, key, offset, length, &blob.ReaderOptions{BeforeRead: o.BeforeRead})
	if err != nil {
		return nil, err
	}
	return steadyReader{r}, nil
}

type steadyReader struct{ *blob.Reader }

// Attributes implements [driver.Reader].
func (r steadyReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: r.ContentType(), ModTime: r.ModTime(), Size: r.Size()}
}

// Copy implements [driver.Bucket].
func (b steady) Copy(ctx context.Context, to, from string, o *driver.CopyOptions) error {
	return b.Bucket.Copy(ctx, to, from, &blob.CopyOptions{BeforeCopy: o.BeforeCopy})
}

// Delete implements [driver.Bucket].
func (b steady) Delete(ctx context.Context, key string, o *driver.DeleteOptions) error {
	return b.DeleteWithOptions(ctx, key, &blob.DeleteOptions{BeforeDelete: o.BeforeDelete})
}

// SignedURL implements [driver.Bucket].
func (b steady) SignedURL(ctx context.Context, key string, o *driver.SignedURLOptions) (string, error) {
	return b.Bucket.SignedURL(ctx, key, &blob.SignedURLOptions{
		Expiry: o.Expiry, Method: o.Method, ContentType: o.ContentType,
		EnforceAbsentContentType: o.EnforceAbsentContentType, BeforeSign: o.BeforeSign,
	})
}
