// Package servertest gives tests the real object stores that .ci/servers has started:
//
//	.ci/servers run go test -tags cloud -run Server -v ./internal/servertest ./cmd/demo
//
// The environment says where each is. A test whose server is not there fails if CI=true, and is skipped elsewhere, with
// a line that says so. Everything that does not end on a loopback address is refused: no test reaches a real cloud.
package servertest
