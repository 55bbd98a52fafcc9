package driver

import (
	"context"
	"net/url"

	"gocloud.dev/blob"
)

// Target says which bucket to connect to, and how. What is empty comes from the provider's usual environment.
type Target struct {
	Bucket   string
	Query    url.Values // the parameters of the URL, all of them known to backend, but not their values; endpoint and region are taken out
	Endpoint string     // base URL of a server
	Region   string

	// The secrets of the config, read anew by each call; nil: not given.
	AccessKey, SecretKey, SessionToken, Credentials func() (string, error)
}

// Connection is a bucket that can be reached. Whoever connected closes it, after the buckets that it gave.
type Connection interface {
	// Bucket returns a new handle on the bucket. One that retries does so as the provider's library is used to. One
	// that does not asks the server once, so that an answer belongs to the request that it seems to answer; only parts
	// of an object in transfer may be sent again.
	Bucket(retries bool) (*blob.Bucket, error)
	// BufferSize is the size of upload buffers that makes the driver write an object as it should, as
	// [blob.WriterOptions] takes it.
	BufferSize() int
	// Judge says what an error of such a bucket means.
	Judge(err error) Verdict
	Close() error
}

// Connect makes a connection. It may ask for credentials, but asks the bucket nothing.
type Connect func(ctx context.Context, t Target) (Connection, error)

// linked holds the drivers that the program links, by scheme. Only init functions write it.
var linked = map[string]Connect{} //nolint:gochecknoglobals // linking by import needs a place

// Register links a driver. It is for init functions.
func Register(scheme string, connect Connect) { linked[scheme] = connect }

// Linked returns the driver of a scheme; nil if the program does not link it.
func Linked(scheme string) Connect { return linked[scheme] }
