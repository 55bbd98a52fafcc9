package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestCertsAreMadeForEachID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	call("certs", "--dir", dir, "--ids", "n0, n1,client", "--hosts", "10.0.0.1,a.example").want(t, 0)
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	call("certs", "--dir", dir, "--ids", "n2").want(t, 0) // by the same authority
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	for id, hosts := range map[string][]string{"n0": {"10.0.0.1", "a.example", "127.0.0.1", "n0"}, "n1": {"n1"}, "client": nil, "n2": {"localhost"}} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, id+".pem"), filepath.Join(dir, id+"-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool}); err != nil || pair.Leaf.Subject.CommonName != id {
			t.Errorf("certificate of %s, for %s: %v", id, pair.Leaf.Subject.CommonName, err)
		}
		for _, host := range hosts {
			if err := pair.Leaf.VerifyHostname(host); err != nil {
				t.Errorf("certificate of %s: %v", id, err)
			}
		}
	}
	call("certs", "--dir", dir, "--ids", "../n9").want(t, 1, "n9")
	call("certs").want(t, 2, "--dir is missing")
}
