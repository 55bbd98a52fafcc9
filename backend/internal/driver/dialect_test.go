package driver_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend"
	_ "github.com/sheaf-go/sheaf/backend/azure"
	_ "github.com/sheaf-go/sheaf/backend/gcs"
	_ "github.com/sheaf-go/sheaf/backend/s3"
)

// The secrets of the configs. They must not be seen anywhere.
const (
	secretKey = "VGhlLXNlY3JldC10aGF0LW5vYm9keS1zZWVz" // in base64, as Azure wants it
	signature = "sv=2026&sig=the-signature-that-nobody-sees"
)

// failure is what a server may say instead of doing what it is asked.
type failure string

const (
	taken     failure = "taken"
	conflict  failure = "conflict"
	throttled failure = "throttled"
	tooMany   failure = "too many"
	broken    failure = "broken"
	denied    failure = "denied"
	invalid   failure = "invalid"
	absent    failure = "absent"
	noBucket  failure = "no bucket"
	beyond    failure = "beyond"
	foreign   failure = "a page of another server"
)

// dialect is how one provider is spoken to.
type dialect struct {
	name   string
	config func(base string) backend.Config
	says   map[failure]said
	fail   func(w http.ResponseWriter, status int, code string)
	parse  func(t *testing.T, r *http.Request) asked
	// The statuses of success.
	wrote, deleted int
}

type said struct {
	status int
	code   string
}

// asked is a request, understood.
type asked struct {
	op, key  string
	ifAbsent bool
	data     []byte
}

func dialects() []dialect { return []dialect{s3Dialect(), gcsDialect(), azureDialect()} }

func s3Dialect() dialect {
	return dialect{
		name: "s3",
		config: func(base string) backend.Config {
			c := backend.ObjectStore("s3://bucket/some/prefix?use_path_style=true", "a")
			c.Storage = backend.Storage{Endpoint: base, Region: "us-east-1", AccessKey: backend.SecretValue("id"), SecretKey: backend.SecretValue(secretKey)}
			return c
		},
		says: map[failure]said{
			taken: {412, "PreconditionFailed"}, conflict: {409, "ConditionalRequestConflict"}, throttled: {503, "SlowDown"}, tooMany: {429, "TooManyRequests"},
			broken: {500, "InternalError"}, denied: {403, "AccessDenied"}, invalid: {400, "InvalidRequest"},
			absent: {404, "NoSuchKey"}, noBucket: {404, "NoSuchBucket"}, beyond: {416, "InvalidRange"},
		},
		fail: func(w http.ResponseWriter, status int, code string) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			_ = xml.NewEncoder(w).Encode(struct {
				XMLName xml.Name `xml:"Error"`
				Code    string
				Message string
			}{Code: code, Message: "in words"})
		},
		parse: func(t *testing.T, r *http.Request) asked {
			return plainRequest(t, r, "/bucket/")
		},
		wrote: http.StatusOK, deleted: http.StatusNoContent,
	}
}

func azureDialect() dialect {
	return dialect{
		name: "azblob",
		config: func(base string) backend.Config {
			c := backend.ObjectStore("azblob://bucket/some/prefix", "a")
			c.Storage = backend.Storage{Endpoint: base + "/account", AccessKey: backend.SecretValue("account"), SecretKey: backend.SecretValue(secretKey)}
			return c
		},
		says: map[failure]said{
			taken: {409, "BlobAlreadyExists"}, conflict: {409, "OperationNotAllowedOnIncrementalCopyBlob"}, throttled: {503, "ServerBusy"}, tooMany: {429, "TooManyRequests"},
			broken: {500, "InternalError"}, denied: {403, "AuthorizationFailure"}, invalid: {400, "InvalidHeaderValue"},
			absent: {404, "BlobNotFound"}, noBucket: {404, "ContainerNotFound"}, beyond: {416, "InvalidRange"},
		},
		fail: func(w http.ResponseWriter, status int, code string) {
			w.Header().Set("X-Ms-Error-Code", code)
			w.WriteHeader(status)
		},
		parse: func(t *testing.T, r *http.Request) asked {
			return plainRequest(t, r, "/account/bucket/")
		},
		wrote: http.StatusCreated, deleted: http.StatusAccepted,
	}
}

// plainRequest understands a request whose method and path say it all.
func plainRequest(t *testing.T, r *http.Request, root string) asked {
	key, ok := strings.CutPrefix(r.URL.Path, root)
	if !ok {
		t.Errorf("%s %s is not below %s", r.Method, r.URL.Path, root)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	ops := map[string]string{"PUT": "write", "GET": "get", "HEAD": "head", "DELETE": "delete"}
	return asked{op: ops[r.Method], key: key, ifAbsent: r.Header.Get("If-None-Match") == "*", data: data}
}

func gcsDialect() dialect {
	return dialect{
		name: "gs",
		config: func(base string) backend.Config {
			c := backend.ObjectStore("gs://bucket/some/prefix?anonymous=true", "a")
			c.Storage.Endpoint = base
			return c
		},
		says: map[failure]said{
			taken: {412, "At least one of the pre-conditions you specified did not hold."}, conflict: {409, "conflict"},
			throttled: {403, "rateLimitExceeded"}, tooMany: {429, "rateLimitExceeded"},
			broken: {500, "backendError"}, denied: {403, "storage.objects.get denied"}, invalid: {400, "invalid"},
			absent: {404, "No such object: bucket/key"}, noBucket: {404, "The specified bucket does not exist."}, beyond: {416, "requestedRangeNotSatisfiable"},
		},
		fail: func(w http.ResponseWriter, status int, code string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error": {"code": %d, "message": %q, "errors": [{"message": %q, "reason": %q}]}}`, status, code, code, code)
		},
		parse: parseGCS,
		wrote: http.StatusOK, deleted: http.StatusNoContent,
	}
}

func parseGCS(t *testing.T, r *http.Request) asked {
	if r.Method == http.MethodPost {
		a := asked{op: "write", key: r.URL.Query().Get("name"), ifAbsent: r.URL.Query().Get("ifGenerationMatch") == "0"}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
			return a
		}
		parts := multipart.NewReader(r.Body, params["boundary"])
		for range 2 { // the object's properties, then the object
			part, err := parts.NextPart()
			if err != nil {
				t.Error(err)
				return a
			}
			if a.data, err = io.ReadAll(part); err != nil {
				t.Error(err)
			}
		}
		return a
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/storage/v1/b/bucket/o/")
	if !ok {
		t.Errorf("%s %s is no request for an object", r.Method, r.URL)
	}
	op := map[string]string{"GET": "get", "DELETE": "delete"}[r.Method]
	if op == "get" && r.URL.Query().Get("alt") != "media" {
		op = "head"
	}
	return asked{op: op, key: key}
}
