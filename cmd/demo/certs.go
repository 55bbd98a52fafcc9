package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sheaf-go/sheaf/remote/certs"
)

const aboutCerts = `Makes an authority, unless the directory has one, and a certificate for each id: for trials, not for production. A
member's config names its certificate, its key and ca.pem under [cluster.tls]; the client's is for programs that dial.`

func certsCommand(args []string, s streams) error {
	f := newFlags("certs", aboutCerts)
	dir := f.String("dir", "", "`directory` of the authority and the certificates")
	ids := f.String("ids", "n0,n1,n2,client", "`names` of the members, and client, with commas between them")
	hosts := f.String("hosts", "", "`hosts` beside loopback that the members listen on, names or IP addresses, with commas between them")
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	if err := wrongFlags(f, required("dir", *dir), required("ids", *ids)); err != nil {
		return err
	}
	if err := certs.WriteAuthority(*dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	names := append([]string{"localhost", "127.0.0.1", "::1"}, listed(*hosts)...)
	for _, id := range listed(*ids) {
		if err := certs.WriteMember(*dir, id, names...); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.out, "%s: ca.pem, and for each of %s a certificate and its key\n", *dir, strings.Join(listed(*ids), ", "))
	return err
}

func required(name, value string) error {
	if value == "" {
		return fmt.Errorf("--%s is missing", name)
	}
	return nil
}

// listed takes a list apart at its commas.
func listed(text string) (out []string) {
	for _, each := range strings.Split(text, ",") {
		if each = strings.TrimSpace(each); each != "" {
			out = append(out, each)
		}
	}
	return out
}
