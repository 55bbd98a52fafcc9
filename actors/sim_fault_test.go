package actors_test

import "time"

// revive starts or wakes a process of an instance of which none is awake.
func (w *world) revive(id string) {
	delete(w.absent, id)
	if p := w.any(func(p *process) bool { return p.up && p.is(id) }); p != nil && w.chance(.5) {
		w.pause(p, false)
		return
	}
	w.start(id)
}

// fault makes something go wrong.
func (w *world) fault() {
	p := w.any((*process).running)
	switch {
	case p == nil:
		w.start(w.home)
		return
	case w.elastic != nil && w.chance(.1):
		w.drain(p)
		return
	case w.clustered() && w.chance(.35):
		w.clusterFault(p)
		return
	}
	switch x := w.r.Float64(); {
	case x < .20:
		w.crash(p)
	case x < .25:
		w.start(p.self.Instance)
	case x < .38:
		w.pause(p, !p.paused)
	case x < .50:
		w.pause(p, false)
	case x < .58:
		w.sinkFails = w.now + time.Duration(w.r.Int64N(int64(200*turn)))
	case x < .68:
		w.pin(p)
	case p.paused || !p.began() || p.view == nil:
		w.pause(p, false)
	case x < .82:
		w.panic(p)
	case x < .92:
		w.reopen(p)
	default:
		p.openProducer(w.r.IntN(len(p.producers)))
	}
}

// clusterFault makes something go wrong that only happens between instances.
func (w *world) clusterFault(p *process) {
	switch x := w.r.Float64(); {
	case x < .55:
		w.cut(p)
	case x < .75: // a process that seems to be gone is replaced
		if w.chance(.5) {
			w.pause(p, true)
		} else {
			w.cut(p)
		}
		w.start(p.self.Instance)
	case x < .85:
		w.mend()
	case w.elastic == nil:
		w.relist()
	default:
		w.drain(p)
	}
}

// crash ends a process. What it asked of the store may still happen, while the next one starts.
func (w *world) crash(p *process) {
	w.sayf("CRASH %s", w.who(p.self))
	w.count("crash")
	p.up = false
	if w.chance(.6) {
		w.start(p.self.Instance)
	}
}

func (w *world) pause(p *process, paused bool) {
	if p.paused == paused {
		return
	}
	w.sayf("PAUSE %s %v", w.who(p.self), paused)
	p.paused = paused
	if paused {
		w.count("pause")
	}
}

// panic ends a vnode's life.
func (w *world) panic(p *process) {
	n := p.vnodes[w.r.IntN(w.capacity)]
	if n.rules == nil {
		return
	}
	w.sayf("PANIC %s v%d", w.who(p.self), n.id)
	w.count("panic")
	n.restore()
}

// reopen opens a source again at its sealed cut, behind vnodes that are further.
func (w *world) reopen(p *process) {
	i := w.r.IntN(len(p.sources))
	if s := p.sources[i]; s != nil && !s.done {
		w.sayf("REOPEN %s of %s at %d", s.name, w.who(p.self), s.rules.Sealed())
		w.count("reopen")
		p.sources[i] = newSimSource(p, s.simOrigin)
	}
}
