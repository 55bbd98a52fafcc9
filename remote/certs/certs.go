package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	authorityName = "ca"
	authorityLife = 10 * 365 * 24 * time.Hour
	memberLife    = 365 * 24 * time.Hour
	// backdate is for clocks that do not agree.
	backdate = time.Hour
)

// WriteAuthority makes an authority: ca.pem and ca-key.pem in the directory, which is made if need be. One that is there
// already is an error that is [fs.ErrExist], and stays.
func WriteAuthority(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	cert, err := template(authorityName, authorityLife)
	if err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	if err := write(dir, authorityName, cert, cert, key, key, os.O_EXCL); err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	return nil
}

// WriteMember makes the certificate of an instance by the authority in the directory: <id>.pem and <id>-key.pem. It names
// the id, and hosts if there are any, each an IP address or a name. A former one is replaced.
func WriteMember(dir, instance string, hosts ...string) error {
	if slices.Contains([]string{"", ".", "..", authorityName}, instance) || strings.ContainsAny(instance, `/\`) {
		return fmt.Errorf("write certificate: %q names no instance", instance)
	}
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, authorityName+".pem"), filepath.Join(dir, authorityName+"-key.pem"))
	if err != nil {
		return fmt.Errorf("write certificate of %q: read authority: %w", instance, err)
	}
	caKey, ok := ca.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("write certificate of %q: the authority's key is of type %T", instance, ca.PrivateKey)
	}
	cert, err := template(instance, memberLife)
	if err != nil {
		return fmt.Errorf("write certificate of %q: %w", instance, err)
	}
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} // an instance is both
	cert.DNSNames = []string{instance}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else if h != instance {
			cert.DNSNames = append(cert.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		err = write(dir, instance, cert, ca.Leaf, key, caKey, os.O_TRUNC)
	}
	if err != nil {
		return fmt.Errorf("write certificate of %q: %w", instance, err)
	}
	return nil
}

func template(name string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
	}, nil
}

// write signs a certificate and writes it and its key, the key first: it is what must not be lost to another.
func write(dir, name string, cert, by *x509.Certificate, key, byKey *ecdsa.PrivateKey, how int) error {
	signed, err := x509.CreateCertificate(rand.Reader, cert, by, &key.PublicKey, byKey)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public := filepath.Join(dir, name+".pem")
	if _, err := os.Stat(public); how == os.O_EXCL && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", public, fs.ErrExist)
	}
	if err := writePEM(filepath.Join(dir, name+"-key.pem"), "PRIVATE KEY", private, 0o600, how); err != nil {
		return err
	}
	return writePEM(public, "CERTIFICATE", signed, 0o644, how)
}

func writePEM(path, kind string, data []byte, mode fs.FileMode, how int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, mode)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: data})
	return errors.Join(err, f.Close())
}
