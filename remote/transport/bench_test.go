package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport"
)

var full = flag.Bool("full", false, "more bytes for BenchmarkThroughput")

const (
	benchRuns   = 5
	benchWindow = 16 << 20 // bytes that are on their way
)

// BenchmarkThroughput sends tracked frames one way and has them acknowledged, next to a bare gRPC stream of the same
// messages, certificates and options, where nothing is acknowledged. Both take turns; the figures are medians.
func BenchmarkThroughput(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("frame=%dKiB", size>>10), func(b *testing.B) { benchmarkThroughput(b, size) })
	}
}

func benchmarkThroughput(b *testing.B, size int) {
	dir := authority(b, "a", "b")
	total := 64 << 20
	if *full {
		total = 1 << 30
	}
	frames := total / size
	ours, bare := openOurs(b, dir), openBare(b, dir)
	data := make([]byte, size)
	ours(frames/8, data)
	bare(frames/8, data)
	var rates, bares, ratios []float64
	for b.Loop() {
		for range benchRuns {
			o, r := ours(frames, data), bare(frames, data)
			rates, bares, ratios = append(rates, o), append(bares, r), append(ratios, o/r)
		}
	}
	b.ReportMetric(median(rates), "MB/s")
	b.ReportMetric(median(bares), "bare-MB/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// rate is in MB/s.
func rate(frames, size int, since time.Time) float64 {
	return float64(frames) * float64(size) / 1e6 / time.Since(since).Seconds()
}

// benchFrame is sent over and over. A token is free when the receiver is done with one.
type benchFrame struct {
	plain
	tokens chan struct{}
}

func (f *benchFrame) Done() { <-f.tokens }

// openOurs returns what sends frames between two nodes and waits until all have arrived.
func openOurs(b *testing.B, dir string) func(frames int, data []byte) float64 {
	var want, got atomic.Int64
	arrived := make(chan struct{}, 1)
	x := open(b, dir, "a")
	y := open(b, dir, "b", func(_ *remote.TransportConfig, h *handler) {
		h.receive = func(_ remote.Hello, _ []byte, done func()) error {
			done()
			if got.Add(1) == want.Load() {
				arrived <- struct{}{}
			}
			return nil
		}
	})
	x.Dial([]remote.Member{y.member()})
	x.await(b, "up", func() bool { return len(x.ups) == 1 })
	return func(frames int, data []byte) float64 {
		f := &benchFrame{data, make(chan struct{}, benchWindow/len(data))}
		got.Store(0)
		want.Store(int64(frames))
		began := time.Now()
		for range frames {
			f.tokens <- struct{}{}
			if !x.Send("b", f) {
				b.Fatal("a frame was dropped")
			}
		}
		<-arrived
		return rate(frames, len(data), began)
	}
}

// openBare returns what sends messages over a stream and waits until all have arrived.
func openBare(b *testing.B, dir string) func(frames int, data []byte) float64 {
	serverOptions, dialOptions := open(b, "", "c").Bare()
	var want atomic.Int64
	arrived := make(chan struct{}, 1)
	creds := bareTLS(b, dir)
	server := grpc.NewServer(append(serverOptions, grpc.Creds(creds))...)
	server.RegisterService(transport.ServiceDesc(func(_ any, s grpc.ServerStream) error {
		for got := int64(1); ; got++ {
			var m mem.BufferSlice
			if err := s.RecvMsg(&m); err != nil {
				return err
			}
			m.Free()
			if got == want.Load() {
				arrived <- struct{}{}
				got = 0
			}
		}
	}), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(l); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		server.Stop()
		running.Wait()
	})
	c, err := grpc.NewClient(l.Addr().String(), append(dialOptions, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	s, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, transport.Method)
	if err != nil {
		b.Fatal(err)
	}
	return func(frames int, data []byte) float64 {
		want.Store(int64(frames))
		began := time.Now()
		for range frames {
			if err := s.SendMsg(mem.BufferSlice{mem.SliceBuffer(data)}); err != nil {
				b.Fatal(err)
			}
		}
		<-arrived
		return rate(frames, len(data), began)
	}
}

// bareTLS are the credentials of either end.
func bareTLS(b *testing.B, dir string) credentials.TransportCredentials {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "a.pem"), filepath.Join(dir, "a-key.pem"))
	if err != nil {
		b.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "a",
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, DynamicRecordSizingDisabled: true,
	})
}
