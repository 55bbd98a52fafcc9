package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

func init() { driver.Register(azureblob.Scheme, connect) } //nolint:gochecknoinits // linking by import

// connection is the account and the server, with everything that the handles share.
type connection struct {
	container string // its URL, without a token
	transport *http.Transport
	options   policy.ClientOptions
	open      func(url string, options *container.ClientOptions) (*container.Client, error) // with the credentials
}

func connect(ctx context.Context, t driver.Target) (driver.Connection, error) {
	a, err := findAccount(t)
	if err != nil {
		return nil, err
	}
	c := &connection{transport: driver.NewTransport()}
	if c.container, err = url.JoinPath(a.service, t.Bucket); err != nil {
		return nil, errors.New("the URL of the service is none")
	}
	sender := &sender{client: &http.Client{Transport: c.transport}}
	c.options.Transport = sender
	switch {
	case a.key != "":
		c.open, err = withKey(a)
	case a.token != nil:
		sender.token = a.token
		c.open = container.NewClientWithNoCredential
	default:
		c.open, err = withIdentity(ctx)
	}
	return c, err
}

func withKey(a account) (func(string, *container.ClientOptions) (*container.Client, error), error) {
	key, err := container.NewSharedKeyCredential(a.name, a.key)
	if err != nil {
		return nil, errors.New("the account key is not in base64")
	}
	return func(url string, options *container.ClientOptions) (*container.Client, error) {
		return container.NewClientWithSharedKeyCredential(url, key, options)
	}, nil
}

// withIdentity asks for a token at once: without this a program without credentials would ask again and again before it
// says so.
func withIdentity(ctx context.Context) (func(string, *container.ClientOptions) (*container.Client, error), error) {
	identity, err := azidentity.NewDefaultAzureCredential(nil)
	if err == nil {
		_, err = identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	}
	if err != nil {
		return nil, fmt.Errorf("no credentials: set state.storage.secret_key or session_token, or AZURE_STORAGE_KEY: %w", err)
	}
	return func(url string, options *container.ClientOptions) (*container.Client, error) {
		return container.NewClient(url, identity, options)
	}, nil
}

// Bucket implements [driver.Connection].
func (c *connection) Bucket(retries bool) (*blob.Bucket, error) {
	options := &container.ClientOptions{ClientOptions: c.options}
	if !retries {
		options.PerCallPolicies = []policy.Policy{askOnce{}}
	}
	client, err := c.open(c.container, options)
	if err != nil {
		return nil, err
	}
	b, err := azureblob.OpenBucket(context.Background(), client, nil)
	if err != nil || !retries {
		return b, err
	}
	return blob.NewBucket(steady{b}), nil // for a caller, who writes as the library lets them
}

// askOnce takes the retries out of a request, save that of a block of a large object: it changes nothing that can be
// read, and sending all blocks again for one is dear.
type askOnce struct{}

// Do implements [policy.Policy].
func (askOnce) Do(r *policy.Request) (*http.Response, error) {
	if r.Raw().URL.Query().Get("comp") == "block" {
		return r.Next()
	}
	once := policy.WithRetryOptions(r.Raw().Context(), policy.RetryOptions{MaxRetries: -1})
	return r.Clone(once).Next()
}

// BufferSize implements [driver.Connection]: the library's own.
func (c *connection) BufferSize() int { return 0 }

// Judge implements [driver.Connection]. Where the library makes one code of two answers, it looks at the server's own: a
// missing container and a host that is not found are no missing objects.
func (c *connection) Judge(err error) driver.Verdict {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		return driver.Unheard
	}
	switch bloberror.Code(answer.ErrorCode) {
	case bloberror.BlobNotFound:
		return driver.Absent
	case bloberror.BlobAlreadyExists: // with status 409
		return driver.Taken
	}
	return driver.OfStatus(answer.StatusCode)
}

// Close implements [driver.Connection].
func (c *connection) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}
