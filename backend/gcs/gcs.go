package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

func init() { driver.Register(gcsblob.Scheme, connect) } //nolint:gochecknoinits // linking by import

// scope is what a store needs: objects are read, created, replaced and deleted, nothing is administered.
const scope = "https://www.googleapis.com/auth/devstorage.read_write"

// connection is the account and the server, with everything that the handles share.
type connection struct {
	bucket    string
	options   []option.ClientOption
	transport *http.Transport
	clients   []*storage.Client // each ended by Close
}

func connect(ctx context.Context, t driver.Target) (driver.Connection, error) {
	c := &connection{bucket: t.Bucket, transport: driver.NewTransport()}
	tokens, err := tokenSource(ctx, t)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: c.transport}
	if tokens != nil {
		client.Transport = &oauth2.Transport{Base: c.transport, Source: tokens}
	}
	// The client signs for itself. Reads of the JSON interface say whether it is the bucket that is missing.
	c.options = append(c.options, option.WithHTTPClient(client), option.WithoutAuthentication(), storage.WithJSONReads())
	if t.Endpoint != "" {
		c.options = append(c.options, option.WithEndpoint(strings.TrimRight(t.Endpoint, "/")+"/storage/v1/"))
	}
	return c, nil
}

// tokenSource returns what signs requests; nil for nothing, which an emulator, and a bucket open to all, are asked with.
func tokenSource(ctx context.Context, t driver.Target) (oauth2.TokenSource, error) {
	if t.Credentials != nil {
		return fromKey(ctx, t.Credentials)
	}
	if text := t.Query.Get("anonymous"); text != "" {
		anonymous, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("parameter anonymous=%s of the URL: want true or false", text)
		}
		if anonymous {
			return nil, nil //nolint:nilnil // none is meant
		}
	}
	if t.Endpoint == "" && os.Getenv("STORAGE_EMULATOR_HOST") != "" {
		return nil, nil //nolint:nilnil // none is meant
	}
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		return nil, fmt.Errorf("no credentials: set state.storage.credentials or GOOGLE_APPLICATION_CREDENTIALS: %w", err)
	}
	return gcp.CredentialsTokenSource(found), nil
}

func fromKey(ctx context.Context, secret func() (string, error)) (oauth2.TokenSource, error) {
	key, err := secret()
	if err != nil {
		return nil, err
	}
	found, err := google.CredentialsFromJSONWithType(ctx, []byte(key), google.ServiceAccount, scope)
	if err != nil { // which may repeat a part of the key
		return nil, errors.New("state.storage.credentials is not the JSON key of a service account")
	}
	return found.TokenSource, nil
}

// Bucket implements [driver.Connection]. A handle that retries does so until the context of its request ends: that is
// what the library is used to.
func (c *connection) Bucket(retries bool) (*blob.Bucket, error) {
	client, err := storage.NewClient(context.Background(), c.options...)
	if err != nil {
		return nil, err
	}
	c.clients = append(c.clients, client)
	if !retries {
		client.SetRetry(storage.WithPolicy(storage.RetryNever))
	}
	return gcsblob.OpenBucket(context.Background(), nil, c.bucket, &gcsblob.Options{Client: client})
}

// BufferSize implements [driver.Connection]: an object goes in one request, of whatever size. Parts would be retried by
// the library.
func (c *connection) BufferSize() int { return -1 }

// Judge implements [driver.Connection]. Where the library makes one code of two answers, it looks at the server's own: a
// missing bucket and a denied permission are no missing objects.
func (c *connection) Judge(err error) driver.Verdict {
	var answer *googleapi.Error
	var token *oauth2.RetrieveError
	switch {
	case errors.As(err, &answer):
		return verdictOf(answer, errors.Is(err, storage.ErrObjectNotExist))
	case errors.As(err, &token) && token.Response != nil && driver.OfStatus(token.Response.StatusCode) == driver.Refused:
		return driver.Refused // nothing was sent without a token
	}
	return driver.Unheard
}

// verdictOf judges an answer. The library takes any 404 for an object's; the words alone tell a bucket's, and a page
// that is somebody else's.
func verdictOf(answer *googleapi.Error, ofObject bool) driver.Verdict {
	said := answer.Message + answer.Body
	switch answer.Code {
	case http.StatusNotFound:
		if ofObject && !strings.Contains(said, "bucket does not exist") && !strings.HasPrefix(answer.Body, "<") {
			return driver.Absent
		}
	case http.StatusForbidden:
		if strings.Contains(said, "ateLimitExceeded") { // rateLimitExceeded, userRateLimitExceeded
			return driver.Throttled
		}
	}
	return driver.OfStatus(answer.Code)
}

// Close implements [driver.Connection].
func (c *connection) Close() error {
	var errs []error
	for _, client := range c.clients {
		errs = append(errs, client.Close())
	}
	c.transport.CloseIdleConnections()
	return errors.Join(errs...)
}
