// Package certs makes certificates for the mutual TLS of a cluster: an authority, and a certificate for each instance.
// It is for trials and tests. Where certificates are managed already, use those: an instance's needs its id as a DNS name
// or as the common name, and to be good for servers and clients.
//
//	dir/ca.pem         what every instance trusts
//	dir/ca-key.pem     what makes certificates; no instance needs it
//	dir/<id>.pem       whom an instance is; "client" for any client
//	dir/<id>-key.pem   the proof
//
// Keys are ECDSA P-256, readable by their owner alone.
package certs
