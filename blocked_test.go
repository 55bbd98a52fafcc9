package sheaf_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sheaf-go/sheaf"
)

// Functions of the app that block in many vnodes, more than there are processors, do not keep other vnodes from going
// on.
func TestBlockedVnodesDoNotHoldUpTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T, s *store) {
		app, free := tallies(), make(chan struct{})
		let := sync.OnceFunc(func() { close(free) })
		app.Update = func(turn *sheaf.Turn, sum *int64, e event) error {
			switch e.Key {
			case "free":
				let()
			default:
				<-free
			}
			return tally(turn, sum, e)
		}
		cfg := small()
		cfg.State.VnodeCapacity = 256
		in := s.open(cfg, app, &inbox{})
		p := producer(t, in, "p")
		for i := range 40 {
			send(t, p, event{Key: fmt.Sprint("blocked ", i), Add: 1})
		}
		quiet(time.Second)
		send(t, p, event{Key: "free", Add: 1})
		select {
		case <-free:
		case <-time.After(patience):
			t.Errorf("a vnode waits for others that are blocked, for %v", patience)
			let()
		}
		flush(t, p)
		closeAll(t, in)
	})
}
