package transport_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

// proxy is a network between two nodes that a test can break.
type proxy struct {
	net.Listener
	running sync.WaitGroup

	mu     sync.Mutex // guards what follows
	target string
	conns  []net.Conn
	hole   bool // bytes vanish
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, target: target}
	p.running.Go(p.run)
	t.Cleanup(func() {
		l.Close()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) run() {
	for {
		in, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			p.mu.Unlock()
			continue
		}
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.running.Go(func() { p.copy(in, out) })
		p.running.Go(func() { p.copy(out, in) })
	}
}

func (p *proxy) copy(from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		hole := p.hole
		p.mu.Unlock()
		if n > 0 && !hole {
			if _, err := to.Write(b[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	from.Close()
	to.Close()
}

// cut breaks every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// set changes where connections go from now on, and whether bytes vanish.
func (p *proxy) set(target string, hole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target, p.hole = target, hole
}

// member is an instance as it is reached through the proxy.
func (p *proxy) member(instance string) remote.Member {
	return remote.Member{Instance: instance, Address: p.Addr().String()}
}

// serve accepts connections and does something with each; they close with the test.
func serve(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(t.Context(), func() { c.Close() })
				defer stop()
				do(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

// say writes bytes and reads until the other end has enough of it.
func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.WriteString(c, text); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}
}

// rawStream opens the stream of a stranger that speaks gRPC, with certificates or without.
func rawStream(t *testing.T, address, dir, name string) grpc.ClientStream {
	t.Helper()
	creds := insecure.NewCredentials()
	if dir != "" {
		cfg := withCert(remote.TransportConfig{}, dir, name)
		pair, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
		if err != nil {
			t.Fatal(err)
		}
		creds = credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true})
	}
	_, options := open(t, "", "options").Bare()
	c, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, transport.Method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sendRaw sends a message of these bytes.
func sendRaw(t *testing.T, s grpc.ClientStream, b []byte) {
	t.Helper()
	if err := s.SendMsg(mem.BufferSlice{mem.SliceBuffer(b)}); err != nil {
		t.Logf("send %d bytes: %v", len(b), err)
	}
}

// rawHello says hello as an instance that means to reach another, and takes the answer.
func rawHello(t *testing.T, s grpc.ClientStream, self remote.Hello, intended string) {
	t.Helper()
	sendRaw(t, s, wire.AppendHello(nil, wire.Hello{Hello: self, Intended: intended}))
	var m mem.BufferSlice
	if err := s.RecvMsg(&m); err != nil {
		t.Fatalf("no answer to a hello: %v", err)
	}
	m.Free()
}
