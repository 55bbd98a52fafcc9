package actors

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/sheaf-go/sheaf/vnode"
)

// In an elastic cluster a member offers to read a source, and the assignment says who does. An offer stands until the
// source ends; meanwhile its member may read it for a while, give it up, and read it again.

// offer is a source that this member can read.
type offer[E any] struct {
	name   string
	from   Source[E]
	done   chan struct{} // closed when the end is sealed
	cancel func()        // ends the reading under way; guarded by the instance's mutex
}

// offered lists the names of the offers, ascending.
func (in *Instance[K, E, S, R]) offered() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.offers) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(in.offers))
}

// shutSources lists the sources that were pushed here, ascending: an instance that leaves takes nothing more, and has sealed
// all of it.
func (in *Instance[K, E, S, R]) shutSources() []string {
	var out []string
	for _, s := range in.allSources() {
		if s.pushed != nil {
			out = append(out, s.name)
		}
	}
	return out
}

// offer makes a source one that this member can read, and returns once a record knows it.
func (in *Instance[K, E, S, R]) offer(ctx context.Context, name string, from Source[E]) (<-chan struct{}, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	o := &offer[E]{name: name, from: from, done: make(chan struct{})}
	if err := in.putOffer(o); err != nil {
		return nil, err
	}
	if !in.spawn(func() { in.serveOffer(o) }) {
		return nil, in.Err()
	}
	in.lookNow()
	var refused error
	err := in.await(ctx, func() bool {
		k := in.newest.Load()
		cut, known := k.rec.CutOf(name)
		switch {
		case k.rec.GenerationOf(name) != 0:
			refused = ErrKind
		case k.view.HasSource(name), known && cut.Ended:
		case !known && sourceNames(k.rec, name) > in.cfg.Limits.Sources:
			refused = ErrNames
		default:
			return false
		}
		return true
	})
	if err = errors.Join(err, refused); err != nil && in.withdrawUnread(o) {
		return nil, err
	}
	return o.done, nil
}

// withdrawUnread ends an offer; false if the source was read already, as a record says that has come meanwhile: what was
// read is with the vnodes, and its source must stay (I5).
func (in *Instance[K, E, S, R]) withdrawUnread(o *offer[E]) bool {
	in.mu.Lock()
	unread := o.cancel == nil || in.ctx.Err() != nil
	if unread && in.offers[o.name] == o {
		delete(in.offers, o.name)
	}
	in.mu.Unlock()
	in.tellNews()
	return unread
}

func (in *Instance[K, E, S, R]) putOffer(o *offer[E]) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return ErrClosed
	case in.offers[o.name] != nil || in.sources[o.name] != nil:
		return ErrAttached
	}
	if in.offers == nil {
		in.offers = map[string]*offer[E]{}
	}
	in.offers[o.name] = o
	return nil
}

// withdraw ends an offer.
func (in *Instance[K, E, S, R]) withdraw(o *offer[E]) {
	in.mu.Lock()
	if in.offers[o.name] == o {
		delete(in.offers, o.name)
	}
	if o.cancel != nil {
		o.cancel()
	}
	in.mu.Unlock()
	in.tellNews()
}

func (in *Instance[K, E, S, R]) stands(o *offer[E]) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.offers[o.name] == o
}

// serveOffer reads a source whenever a record says so, until its end is sealed or the offer ends.
func (in *Instance[K, E, S, R]) serveOffer(o *offer[E]) {
	for in.ctx.Err() == nil {
		var ended, stands bool
		err := in.await(in.ctx, func() bool {
			k := in.newest.Load()
			cut, _ := k.rec.CutOf(o.name)
			ended, stands = cut.Ended, in.stands(o)
			return ended || !stands || in.reads(k, o.name)
		})
		switch {
		case err != nil || (!ended && !stands):
			return
		case ended:
			in.withdraw(o)
			close(o.done)
			return
		}
		in.readFor(o)
	}
}

// readFor reads a source until another is to read it, or it ends.
func (in *Instance[K, E, S, R]) readFor(o *offer[E]) {
	s := in.newSource(o.name, o.from, nil)
	ctx, cancel := context.WithCancel(in.ctx)
	defer cancel()
	in.mu.Lock()
	if in.sources[s.name] != nil || in.offers[o.name] != o {
		in.mu.Unlock()
		return
	}
	in.sources[s.name], o.cancel = s, cancel
	in.mu.Unlock()
	defer in.release(s)
	k := in.newest.Load()
	if !in.reads(k, o.name) {
		return
	}
	in.beginSource(s, k.view)
	s.run(ctx)
}

// reads reports whether a record says that this incarnation reads a source.
func (in *Instance[K, E, S, R]) reads(k *known, source string) bool {
	a := k.view.Assignment
	return slices.ContainsFunc(a.Sources, func(s vnode.SourceOwner) bool {
		return s.Source == source && s.Owner != vnode.Unowned && a.Members[s.Owner] == in.self
	})
}

// ended reports whether the end of a source is sealed.
func (k *known) ended(source string) bool {
	cut, _ := k.rec.CutOf(source)
	return cut.Ended
}

// readDealt ends the reading of sources that a record gives to others, and attaches those again that are pushed here and
// that no record gives to this member any more: it was left out for a while.
func (in *Instance[K, E, S, R]) readDealt(k *known) {
	if !in.elastic() {
		return
	}
	var again []string
	in.mu.Lock()
	for name, s := range in.sources {
		if in.reads(k, name) {
			continue
		}
		switch o := in.offers[name]; {
		case o != nil && o.cancel != nil:
			o.cancel()
		case s.pushed != nil && s.granted.Load() && k.ours && !k.ended(name) && !in.claiming[name]:
			in.claiming[name] = true
			again = append(again, name)
		}
	}
	in.mu.Unlock()
	for _, name := range again {
		in.spawn(func() { in.attachAgain(name) })
	}
}

// attachAgain asks for a source that is pushed here. If it is refused, the next record makes it ask again.
func (in *Instance[K, E, S, R]) attachAgain(name string) {
	if _, err := in.ask(in.ctx, Request{Source: name}); err != nil && in.ctx.Err() == nil {
		in.problems.failed(reopenSource+name, err)
	} else {
		in.problems.fine(reopenSource + name)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.claiming, name)
}
