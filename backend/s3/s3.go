package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	gcaws "gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

func init() { driver.Register(s3blob.Scheme, connect) } //nolint:gochecknoinits // linking by import

// connection is the account and the server, with everything that the handles share.
type connection struct {
	bucket    string
	config    aws.Config
	transport *http.Transport
	client    func(*s3.Options)
	options   s3blob.Options
}

func connect(ctx context.Context, t driver.Target) (driver.Connection, error) {
	c := &connection{bucket: t.Bucket}
	rest, err := c.read(t)
	if err != nil {
		return nil, err
	}
	if c.config, err = gcaws.V2ConfigFromURLParams(ctx, rest); err != nil {
		return nil, fmt.Errorf("read the AWS environment: %w", err)
	}
	if c.config.Region == "" {
		return nil, errors.New("no region: set state.storage.region or AWS_REGION; a server of your own names its own, often us-east-1")
	}
	c.options.RequestChecksumCalculation = c.config.RequestChecksumCalculation
	if t.AccessKey != nil {
		c.config.Credentials = aws.NewCredentialsCache(given(t))
	}
	// Without this a program without credentials would ask again and again before it says so.
	if _, err := c.config.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("no credentials: set state.storage.access_key and secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: %w", err)
	}
	c.config.Logger = logging.Nop{} // what matters it returns
	c.config.HTTPClient, c.transport = httpClient(c.config.HTTPClient)
	return c, nil
}

// read takes what the driver is told by options of its own, and returns the parameters that the configuration of the
// SDK takes.
func (c *connection) read(t driver.Target) (url.Values, error) {
	rest := url.Values{}
	pathStyle, noTLS := false, false
	for name, values := range t.Query {
		var err error
		switch value := values[0]; name {
		case "use_path_style":
			pathStyle, err = strconv.ParseBool(value)
		case "disable_https":
			noTLS, err = strconv.ParseBool(value)
		case "ssetype":
			c.options.EncryptionType, err = encryption(value)
		case "kmskeyid":
			c.options.KMSEncryptionID = value
		default:
			rest.Set(name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("parameter %s=%s of the URL: %w", name, values[0], err)
		}
	}
	if t.Endpoint != "" {
		rest.Set("endpoint", t.Endpoint)
	}
	if t.Region != "" {
		rest.Set("region", t.Region)
	}
	c.client = func(o *s3.Options) {
		o.UsePathStyle = pathStyle
		o.EndpointOptions.DisableHTTPS = noTLS
	}
	return rest, nil
}

func encryption(name string) (types.ServerSideEncryption, error) {
	all := types.ServerSideEncryption("").Values()
	for _, known := range all {
		if strings.EqualFold(string(known), name) {
			return known, nil
		}
	}
	return "", fmt.Errorf("want one of %v", all)
}

// credentialsTime is how long credentials of the config are used before their files or variables are read again, so that
// temporary ones can be replaced under a running program.
const credentialsTime = 5 * time.Minute

func given(t driver.Target) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c := aws.Credentials{Source: "state.storage", CanExpire: true, Expires: time.Now().Add(credentialsTime)}
		for field, secret := range map[*string]func() (string, error){
			&c.AccessKeyID: t.AccessKey, &c.SecretAccessKey: t.SecretKey, &c.SessionToken: t.SessionToken,
		} {
			if secret == nil {
				continue
			}
			value, err := secret()
			if err != nil {
				return aws.Credentials{}, err
			}
			*field = value
		}
		return c, nil
	})
}

// httpClient makes the client that the environment asks for our own. S3 redirects without a word that a request may be
// sent again only by 307 and 308.
func httpClient(usual aws.HTTPClient) (*http.Client, *http.Transport) {
	t := driver.NewTransport()
	if b, ok := usual.(*awshttp.BuildableClient); ok {
		t = driver.Tune(b.GetTransport()) // AWS_CA_BUNDLE is in it
	}
	return &http.Client{Transport: t, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if s := r.Response.StatusCode; s == http.StatusTemporaryRedirect || s == http.StatusPermanentRedirect {
			return nil
		}
		return http.ErrUseLastResponse
	}}, t
}

// Bucket implements [driver.Connection].
func (c *connection) Bucket(retries bool) (*blob.Bucket, error) {
	options := []func(*s3.Options){c.client}
	if !retries {
		options = append(options, func(o *s3.Options) { o.APIOptions = append(o.APIOptions, askOnce) })
	}
	return s3blob.OpenBucket(context.Background(), s3.NewFromConfig(c.config, options...), c.bucket, &c.options)
}

// askOnce takes the retries out of an operation, save that of a part of a large object: it changes nothing that can be
// read, and sending all parts again for one is dear.
func askOnce(stack *middleware.Stack) error {
	if stack.ID() == "UploadPart" {
		return nil
	}
	once := retry.NewAttemptMiddleware(aws.NopRetryer{}, smithyhttp.RequestCloner)
	_, err := stack.Finalize.Swap(once.ID(), once)
	return err
}

// BufferSize implements [driver.Connection]: the library's own.
func (c *connection) BufferSize() int { return 0 }

// Close implements [driver.Connection].
func (c *connection) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}
