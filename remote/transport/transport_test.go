package transport_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sheaf-go/sheaf/remote"
)

// secured runs a test without TLS and with it.
func secured(t *testing.T, instances []string, test func(t *testing.T, dir string)) {
	t.Run("plain", func(t *testing.T) { test(t, "") })
	t.Run("tls", func(t *testing.T) { test(t, authority(t, instances...)) })
}

func TestFramesArriveInOrder(t *testing.T) {
	secured(t, []string{"a", "b"}, func(t *testing.T, dir string) {
		a, b := open(t, dir, "a"), open(t, dir, "b")
		a.Dial([]remote.Member{a.member(), b.member()})
		a.await(t, "up", func() bool { return len(a.ups) == 1 })
		var done atomic.Int64
		const frames = 1000
		for i := range frames {
			var f remote.Frame = number(i)
			if i%2 == 0 {
				f = tracked{number(i), &done}
			}
			if !a.Send("b", f) {
				t.Fatalf("frame %d was dropped", i)
			}
		}
		b.await(t, "all frames", func() bool { return len(b.got) == frames })
		for i, data := range b.got {
			if numberOf(data) != i {
				t.Fatalf("frame %d arrived as number %d", numberOf(data), i)
			}
		}
		eventually(t, "all are done with", func() bool { return done.Load() == frames/2 })
		s := a.Status()
		if len(s) != 1 || !s[0].Up || s[0].Sent != frames || s[0].Queued != 0 || s[0].Dropped != 0 || s[0].Err != nil {
			t.Errorf("status %+v", s)
		}
		if len(b.Status()) != 0 {
			t.Errorf("b dials nobody, its status is %+v", b.Status())
		}
	})
}

func TestMembersAndClientsReachEachOther(t *testing.T) {
	secured(t, []string{"a", "b", "client"}, func(t *testing.T, dir string) {
		a, b := open(t, dir, "a"), open(t, dir, "b")
		c := open(t, dir, "c", client, func(cfg *remote.TransportConfig, _ *handler) {
			if dir != "" {
				*cfg = withCert(*cfg, dir, "client")
			}
		})
		nodes := []*node{a, b, c}
		for _, n := range nodes {
			n.Dial([]remote.Member{a.member(), b.member()})
		}
		var done atomic.Int64
		sent := 0
		for _, from := range nodes {
			from.await(t, "up", func() bool { return len(from.ups) >= 1 })
			for _, to := range nodes {
				if from == to || from == c && to == c {
					continue
				}
				name := to.Self().Member.Instance
				from.await(t, name+" is up", func() bool {
					for _, u := range from.ups {
						if u.Member == to.hello.Member {
							return true
						}
					}
					return false
				})
				sent++
				if !from.Send(name, tracked{plain(fmt.Sprintf("%s to %s", from.hello.Member.Instance, name)), &done}) {
					t.Fatalf("%s sends nothing to %s", from.hello.Member.Instance, name)
				}
			}
		}
		for _, n := range nodes {
			n.await(t, "two frames", func() bool { return len(n.got) == 2 })
		}
		eventually(t, "all are done with", func() bool { return int(done.Load()) == sent })
		c.Close()
		a.await(t, "the client is down", func() bool { return len(a.downs) == 1 && a.downs[0].Client })
	})
}
