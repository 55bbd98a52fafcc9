package transport_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/mem"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

func TestMismatchesAreRefused(t *testing.T) {
	known := uuid.Must(uuid.NewV7())
	onlyKnown := func(_ *remote.TransportConfig, h *handler) {
		h.check = func(peer remote.Hello) error {
			if peer.Member.Instance == "b" && peer.Member.Incarnation != known {
				return errors.New("another incarnation is in force")
			}
			return nil
		}
	}
	capacity := func(peer string) option {
		return func(_ *remote.TransportConfig, h *handler) {
			h.check = func(p remote.Hello) error {
				if p.Member.Instance == peer && p.Capacity != 512 {
					return fmt.Errorf("capacity %d, not 512", p.Capacity)
				}
				return nil
			}
		}
	}
	nothing := func(*remote.TransportConfig, *handler) {}
	for _, c := range []struct {
		name   string
		a, b   option // a dials b
		dialed string
		kind   string
		reason string
	}{
		{"cluster", nothing, func(_ *remote.TransportConfig, h *handler) { h.hello.Cluster = "d" }, "b", remote.RefusedCluster, `"d"`},
		{"format", nothing, func(_ *remote.TransportConfig, h *handler) { h.hello.Lowest, h.hello.Highest = 2, 3 }, "b", remote.RefusedFormat, "2 to 3"},
		{"the dialer's capacity", nothing, capacity("a"), "b", remote.RefusedByCheck, "capacity 256, not 512"},
		{"the acceptor's capacity", capacity("b"), nothing, "b", remote.RefusedByCheck, "capacity 256, not 512"},
		{"another id at the address", nothing, nothing, "x", remote.RefusedInstance, `"x"`},
		{"another incarnation", onlyKnown, nothing, "b", remote.RefusedByCheck, "another incarnation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			secured(t, []string{"a", "b", "third"}, func(t *testing.T, dir string) {
				a, b, third := open(t, dir, "a", c.a), open(t, dir, "b", c.b), open(t, dir, "third")
				a.Dial([]remote.Member{{Instance: c.dialed, Address: b.Address()}, third.member()})
				for _, n := range []*node{a, b} {
					n.refusedOnce(t, c.kind, 3) // it is tried again
					entries := n.logs.All()
					if said := fmt.Sprint(entries[0].ContextMap()["reason"]); !strings.Contains(said, c.reason) {
						t.Errorf("%s says %q, want %q in it", n.hello.Member.Instance, said, c.reason)
					}
				}
				var refused *remote.RefusedError
				for _, s := range a.Status() {
					if s.Instance == c.dialed && (!errors.As(s.Err, &refused) || refused.Kind != c.kind || s.Up) {
						t.Errorf("status %+v, want refused by %s", s, c.kind)
					}
				}
				goesOn(t, a, third)
				_, _, got := b.counts()
				if ups, _, _ := a.counts(); got > 0 || ups != 1 {
					t.Errorf("a refused peer received %d frames, and %d peers are up", got, ups)
				}
			})
		})
	}
}

// goesOn checks that a frame comes from one node to another that it dials.
func goesOn(t *testing.T, from, to *node) {
	t.Helper()
	name := to.hello.Member.Instance
	from.await(t, name+" is up", func() bool { return len(from.ups) > len(from.downs) })
	_, _, before := to.counts()
	var done atomic.Int64
	if !from.Send(name, tracked{number(1), &done}) {
		t.Fatalf("a frame for %s is dropped", name)
	}
	to.await(t, "a frame more", func() bool { return len(to.got) > before })
	eventually(t, "done with it", func() bool { return done.Load() == 1 })
}

const (
	garbage = "\xff\xff\xffgarbage garbage garbage garbage garbage garbage garbage garbage\r\n\r\n"
	request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	answer  = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	alert   = "\x15\x03\x03\x00\x02\x02\x28" // fatal, handshake failure
)

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// TestStrangersThatListenAreRefused: a dials what is no member, and goes on with b.
func TestStrangersThatListenAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		do         func(net.Conn)
		plain, tls string // kinds of refusal
	}{
		{"silent", silent, remote.RefusedSilent, remote.RefusedSilent},
		{"garbage", say(garbage), remote.RefusedProtocol, remote.RefusedTLS},
		{"HTTP", say(answer), remote.RefusedProtocol, remote.RefusedTLS},
		{"TLS alert", say(alert), remote.RefusedSilent, remote.RefusedTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			secured(t, []string{"a", "b"}, func(t *testing.T, dir string) {
				a, b := open(t, dir, "a"), open(t, dir, "b")
				a.Dial([]remote.Member{{Instance: "x", Address: serve(t, c.do)}, b.member()})
				kind, times := c.plain, 3
				if dir != "" {
					kind = c.tls
				}
				if kind == remote.RefusedSilent {
					times = 1 // each takes seconds
				}
				a.refusedOnce(t, kind, times)
				goesOn(t, a, b)
			})
		})
	}
}

// TestStrangersThatDialAreRefused: what is no member dials a, which goes on with b.
func TestStrangersThatDialAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		do         func(net.Conn)
		plain, tls string
	}{
		{"silent", silent, remote.RefusedSilent, remote.RefusedSilent},
		{"garbage", say(garbage), remote.RefusedProtocol, remote.RefusedTLS},
		{"HTTP", say(request), remote.RefusedProtocol, remote.RefusedTLS},
		{"TLS alert", say(alert), remote.RefusedSilent, remote.RefusedTLS},
		{"HTTP/2 without a stream", say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), remote.RefusedSilent, remote.RefusedTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			secured(t, []string{"a", "b"}, func(t *testing.T, dir string) {
				a, b := open(t, dir, "a"), open(t, dir, "b")
				a.Dial([]remote.Member{b.member()})
				for range 2 {
					conn, err := net.Dial("tcp", a.Address())
					if err != nil {
						t.Fatal(err)
					}
					c.do(conn) // until a closes it
					conn.Close()
				}
				kind := c.plain
				if dir != "" {
					kind = c.tls
				}
				a.refusedOnce(t, kind, 2)
				goesOn(t, a, b)
			})
		})
	}
}

func TestCertificatesOfOthersAreRefused(t *testing.T) {
	dir, foreign := authority(t, "a", "b", "client"), authority(t, "x")
	a, b := open(t, dir, "a"), open(t, dir, "b")
	a.Dial([]remote.Member{b.member()})
	for _, c := range []struct {
		name, dir, cert string
		options         []option
		theirs, ours    string
	}{
		{"another authority", foreign, "x", nil, remote.RefusedTLS, remote.RefusedTLS},
		{"another instance", dir, "b", nil, remote.RefusedCertificate, remote.RefusedCertificate},
		{"a client's", dir, "client", nil, remote.RefusedCertificate, remote.RefusedCertificate},
		{"none", "", "", nil, remote.RefusedTLS, ""},
		{"a client with that of another", dir, "b", []option{client}, remote.RefusedCertificate, remote.RefusedCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := strings.ReplaceAll(c.name, " ", "-")
			before := a.Refused()[c.theirs]
			x := open(t, "", name, append(c.options, func(cfg *remote.TransportConfig, _ *handler) {
				if c.dir != "" {
					*cfg = withCert(*cfg, c.dir, c.cert)
				}
			})...)
			x.Dial([]remote.Member{a.member()})
			eventually(t, "refused twice", func() bool { return a.Refused()[c.theirs] >= before+2 })
			if c.ours != "" {
				x.refusedOnce(t, c.ours, 2)
			}
			x.Close()
			goesOn(t, a, b)
		})
	}
}

// TestBadFramesCloseTheirConnection: a member that is taken sends what it must not; the others go on.
func TestBadFramesCloseTheirConnection(t *testing.T) {
	frame := func(kind wire.Kind, number uint64, data []byte) []byte {
		b := append(wire.Start(nil, kind, number), data...)
		wire.Finish(b, 0)
		return b
	}
	for _, c := range []struct {
		name string
		data []byte
		kind string
	}{
		{"garbage", []byte(garbage), remote.RefusedFrame},
		{"half a frame", frame(wire.KindPlain, 0, []byte("hello"))[:8], remote.RefusedFrame},
		{"a repeated number", append(frame(wire.KindTracked, 1, nil), frame(wire.KindTracked, 1, nil)...), remote.RefusedFrame},
		{"a second hello", wire.AppendHello(nil, wire.Hello{}), remote.RefusedFrame},
		{"an acknowledgement of nothing", wire.AppendDone(nil, []wire.Range{{First: 1, Last: 1 << 60}}), remote.RefusedFrame},
		{"a frame above the limit", frame(wire.KindPlain, 0, make([]byte, 1<<20+1)), remote.RefusedFrame},
		{"100 MB", frame(wire.KindPlain, 0, make([]byte, 100<<20)), remote.RefusedSize},
		{"what the handler refuses", frame(wire.KindPlain, 0, []byte("error")), remote.RefusedByHandler},
		{"what the handler panics at", frame(wire.KindTracked, 1, []byte("panic")), remote.RefusedPanic},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			secured(t, []string{"a", "b", "x"}, func(t *testing.T, dir string) {
				b := open(t, dir, "b")
				a := open(t, dir, "a", func(cfg *remote.TransportConfig, h *handler) {
					cfg.MaxFrame = 1 << 20
					h.receive = func(_ remote.Hello, data []byte, _ func()) error {
						switch string(data) {
						case "error":
							return errNo
						case "panic":
							panic("at the disco")
						}
						return nil
					}
				})
				a.Dial([]remote.Member{b.member()})
				for range 2 {
					s := rawStream(t, a.Address(), dir, "x")
					rawHello(t, s, newHandler("x").hello, "a")
					sendRaw(t, s, c.data)
					for err := error(nil); err == nil; {
						err = s.RecvMsg(new(mem.BufferSlice))
					}
				}
				a.refusedOnce(t, c.kind, 2)
				goesOn(t, a, b)
			})
		})
	}
}
