package actors

import (
	"slices"

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
			r.pids[v], r.dest[v] = pid, uint16(1+slices.Index(in.memberIDs(), owner.Instance))
		}
	}
	return r
}
