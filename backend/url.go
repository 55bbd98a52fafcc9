package backend

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
)

// StoreURL is a store's URL in parts.
type StoreURL struct {
	Scheme string // file, mem, s3, gs or azblob
	Dir    string // file only: the directory
	Bucket string // s3, gs, azblob: bucket or container; mem: the name of the store, may be empty
	Prefix string // of all keys, without slashes at its ends; empty for file
	Query  url.Values
}

// Errors of [ParseURL].
var (
	ErrNoScheme      = errors.New("no scheme")
	ErrUnknownScheme = errors.New("unknown scheme")
	ErrEmptyPath     = errors.New("no path")
	ErrNoBucket      = errors.New("no bucket")
	ErrURL           = errors.New("not a store URL")
)

// DriverError says that the program does not link the driver of a store. There is no fallback to another store.
type DriverError struct {
	Scheme string
	Import string // the package that links the driver
}

func (e *DriverError) Error() string {
	return fmt.Sprintf("no driver for %s:// is linked into this program: import _ %q", e.Scheme, e.Import)
}

// scheme is what Sheaf knows of one kind of store URL.
type scheme struct {
	driver string   // the package that links it; empty: none needed
	params []string // the driver's options that a URL may carry; none of them is a secret
}

func schemes() map[string]scheme {
	const root = "github.com/sheaf-go/sheaf/backend/"
	return map[string]scheme{
		"file": {},
		"mem":  {},
		"s3": {root + "s3", []string{
			"endpoint", "region", "use_path_style", "hostname_immutable", "disable_https", "profile", "ssetype", "kmskeyid",
			"request_checksum_calculation", "response_checksum_validation",
		}},
		"gs":     {root + "gcs", []string{"anonymous"}},
		"azblob": {root + "azure", []string{"protocol", "domain", "localemu"}},
	}
}

// Driver returns the import path of the package that links the URL's driver; empty if none is needed.
func (u StoreURL) Driver() string { return schemes()[u.Scheme].driver }

// ParseURL takes a store URL apart. Its errors show no secret.
func ParseURL(raw string) (StoreURL, error) {
	u, err := splitURL(raw)
	if err != nil {
		return StoreURL{}, fmt.Errorf("store URL %q: %w", RedactURL(raw), err)
	}
	return u, nil
}

func splitURL(raw string) (StoreURL, error) {
	name, _, found := strings.Cut(raw, "://")
	if !found || name == "" {
		return StoreURL{}, fmt.Errorf("%w: begin with file:// mem:// s3:// gs:// or azblob://", ErrNoScheme)
	}
	name = strings.ToLower(name)
	known, found := schemes()[name]
	if !found {
		return StoreURL{}, fmt.Errorf("%w: want file, mem, s3, gs or azblob", ErrUnknownScheme)
	}
	// The cause may repeat a password: it is not wrapped.
	u, err := url.Parse(raw)
	if err != nil {
		return StoreURL{}, fmt.Errorf("%w: want %s://%s", ErrURL, name, "bucket/prefix, with %-escapes")
	}
	if err := checkParts(u, known); err != nil {
		return StoreURL{}, err
	}
	if name == "file" {
		return fileURL(u)
	}
	return bucketURL(u)
}

// checkParts refuses what could hold a secret, and what no driver would read.
func checkParts(u *url.URL, known scheme) error {
	if u.User != nil {
		return fmt.Errorf("%w: credentials do not belong in a URL: use [state.storage]", ErrURL)
	}
	if u.Fragment != "" {
		return fmt.Errorf("%w: it has a fragment: write # as %%23", ErrURL)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: its query is malformed", ErrURL)
	}
	for name := range query {
		if !slices.Contains(known.params, name) { // not shown: it may be a secret
			return fmt.Errorf("%w: %s:// takes no parameters but [%s]: endpoint and credentials go to [state.storage], a ? in a path is %%3F",
				ErrURL, u.Scheme, strings.Join(known.params, " "))
		}
	}
	if e := query.Get("endpoint"); e != "" && endpointRule(e) != nil {
		return fmt.Errorf("%w: its endpoint is no base URL of a server: credentials go to [state.storage]", ErrURL)
	}
	return checkPath(u.Path)
}

// checkPath refuses names that some store would not keep apart, or not keep.
func checkPath(p string) error {
	if strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("%w: its path holds control characters", ErrURL)
	}
	if clean := path.Clean("/" + p); clean != "/"+strings.Trim(p, "/") {
		return fmt.Errorf("%w: its path holds //, . or ..: write %s", ErrURL, clean)
	}
	return nil
}

func fileURL(u *url.URL) (StoreURL, error) {
	switch {
	case u.Host != "" && u.Host != "localhost":
		return StoreURL{}, fmt.Errorf("%w: a file URL names no host: write file:///%s%s", ErrURL, u.Host, u.Path)
	case strings.Trim(u.Path, "/") == "":
		return StoreURL{}, fmt.Errorf("%w: write file:///directory", ErrEmptyPath)
	}
	return StoreURL{Scheme: "file", Dir: fileDir(u.Path, runtime.GOOS)}, nil
}

// fileDir turns the path of a file URL into one of the operating system: on Windows /C:/x is C:\x.
func fileDir(p, goos string) string {
	p = path.Clean(p)
	if goos == "windows" && len(p) > 2 && p[2] == ':' {
		p = p[1:]
	}
	return filepath.FromSlash(p)
}

func bucketURL(u *url.URL) (StoreURL, error) {
	switch {
	case u.Host == "" && u.Scheme != "mem":
		return StoreURL{}, fmt.Errorf("%w: write %s://bucket/prefix", ErrNoBucket, u.Scheme)
	case u.Port() != "":
		return StoreURL{}, fmt.Errorf("%w: a bucket has no port: a server's address goes to state.storage.endpoint", ErrURL)
	}
	return StoreURL{Scheme: u.Scheme, Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Query: u.Query()}, nil
}

// RedactURL returns raw without user information, fragment, and the parameters that are not known to be harmless. Of
// what is no URL it shows no more than the scheme if a secret could be in it.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" && u.Scheme != "file" {
		return redactMalformed(raw)
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	if u.Fragment != "" {
		u.Fragment, u.RawFragment = "redacted", ""
	}
	if u.RawQuery != "" {
		u.RawQuery = redactQuery(u.RawQuery, schemes()[u.Scheme].params)
	}
	return u.String()
}

func redactMalformed(raw string) string {
	if !strings.ContainsAny(raw, "@?#") {
		return raw
	}
	scheme, _, found := strings.Cut(raw, "://")
	if !found || strings.ContainsAny(scheme, "@?#") {
		return redacted
	}
	return scheme + "://" + redacted
}

func redactQuery(raw string, harmless []string) string {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return "redacted"
	}
	shown, hidden := url.Values{}, ""
	for name, values := range query {
		if !slices.Contains(harmless, name) {
			hidden = "redacted"
			continue
		}
		for _, value := range values {
			shown.Add(name, RedactURL(value))
		}
	}
	return strings.Trim(shown.Encode()+"&"+hidden, "&")
}
