package gossip

import (
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	strangerFor  = time.Minute // that it is reported after what it sent last
	maxStrangers = 64          // of which that is known at one time
)

// errKey is what others do wrong whose gossip no key of ours decrypts.
var errKey = errors.New("none of the gossip keys here decrypts what comes from there: the key files differ")

// failures is what fails now.
type failures struct {
	mu        sync.Mutex           // guards what follows
	seeds     map[string]error     // that are not reached, by address
	strangers map[string]time.Time // by host: when it last sent what no key decrypts
}

// called notes whether a seed was reached.
func (f *failures) called(seed string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seeds == nil {
		f.seeds = map[string]error{}
	}
	if f.seeds[seed] = err; err == nil {
		delete(f.seeds, seed)
	}
}

// undecrypted notes who sent what no key decrypts. Beyond its bound others are not named (I8).
func (f *failures) undecrypted(from string) {
	host, _, err := net.SplitHostPort(from)
	if err != nil {
		host = from
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.strangers == nil {
		f.strangers = map[string]time.Time{}
	}
	if _, known := f.strangers[host]; known || len(f.strangers) < maxStrangers {
		f.strangers[host] = time.Now()
	}
}

// Failing implements [remote.Reporter].
func (f *failures) Failing() map[string]error {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]error{}
	for seed, err := range f.seeds {
		out["call the gossip seed "+seed] = err
	}
	maps.DeleteFunc(f.strangers, func(_ string, at time.Time) bool { return time.Since(at) > strangerFor })
	for _, host := range slices.Collect(maps.Keys(f.strangers)) {
		out["understand the gossip of "+host] = errKey
	}
	return out
}
