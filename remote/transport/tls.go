package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sheaf-go/sheaf/remote"
)

// clientName is the name in a certificate that any client may use.
const clientName = "client"

// keys are the PEM files of mutual TLS, read again when they change.
type keys struct {
	paths [3]string // certificate, key, authority

	mu     sync.Mutex // guards what follows
	stamps [3]stamp   // of the files as they were tried last
	pair   *pair
}

// stamp tells one state of a file from another.
type stamp struct {
	time time.Time
	size int64
}

// pair is what the files said: the ends of connections that are made from now on.
type pair struct{ server, client *tls.Config }

// newKeys reads the files. Without any it returns nil, which means no TLS.
func newKeys(cfg remote.TransportConfig) (*keys, error) {
	k := &keys{paths: [3]string{cfg.Cert, cfg.Key, cfg.CA}}
	switch missing := slices.Index(k.paths[:], ""); {
	case k.paths == [3]string{}:
		return nil, nil //nolint:nilnil // none is meant
	case missing >= 0:
		return nil, fmt.Errorf("mutual TLS needs a certificate, its key and the authority's certificate: the %s is missing",
			[]string{"certificate", "key", "authority"}[missing])
	}
	_, err := k.load()
	return k, err
}

// load returns the pair, of the files as they are now. While what is there cannot be used, as between the replacement of
// one file and the next, the former pair goes on; the error says so.
func (k *keys) load() (*pair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var now [3]stamp
	for i, path := range k.paths {
		info, err := os.Stat(path)
		if err != nil {
			return k.pair, fmt.Errorf("read TLS files: %w", err)
		}
		now[i] = stamp{info.ModTime(), info.Size()}
	}
	if now == k.stamps {
		return k.pair, nil
	}
	p, err := readPair(k.paths)
	if err != nil {
		return k.pair, fmt.Errorf("read TLS files: %w", err)
	}
	k.pair, k.stamps = p, now
	return p, nil
}

func readPair(paths [3]string) (*pair, error) {
	own, err := tls.LoadX509KeyPair(paths[0], paths[1])
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(paths[2])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", paths[2])
	}
	base := &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{"h2"},
		SessionTicketsDisabled:      true, // each connection shows its certificate
		DynamicRecordSizingDisabled: true, // frames are large
	}
	server, client := base, base.Clone()
	server.Certificates, server.ClientAuth, server.ClientCAs = []tls.Certificate{own}, tls.RequireAndVerifyClientCert, roots
	client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	// Whom the certificate names is compared with the hello, in place of a host name: addresses of members change.
	client.InsecureSkipVerify = true
	client.VerifyConnection = func(s tls.ConnectionState) error { return verify(s, roots) }
	return &pair{server: server, client: client}, nil
}

// verify checks that a server's certificate comes from the authority.
func verify(s tls.ConnectionState, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

// identity is whom a connection's certificate names; the zero value is a connection without TLS.
type identity struct {
	secure bool
	names  []string
}

func identityOf(c net.Conn) identity {
	t, ok := c.(*tls.Conn)
	if !ok {
		return identity{}
	}
	id := identity{secure: true}
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		id.names = append(id.names, certs[0].DNSNames...)
		if name := certs[0].Subject.CommonName; name != "" && !slices.Contains(id.names, name) {
			id.names = append(id.names, name)
		}
	}
	return id
}

// allows reports whether the certificate is one of an end that says this of itself. What is a client's is no member's.
func (id identity) allows(h remote.Hello) bool {
	switch {
	case !id.secure:
		return true
	case h.Client && slices.Contains(id.names, clientName):
		return true
	}
	return (h.Client || h.Member.Instance != clientName) && slices.Contains(id.names, h.Member.Instance)
}

// secure makes a connection one of TLS, by whichever end; without keys it stays as it is.
func (t *Transport) secure(ctx context.Context, c net.Conn, end func(net.Conn, *pair) *tls.Conn) (net.Conn, error) {
	if t.keys == nil {
		return c, nil
	}
	p, err := t.keys.load()
	if err != nil {
		t.refusals.warn("", "TLS files", err)
	} else {
		t.refusals.connected("") // the next trouble with them is logged again
	}
	s := end(c, p)
	if err := s.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if got := s.ConnectionState().NegotiatedProtocol; got != "h2" {
		return nil, fmt.Errorf("protocol %q was chosen, not h2", got)
	}
	return s, nil
}

func serverEnd(c net.Conn, p *pair) *tls.Conn { return tls.Server(c, p.server) }
func clientEnd(c net.Conn, p *pair) *tls.Conn { return tls.Client(c, p.client) }

// guard returns the check of the addresses that sockets get, as [net.Dialer.Control] takes it: whatever a name resolves
// to, without TLS it is on loopback (I12).
func (t *Transport) guard() func(network, address string, c syscall.RawConn) error {
	if t.keys != nil || t.cfg.Insecure {
		return nil
	}
	return func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return &remote.ExposedError{Address: address}
		}
		return nil
	}
}

// isTLS reports whether an error is one of TLS: of what the other end showed, or what it thought of ours.
func isTLS(err error) bool {
	var (
		op     *net.OpError
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
	)
	return errors.As(err, &op) && op.Op == "remote error" || errors.As(err, &verify) || errors.As(err, &record)
}
