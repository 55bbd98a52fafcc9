package servertest

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/sheaf-go/sheaf/backend"
)

// checkLoopback refuses a store URL unless everything that its driver would dial is a loopback address. A name, also
// localhost, is none: it leads where a resolver says.
func checkLoopback(raw string, getenv func(string) string) error {
	u, err := backend.ParseURL(raw)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "s3":
		return checkS3(u.Query)
	case "gs":
		return checkAddress("STORAGE_EMULATOR_HOST", getenv("STORAGE_EMULATOR_HOST"))
	case "azblob":
		return checkAzure(u.Query)
	}
	return fmt.Errorf("%s:// is no server's", u.Scheme)
}

// checkS3 refuses what leads to the real cloud, which is where a URL without an endpoint goes, or to the bucket's name
// as a host.
func checkS3(query url.Values) error {
	if query.Get("use_path_style") != "true" {
		return errors.New("without use_path_style=true the bucket becomes part of the host's name")
	}
	endpoint, err := url.Parse(query.Get("endpoint"))
	if err != nil || endpoint.Scheme != "http" {
		return fmt.Errorf("endpoint %q: want http://ADDRESS:PORT", query.Get("endpoint"))
	}
	return checkAddress("endpoint", endpoint.Host)
}

func checkAzure(query url.Values) error {
	if query.Get("localemu") != "true" {
		return errors.New("without localemu=true the account becomes part of the host's name")
	}
	return checkAddress("domain", query.Get("domain"))
}

// checkAddress wants an address and a port. One with a scheme is neither: the driver would take the scheme for a host.
func checkAddress(name, text string) error {
	address, err := netip.ParseAddrPort(text)
	if err != nil || !address.Addr().IsLoopback() {
		return fmt.Errorf("%s %q: want a loopback address and a port, such as 127.0.0.1:9000", name, text)
	}
	return nil
}
