package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/hashicorp/memberlist"

	"github.com/sheaf-go/sheaf/remote"
)

// check finds every problem of a config.
func check(cfg remote.GossipConfig) error {
	var errs []error
	if n := len(cfg.Cluster); n == 0 || n > memberlist.LabelMaxSize {
		errs = append(errs, fmt.Errorf("the name of the cluster has %d bytes, want 1 to %d", n, memberlist.LabelMaxSize))
	}
	if cfg.Capacity < 1 || cfg.Capacity > 1<<16-1 {
		errs = append(errs, fmt.Errorf("capacity %d, want 1 to %d", cfg.Capacity, 1<<16-1))
	}
	host, _, err := split(cfg.Listen)
	if err == nil && cfg.Advertise == "" && unspecified(host) {
		err = errors.New("it names no single host: advertise one that the others can call")
	}
	errs = append(errs, wrap("listen on", cfg.Listen, err))
	if cfg.Advertise != "" {
		host, _, err := split(cfg.Advertise)
		if err == nil && unspecified(host) {
			err = errors.New("it names no single host")
		}
		errs = append(errs, wrap("advertise", cfg.Advertise, err))
	}
	for _, s := range cfg.Seeds {
		host, port, err := split(s)
		if err == nil && (port == 0 || unspecified(host)) {
			err = errors.New("it names no single host and port")
		}
		errs = append(errs, wrap("seed", s, err))
	}
	return errors.Join(append(errs, strangers(cfg))...)
}

func wrap(what, address string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", what, address, err)
}

// strangers returns an error for the first address off loopback that no key protects (I12).
func strangers(cfg remote.GossipConfig) error {
	if !isBare(cfg) {
		return nil
	}
	for _, address := range append([]string{cfg.Listen, cfg.Advertise}, cfg.Seeds...) {
		host, _, err := split(address)
		ip, notIP := netip.ParseAddr(host)
		if err == nil && host != "localhost" && (notIP != nil || !ip.IsLoopback()) {
			return &remote.ExposedError{Address: address, Gossip: true}
		}
	}
	return nil
}

// isBare reports whether nothing protects what is sent and nobody said that it may be so.
func isBare(cfg remote.GossipConfig) bool { return cfg.KeyFile == "" && !cfg.Insecure }

func split(address string) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	p, err := strconv.ParseUint(digits, 10, 16)
	return host, uint16(p), err
}

func unspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// resolve returns what a host:port stands for, IPv4 first.
func resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, port, err := split(address)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), port))
	}
	slices.SortStableFunc(all, func(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	return all, nil
}

// where is what to listen on and what to tell the others, as far as it is known before.
type where struct {
	listen    netip.AddrPort // without an address: on all
	advertise netip.AddrPort // port 0: the one that is listened on
	bare      bool           // nothing off loopback may be called
}

func (g *Gossip) where(ctx context.Context) (where, error) {
	w := where{bare: isBare(g.cfg)}
	host, port, err := split(g.cfg.Listen)
	if err != nil {
		return w, err
	}
	if w.listen = netip.AddrPortFrom(netip.Addr{}, port); host != "" {
		if w.listen, err = g.one(ctx, g.cfg.Listen); err != nil {
			return w, wrap("listen on", g.cfg.Listen, err)
		}
	}
	if w.advertise = w.listen; g.cfg.Advertise != "" {
		w.advertise, err = g.one(ctx, g.cfg.Advertise)
	}
	return w, wrap("advertise", g.cfg.Advertise, err)
}

// one returns the first address of a host:port.
func (g *Gossip) one(ctx context.Context, address string) (netip.AddrPort, error) {
	all, err := resolve(ctx, address)
	switch {
	case err != nil:
		return netip.AddrPort{}, err
	case all[0].Addr().Zone() != "":
		return netip.AddrPort{}, errors.New("zones of addresses are not supported")
	case isBare(g.cfg) && !all[0].Addr().IsLoopback():
		return netip.AddrPort{}, &remote.ExposedError{Address: all[0].String(), Gossip: true}
	}
	return all[0], nil
}
