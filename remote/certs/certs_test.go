package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sheaf-go/sheaf/remote/certs"
)

func TestAuthorityIsNotOverwritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	if err := certs.WriteAuthority(dir); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{"", "ca-key.pem", "ca.pem"} {
		if lost != "" {
			if err := os.Rename(filepath.Join(dir, lost), filepath.Join(dir, "away")); err != nil {
				t.Fatal(err)
			}
		}
		if err := certs.WriteAuthority(dir); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second authority, without %q of the first: %v", lost, err)
		}
		if lost != "" {
			if err := os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, lost)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, "ca-key.pem")); err != nil || string(after) != string(before) {
		t.Errorf("the key has changed (%v)", err)
	}
}

func TestMemberIsNamedAndTrusted(t *testing.T) {
	dir := t.TempDir()
	if err := certs.WriteMember(dir, "node-0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a member without an authority: %v", err)
	}
	if err := certs.WriteAuthority(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second replaces the first
		if err := certs.WriteMember(dir, "node-0", "10.0.0.1", "host.example"); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "node-0.pem"), filepath.Join(dir, "node-0-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, name := range []string{"node-0", "10.0.0.1", "host.example"} {
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("certificate of node-0 for %q: %v", name, err)
			}
		}
	}
	for _, key := range []string{"ca-key.pem", "node-0-key.pem"} {
		if info, err := os.Stat(filepath.Join(dir, key)); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: mode %v (%v), want 0600", key, info.Mode(), err)
		}
	}
}

func TestOddNamesAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := certs.WriteAuthority(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "ca", "../x", "a/b", `a\b`, ".", ".."} {
		if err := certs.WriteMember(dir, name); err == nil {
			t.Errorf("a certificate of %q was made", name)
		}
	}
}
