package actors

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sheaf-go/sheaf/vnode"
)

// routes says where each vnode is sent to. It is immutable.
type routes struct {
	pids []*actor.PID // by vnode; nil: it belongs to nobody
	dest []uint16     // by vnode: of whose credit a batch takes; 0 is this process
}

// routeTo makes the routes of a view.
func (in *Instance[K, E, S, R]) routeTo(w *vnode.View) *routes {
	r := &routes{pids: make([]*actor.PID, in.capacity()), dest: make([]uint16, in.capacity())}
	far := map[string]*actor.PID{}
	for v := range r.pids {
		owner, ok := w.Assignment.Owner(vnode.ID(v))
		switch {
		case in.cfg.Cluster == nil || (ok && owner == in.self):
			r.pids[v] = in.vnodes[v]
		case ok && owner.Instance != in.self.Instance:
			pid := far[owner.Instance]
			if pid == nil {
				pid = farPID(owner.Instance)
				far[owner.Instance] = pid
			}
			r.pids[v], r.dest[v] = pid, in.destination(owner.Instance, w.Assignment)
		}
	}
	return r
}

// maxDestinations is of how many instances of an elastic cluster the bytes in flight are counted each for itself.
const maxDestinations = 255

// destinations is how many counts of bytes in flight a source needs.
func (in *Instance[K, E, S, R]) destinations() int {
	if in.cfg.Cluster == nil || (!in.elastic() && !in.isClient()) {
		return 1 + len(in.memberIDs())
	}
	return 1 + maxDestinations
}

// places gives every instance that is sent something a number, from 1. Where there are too many members, some share one.
type places struct {
	mu  sync.Mutex // guards ids
	ids []string
}

// of returns an instance's number. When there are no more, it gets that of one that is no member any more; what is still on
// its way there counts together with what is sent here, until it is finished with.
func (p *places) of(id string, members vnode.Assignment) uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.ids, id)
	switch {
	case i >= 0:
	case len(p.ids) < maxDestinations:
		i = len(p.ids)
		p.ids = append(p.ids, id)
	default:
		if i = slices.IndexFunc(p.ids, func(old string) bool { return members.Index(old) < 0 }); i >= 0 {
			p.ids[i] = id
		}
	}
	return uint16(1 + max(i, 0))
}

func (p *places) name(i uint16) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i == 0 || int(i) > len(p.ids) {
		return ""
	}
	return p.ids[i-1]
}

// destination is the number of another instance.
func (in *Instance[K, E, S, R]) destination(id string, members vnode.Assignment) uint16 {
	if i := slices.Index(in.memberIDs(), id); i >= 0 && !in.isClient() {
		return uint16(1 + i)
	}
	return in.peers.places.of(id, members)
}
