package gossip

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
)

// How often seeds, and former members, that are no members are called: by whoever knows nobody, and by others. Memberlist
// forgets the dead after a while and never calls them again; so parts of a cluster find each other.
const (
	aloneInterval = 2 * time.Second
	seedsInterval = 15 * time.Second
)

// seed is an address of the config.
type seed struct {
	address string
	silent  bool // and it was logged
}

// seek calls the seeds and former members, again and again. Met is called after the first time.
func (g *Gossip) seek(ctx context.Context, list *memberlist.Memberlist, self netip.AddrPort, met func()) {
	defer met()
	var seeds []*seed
	for _, address := range g.cfg.Seeds {
		seeds = append(seeds, &seed{address: address})
	}
	var called time.Time
	for {
		if g.members.alone() || time.Since(called) > seedsInterval {
			var calls sync.WaitGroup
			for _, s := range seeds {
				calls.Go(func() { g.noted(s, g.call(ctx, list, self, s.address)) })
			}
			for _, address := range g.members.formers() {
				calls.Go(func() { _ = g.call(ctx, list, self, address) }) // it may be gone for good
			}
			calls.Wait()
			met()
			called = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(aloneInterval*3/4 + rand.N(aloneInterval/2)): // not all at once
		}
	}
}

// call makes a seed a member, at all of its addresses. It is enough that one is.
func (g *Gossip) call(ctx context.Context, list *memberlist.Memberlist, self netip.AddrPort, address string) error {
	addresses, err := resolve(ctx, address)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range addresses {
		if a == self || g.members.at(a) {
			continue
		}
		if _, err := list.Join([]string{a.String()}); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < len(addresses) {
		return nil
	}
	return errors.Join(errs...)
}

// noted logs that a seed does not answer, once until it does.
func (g *Gossip) noted(s *seed, err error) {
	if err != nil && !s.silent {
		g.log.Warn("a seed is not reached", zap.String("seed", s.address), zap.Error(err))
	}
	s.silent = err != nil
	g.failures.called(s.address, err)
}
