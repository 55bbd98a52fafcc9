package actors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
)

// Request asks the coordinator for a change of the record: exactly one of Source, Producer, Detach, Pin and
// Unpin is set. It may come more than once, long after its answer, and to a coordinator that does not know that one before
// has carried it out. So what would do harm a second time says what it goes by, which carrying it out changes, or a new
// term; whoever still waits asks anew.
type Request struct {
	Source   string       // attach it
	Producer string       // open a new generation of it
	Detach   string       // a source that was attached and never read: it leaves the assignment
	Pin      string       // keep the newest sealed epoch under this name
	Unpin    string       // drop the pin of this name
	Retire   string       // a producer's name that may go if the bound is reached; it is idle
	From     vnode.Member // who reads Source, or is to read Detach no more
	// Version is what it goes by: with Detach the version of the assignment by which From reads the source, with Producer
	// the newest generation of any name that From knows of, with Pin and Unpin the term. Else it is void.
	Version uint64
	Ticket  uint64 // returned with the answer
	written bool
}

// Answer answers a request.
type Answer struct {
	Ticket     uint64
	Generation uint64      // a producer's
	Epoch      vnode.Epoch // newest sealed
	Seq        uint64      // of the record that grants it, or on which it was refused
	Err        error
}

// change creates one record that carries every request that can be granted.
func (c *CoordinatorRules) change() []Effect {
	n := c.next()
	var granted []Request
	var refused []Effect
	for _, r := range c.requests {
		if err := c.write(n, r); err != nil {
			refused = append(refused, Effect{Answer: &Answer{Ticket: r.Ticket, Seq: c.rec.Seq, Err: err}})
			continue
		}
		r.written = true
		granted = append(granted, r)
	}
	c.requests = granted
	if len(granted) == 0 {
		return append(refused, c.step()...)
	}
	return append(refused, c.create(n)...)
}

// write puts a request into a record.
func (c *CoordinatorRules) write(n *backend.Record, r Request) error {
	switch {
	case r.Producer != "":
		return c.openName(n, r)
	case (r.Pin != "" || r.Unpin != "") && r.Version != n.Term:
		return fmt.Errorf("change pin %q: %w", r.Pin+r.Unpin, ErrChanged)
	case r.Pin != "":
		return backend.WithPin(n, r.Pin, c.rec)
	case r.Unpin != "":
		return backend.WithoutPin(n, r.Unpin)
	case r.Detach != "":
		return c.detach(n, r)
	}
	return c.attach(n, r)
}

// attach makes a source one that the asker reads. One that is of the assignment already must have no reader, or this
// one, which had no answer. One that has ended stays away: if its reader restarted, nobody would attach it again, and
// no epoch be without its cut.
func (c *CoordinatorRules) attach(n *backend.Record, r Request) error {
	refused := func(err error) error { return fmt.Errorf("attach source %q: %w", r.Source, err) }
	a := &n.Assignment
	owner := slices.Index(a.Members, r.From)
	at, attached := slices.BinarySearchFunc(a.Sources, r.Source, func(s vnode.SourceOwner, name string) int { return strings.Compare(s.Source, name) })
	cut, known := n.CutOf(r.Source)
	switch {
	case owner < 0:
		return refused(ErrSuperseded)
	case known && cut.Ended:
		return nil
	case attached && a.Sources[at].Owner == owner:
		return nil
	case attached && a.Sources[at].Owner != vnode.Unowned:
		return refused(fmt.Errorf("%w: instance %s reads it", ErrAttached, a.Members[a.Sources[at].Owner].Instance))
	case n.GenerationOf(r.Source) != 0:
		return refused(ErrKind)
	case sourceNames(n, r.Source) > c.limits.Sources:
		return refused(fmt.Errorf("%w: %d sources", ErrNames, c.limits.Sources))
	}
	if !attached {
		a.Sources = slices.Insert(a.Sources, at, vnode.SourceOwner{Source: r.Source})
		c.fresh[r.Source] = true
	} else {
		delete(c.fresh, r.Source)
	}
	a.Sources[at].Owner = owner
	a.Version = c.rec.Assignment.Version + 1
	return nil
}

// detach takes a source away from its reader. It leaves the assignment only if nobody can have read it: else vnodes may
// hold events of it. A request that comes late, when its sender has attached the source again, has an older assignment.
func (c *CoordinatorRules) detach(n *backend.Record, r Request) error {
	a := &n.Assignment
	i := slices.IndexFunc(a.Sources, func(s vnode.SourceOwner) bool { return s.Source == r.Detach })
	switch {
	case i < 0 || a.Sources[i].Owner == vnode.Unowned || a.Members[a.Sources[i].Owner] != r.From:
		return nil
	case r.Version != c.rec.Assignment.Version:
		return fmt.Errorf("detach source %q: %w", r.Detach, ErrChanged)
	}
	if c.fresh[r.Detach] {
		a.Sources = slices.Delete(a.Sources, i, i+1)
	} else {
		a.Sources[i].Owner = vnode.Unowned
	}
	a.Version = c.rec.Assignment.Version + 1
	return nil
}

// sourceNames counts the names of sources that a record remembers, and one more name.
func sourceNames(n *backend.Record, more string) int {
	names := namesOfSources(n)
	names[more] = true
	return len(names)
}

func namesOfSources(n *backend.Record) map[string]bool {
	names := map[string]bool{}
	for _, c := range n.Cuts {
		names[c.Source] = true
	}
	for _, s := range n.Assignment.Sources {
		names[s.Source] = true
	}
	return names
}

// openName gives a producer's name the next generation; a new name may need an idle one to go. Neither the one nor the
// other may have been opened since it was asked: that would fence a producer that comes after.
func (c *CoordinatorRules) openName(n *backend.Record, r Request) error {
	at, found := slices.BinarySearchFunc(n.Producers, r.Producer, func(p backend.ProducerName, s string) int { return strings.Compare(p.Name, s) })
	attached := slices.ContainsFunc(n.Assignment.Sources, func(s vnode.SourceOwner) bool { return s.Source == r.Producer })
	if _, known := n.CutOf(r.Producer); known || attached {
		return fmt.Errorf("open producer %q: %w", r.Producer, ErrKind)
	}
	if n.GenerationOf(r.Producer) > r.Version {
		return fmt.Errorf("open producer %q: %w", r.Producer, ErrChanged)
	}
	n.Generation++
	if found {
		n.Producers[at].Generation = n.Generation
		return nil
	}
	if len(n.Producers) >= c.limits.Producers {
		idle := func(p backend.ProducerName) bool { return p.Name == r.Retire && p.Generation <= r.Version }
		i := slices.IndexFunc(n.Producers, idle)
		if r.Retire == "" || i < 0 {
			n.Generation--
			return fmt.Errorf("open producer %q: %w: %d producers", r.Producer, ErrNames, c.limits.Producers)
		}
		n.Producers = slices.Delete(n.Producers, i, i+1)
		at, _ = slices.BinarySearchFunc(n.Producers, r.Producer, func(p backend.ProducerName, s string) int { return strings.Compare(p.Name, s) })
	}
	n.Producers = slices.Insert(n.Producers, at, backend.ProducerName{Name: r.Producer, Generation: n.Generation})
	return nil
}
