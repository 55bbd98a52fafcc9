package transport

import (
	"errors"
	"maps"
	"sync"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/remote"
)

// maxNoted bounds what is remembered to have been logged. Strangers can choose the names that they give; past the bound
// they are only counted.
const maxNoted = 1024

// refusals counts what was refused, and logs each peer and kind once until that peer is connected.
type refusals struct {
	log *zap.Logger

	mu    sync.Mutex // guards what follows
	count map[string]uint64
	noted map[string]map[string]bool // peer, kind
	size  int
}

func newRefusals(log *zap.Logger) *refusals {
	return &refusals{log: log, count: map[string]uint64{}, noted: map[string]map[string]bool{}}
}

// counted counts an error if it is a refusal.
func (r *refusals) counted(err error) {
	var e *remote.RefusedError
	if !errors.As(err, &e) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[e.Kind]++
}

// refused warns of a refusal and counts it.
func (r *refusals) refused(e *remote.RefusedError) {
	defer r.counted(e) // behind the warning, so that whoever sees the count finds the reason
	kind := e.Kind
	key := kind
	if kind == remote.RefusedByCheck {
		key = e.Reason // the handler has several
	}
	if r.first(e.Peer, key) {
		r.log.Warn("connection refused", zap.String("peer", e.Peer), zap.String("kind", kind), zap.String("reason", e.Reason))
	}
}

// failed takes why a peer is not reached any more, or still not.
func (r *refusals) failed(peer string, err error) {
	var e *remote.RefusedError
	switch {
	case errors.As(err, &e):
		r.refused(e)
	case r.first(peer, "down"):
		r.log.Warn("peer is not reached", zap.String("peer", peer), zap.Error(err))
	}
}

// warn logs something else about a peer, once.
func (r *refusals) warn(peer, what string, err error) {
	if r.first(peer, what) {
		r.log.Warn(what, zap.String("peer", peer), zap.Error(err))
	}
}

// first reports whether this is to be logged.
func (r *refusals) first(peer, kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noted[peer][kind] || r.size >= maxNoted {
		return false
	}
	if r.noted[peer] == nil {
		r.noted[peer] = map[string]bool{}
	}
	r.noted[peer][kind] = true
	r.size++
	return true
}

// connected forgets what was logged of a peer, other than what comes after it is connected and would come again.
func (r *refusals) connected(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind := range r.noted[peer] {
		switch kind {
		case remote.RefusedFrame, remote.RefusedSize, remote.RefusedByHandler, remote.RefusedPanic, unencodable:
		default:
			delete(r.noted[peer], kind)
			r.size--
		}
	}
	if len(r.noted[peer]) == 0 {
		delete(r.noted, peer)
	}
}

func (r *refusals) counts() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.count)
}
