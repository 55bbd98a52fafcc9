package driver

import (
	"net/http"
	"time"
)

// NewTransport returns a tuned transport for one connection, with the environment's proxies.
func NewTransport() *http.Transport {
	return Tune(&http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
	})
}

// Tune lets a transport keep a connection for each of many requests at a time, and find out within half a minute that
// one which they share is dead.
func Tune(t *http.Transport) *http.Transport {
	t.MaxIdleConns = 0 // no limit but the next
	t.MaxIdleConnsPerHost = 128
	t.IdleConnTimeout = time.Minute
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 10 * time.Second}
	return t
}
