package actors

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/merger"
	"github.com/sheaf-go/sheaf/vnode"
	"go.uber.org/zap"
)

// tell sends a message to the coordinator, wherever it is. Nobody gets it while none is known.
func (in *Instance[K, E, S, R]) tell(message any) {
	leader := in.leader.Load()
	switch {
	case leader == nil:
	case *leader != in.self.Instance:
		in.system.Root.Send(farPID(*leader), message)
	default:
		if r, asks := message.(Request); asks {
			message = farAsk{from: in.self, request: r}
		}
		in.tellReign(message)
	}
}

// merge sends partials to the merger, which is where the coordinator is.
func (in *Instance[K, E, S, R]) merge(p merger.Partials) {
	switch leader := in.leader.Load(); {
	case in.cfg.App.Fold == nil || leader == nil:
	case *leader != in.self.Instance:
		in.system.Root.Send(farPID(*leader), p)
	default:
		in.mergeHere(p)
	}
}

func (in *Instance[K, E, S, R]) mergeHere(p merger.Partials) {
	if r := in.reign.Load(); r != nil && r.merger != nil {
		in.system.Root.Send(r.merger, p)
	}
}

func (in *Instance[K, E, S, R]) troubles() *troubles { return in.problems }

// publish takes a record that stands: from now on it is what every part of the instance knows.
func (in *Instance[K, E, S, R]) publish(rec *backend.Record, sealed bool) {
	old, k := in.newest.Load(), in.knownOf(rec)
	in.newest.Store(k)
	if old == nil || old.view.Assignment.Version != k.view.Assignment.Version {
		in.meet(old, k) // before anything is sent to them
		in.reroute(in.routeTo(k.view))
		in.forsake(old, k)
	}
	if old == nil || old.view.Assignment.Version != k.view.Assignment.Version || old.view.LastGeneration != k.view.LastGeneration {
		in.seen.forget(k.view) // the opening of one name may have retired another
	}
	if old == nil || old.rec.Coordinator != rec.Coordinator {
		in.leader.Store(&rec.Coordinator.Instance)
	}
	if rec.Coordinator != in.self {
		in.tellReign(rec) // which may be over
	}
	in.gain(old, k)
	for _, pid := range in.vnodes {
		in.system.Root.Send(pid, k.view)
	}
	in.mu.Lock()
	for _, s := range in.sources {
		s.inbox.put(toSource{view: k.view})
	}
	in.mu.Unlock()
	if sealed {
		in.sealed(rec)
	}
	poke(in.recordAt)
	in.fenceOld(k.view)
	in.leaveUnread(k)
	in.readDealt(k)
	in.tellNews()
}

// reroute sends to where vnodes are now. What plain producers sent to where some were before, and nobody answered for, they
// send again: an owner says where it stands when it begins, and may have said so before this record was known here.
func (in *Instance[K, E, S, R]) reroute(to *routes) {
	before := in.routes.Swap(to)
	if before == nil {
		return
	}
	stayed := func(v vnode.ID) bool {
		return to.pids[v] == before.pids[v] || (to.pids[v] != nil && to.pids[v].Equal(before.pids[v]))
	}
	for _, p := range in.allProducers() {
		p.resend(stayed)
	}
}

// leaveUnread gives the sources back that a record says this instance reads and that it does not: an attach may have been
// carried out after its caller had gone.
func (in *Instance[K, E, S, R]) leaveUnread(k *known) {
	a := k.view.Assignment
	for _, s := range a.Sources {
		if s.Owner == vnode.Unowned || a.Members[s.Owner] != in.self {
			continue
		}
		in.mu.Lock()
		read, leaves := in.sources[s.Source] != nil || in.offers[s.Source] != nil, in.leaving[s.Source]
		if !read && !leaves {
			in.leaving[s.Source] = true
		}
		in.mu.Unlock()
		if !read && !leaves {
			in.spawn(func() {
				in.giveBack(s.Source)
				in.mu.Lock()
				defer in.mu.Unlock()
				delete(in.leaving, s.Source)
			})
		}
	}
}

// meet goes to the members that a record admits where they are.
func (in *Instance[K, E, S, R]) meet(old, k *known) {
	if !in.clustered() {
		return
	}
	if old == nil { // a client's first: it knew its configuration alone
		in.dialOthers()
		return
	}
	for _, m := range k.rec.Assignment.Members {
		if !slices.Contains(old.rec.Assignment.Members, m) {
			in.livesAt(m)
		}
	}
}

// forsake takes back what waits for the members that a record leaves out: it goes to others.
func (in *Instance[K, E, S, R]) forsake(old, k *known) {
	if !in.clustered() || old == nil {
		return
	}
	for _, m := range old.rec.Assignment.Members {
		if m.Instance != in.self.Instance && k.rec.Assignment.Index(m.Instance) < 0 {
			in.transport.GiveUp(m.Instance)
		}
	}
}

// gain restores the vnodes that a record makes this instance's own.
func (in *Instance[K, E, S, R]) gain(old, k *known) {
	if !k.ours {
		return
	}
	if old == nil || !old.ours || old.view.Assignment.Version != k.view.Assignment.Version {
		poke(in.sealedAt) // a fold may be overdue of what is owned now
	}
	for _, v := range k.owned {
		if old == nil || !old.owns(v) {
			in.restores.put(v)
		}
	}
	if !in.started.Load() {
		in.restores.poke() // it may own nothing, and wait for the others alone
	}
	if old == nil || !old.ours {
		did := "names this incarnation in"
		if k.rec.Coordinator == in.self {
			did = "begins"
		}
		in.cfg.Timeline.Note(in.began, StepTakeOver, "record %d %s term %d", k.rec.Seq, did, k.rec.Term)
	} else if k.rec.Coordinator == in.self && old.rec.Term < k.rec.Term {
		in.cfg.Timeline.Note(time.Time{}, StepTakeOver, "record %d begins term %d", k.rec.Seq, k.rec.Term)
	}
}

// sealed tells of an epoch.
func (in *Instance[K, E, S, R]) sealed(rec *backend.Record) {
	in.problems.fine(sealEpoch)
	in.watch.stands(rec.Attempt)
	poke(in.sealedAt)
	poke(in.planAt)
	if rec.Coordinator != in.self {
		in.emittedAt.Store(uint64(rec.Emitted))
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// opened tells of an attempt: the sources, which put barriers; without sources the vnodes, a few at a time. It may be
// told again.
func (in *Instance[K, E, S, R]) opened(a vnode.Attempt) {
	if old := in.open.Load(); old == nil || *old != a {
		in.open.Store(&a)
		in.watch.begin(a, len(in.newest.Load().owned))
	}
	k := in.newest.Load()
	if len(k.view.Sources) == 0 && in.checkpointer != nil {
		in.system.Root.Send(in.checkpointer, &vnode.OpenAttempt{Attempt: a, View: k.view})
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.sources {
		s.inbox.put(toSource{attempt: a})
	}
}

// stop ends the instance, from one of its own goroutines.
func (in *Instance[K, E, S, R]) stop(err error) {
	in.over.RLock()
	defer in.over.RUnlock()
	if !in.ended {
		in.stops.Go(func() { in.Abort(err) })
	}
}

func (in *Instance[K, E, S, R]) changed() int64 { return in.dirty.Load() }

// Took counts events that a vnode took.
func (in *Instance[K, E, S, R]) Took(v vnode.ID, n int) { in.meters.applied[v].Add(uint64(n)) }

// Applied counts the vnodes with changes that no capture holds; the first asks for an epoch.
func (in *Instance[K, E, S, R]) Applied(_ vnode.ID, changed bool) {
	if !changed {
		in.dirty.Add(-1)
	} else if in.dirty.Add(1) == 1 {
		in.tell(want{})
	}
}

// Answer carries a vnode's reply to its origin, here or in the instance that reads the source or last sent something of
// the producer. If nobody knows which that is, all are told.
func (in *Instance[K, E, S, R]) Answer(r vnode.Reply) {
	to := in.self.Instance
	if in.clustered() {
		to = in.originOf(&r) // the newest record says: who read the source here before may not have stopped yet
	}
	switch {
	case to != "" && to != in.self.Instance:
		in.system.Root.Send(farPID(to), r)
		return
	case in.answerHere(r) || to != "":
		return
	}
	for _, id := range in.peers.all() {
		in.system.Root.Send(farPID(id), r)
	}
}

// answerHere gives a reply to its origin if that is in this process.
func (in *Instance[K, E, S, R]) answerHere(r vnode.Reply) bool {
	answer := (*in.origins.Load())[r.Origin]
	if answer != nil {
		answer(r)
	}
	return answer != nil
}

// originOf is the instance of a reply's origin; empty if it is not known.
func (in *Instance[K, E, S, R]) originOf(r *vnode.Reply) string {
	if r.Generation == 0 {
		a := in.newest.Load().view.Assignment
		i, found := slices.BinarySearchFunc(a.Sources, r.Origin, func(s vnode.SourceOwner, name string) int { return strings.Compare(s.Source, name) })
		switch {
		case found && a.Sources[i].Owner == vnode.Unowned:
			return "" // whoever is to read it may know already
		case found:
			return a.Members[a.Sources[i].Owner].Instance
		}
	}
	x, known := in.seen.names.Load(r.Origin)
	if !known || x.(seenOrigin).generation != r.Generation {
		return ""
	}
	return x.(seenOrigin).instance
}

// ownedUnder lists the vnodes that this incarnation owns under the assignment of a version; false if that is not the
// newest known.
func (in *Instance[K, E, S, R]) ownedUnder(version uint64) ([]vnode.ID, bool) {
	k := in.newest.Load()
	return k.owned, k.view.Assignment.Version == version
}

// Capture hands a capture to the checkpointer.
func (in *Instance[K, E, S, R]) Capture(c vnode.Capture) {
	in.problems.fine(runVnode(c.Vnode))
	in.system.Root.Send(in.checkpointer, c)
}

// Rejected gives an event to the dead-letter hook.
func (in *Instance[K, E, S, R]) Rejected(d vnode.Rejected[E]) { in.rejected(d) }

func (in *Instance[K, E, S, R]) rejected(d vnode.Rejected[E]) {
	in.meters.rejected.Add(1)
	in.cfg.Log.Warn("event rejected", zap.String("origin", d.Origin), zap.Uint64("position", d.Position), zap.Error(d.Err))
	if in.cfg.DeadLetter == nil {
		return
	}
	defer func() {
		if x := recover(); x != nil {
			in.cfg.Log.Error("the dead-letter hook panicked", zap.Any("panic", x))
		}
	}()
	in.cfg.DeadLetter(d)
}

// Panicked notes a panic of the app. The vnode restarts.
func (in *Instance[K, E, S, R]) Panicked(v vnode.ID, p *vnode.PanicError) {
	in.meters.panics.Add(1)
	in.problems.note(runVnode(v), p)
	if p.Doing != "update" {
		in.tell(captureFailed{}) // the open attempt will not fill: what this life captured, or was to, is gone
	}
	in.cfg.Log.Error("the app panicked, the vnode restarts", zap.Error(p), zap.ByteString("stack", p.Stack))
}

// pidsOf are the actors of vnodes that live here.
func (in *Instance[K, E, S, R]) pidsOf(vnodes []vnode.ID) []*actor.PID {
	out := make([]*actor.PID, len(vnodes))
	for i, v := range vnodes {
		out[i] = in.vnodes[v]
	}
	return out
}

func (in *Instance[K, E, S, R]) route() *routes { return in.routes.Load() }

func (in *Instance[K, E, S, R]) sealedEpoch() vnode.Epoch { return in.newest.Load().rec.Epoch }
