package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
	"github.com/sheaf-go/sheaf/vnode"
)

func inspectCommand(args []string, s streams) error {
	var where place
	f := newFlags("inspect", "Shows what the newest record of a state says: who wrote it, what is sealed, and where that is.")
	where.register(f)
	asJSON := f.Bool("json", false, "print it as JSON")
	if err := parse(f, args, s.out); err != nil {
		return err
	}
	if err := wrongFlags(f, where.required()); err != nil {
		return err
	}
	ctx := context.Background()
	return where.read(ctx, func(r *reader) error {
		seen := describe(r.newest)
		var err error
		if seen.MadeWith, err = readSettings(ctx, r.store.Bucket()); err != nil {
			return err
		}
		if *asJSON {
			lines := json.NewEncoder(s.out)
			lines.SetIndent("", "  ")
			return lines.Encode(seen)
		}
		return seen.write(s.out)
	})
}

// inspection is a record for people and scripts.
type inspection struct {
	Record      uint64            `json:"record"`
	Time        time.Time         `json:"time"`
	Writer      member            `json:"writer"`
	App         string            `json:"app"`
	Format      uint32            `json:"format"`
	Capacity    int               `json:"vnode_capacity"`
	MadeWith    *settings         `json:"made_with,omitempty"`
	Term        uint64            `json:"term"`
	Coordinator member            `json:"coordinator"`
	Epoch       uint64            `json:"epoch"`
	Attempt     string            `json:"attempt"`
	Emitted     uint64            `json:"emitted"`
	Cut         map[string]uint64 `json:"cut"`
	Records     uint64            `json:"records"`
	Ended       []string          `json:"ended"` // sources
	Vnodes      []owned           `json:"vnodes"`
	Segments    []segment         `json:"segments"`
	Chain       int               `json:"longest_chain"`
	Producers   map[string]uint64 `json:"producers"` // generation by name
	Floor       floor             `json:"floor"`
	Pins        []pin             `json:"pins"`
}

type member struct {
	Instance    string `json:"instance"`
	Incarnation string `json:"incarnation"`
}

type owned struct {
	member
	Vnodes string `json:"vnodes"` // ranges
	Count  int    `json:"count"`
}

type segment struct {
	Object  string `json:"object"`
	Epoch   uint64 `json:"epoch"`
	From    uint64 `json:"from"`    // it holds the changes of the epochs after it …
	Through uint64 `json:"through"` // … up to this one
	Bytes   int64  `json:"bytes"`
	Vnodes  int    `json:"vnodes"` // that need it
	Entries int64  `json:"entries"`
}

type floor struct {
	Number uint64 `json:"number"`
	Record uint64 `json:"record"`
}

func newFloor(rec *backend.Record) floor { return floor{rec.Floor.K, rec.Floor.Seq} }

type pin struct {
	Name   string `json:"name"`
	Epoch  uint64 `json:"epoch"`
	Record uint64 `json:"record"`
}

func newMember(m vnode.Member) member { return member{m.Instance, m.Incarnation.String()} }

func describe(rec *backend.Record) *inspection {
	head := headOf(rec)
	i := &inspection{
		Record: rec.Seq, Time: rec.Time.UTC(), Writer: newMember(rec.Writer),
		App: rec.Identity.App, Format: rec.Identity.Format, Capacity: rec.Identity.Capacity,
		Term: rec.Term, Coordinator: newMember(rec.Coordinator),
		Epoch: head.Epoch, Attempt: rec.Attempt.String(), Emitted: uint64(rec.Emitted), Cut: head.Cut, Records: head.Records,
		Ended: []string{}, Vnodes: owners(rec.Assignment), Segments: []segment{}, Chain: rec.LongestChain(),
		Producers: map[string]uint64{}, Floor: newFloor(rec), Pins: []pin{},
	}
	for _, c := range rec.Cuts {
		if c.Ended {
			i.Ended = append(i.Ended, c.Source)
		}
	}
	for _, s := range rec.Segments {
		i.Segments = append(i.Segments, segment{s.Key(), uint64(s.Epoch), uint64(s.From), uint64(s.Through), s.Size, s.Vnodes.Len(), s.Entries})
	}
	for _, p := range rec.Producers {
		i.Producers[p.Name] = p.Generation
	}
	for _, p := range rec.Pins {
		i.Pins = append(i.Pins, pin{p.Name, uint64(p.Epoch), p.Seq})
	}
	return i
}

// owners lists what each member owns, then what nobody does.
func owners(a vnode.Assignment) []owned {
	by := map[int]*owned{}
	ranges := map[int]backend.VnodeList{}
	for v, o := range a.Owners {
		if by[o] == nil {
			by[o] = &owned{member: member{Instance: "nobody"}}
			if o != vnode.Unowned {
				by[o].member = newMember(a.Members[o])
			}
		}
		by[o].Count++
		list := ranges[o]
		if n := len(list); n > 0 && list[n-1].Last == v-1 {
			list[n-1].Last = v
		} else {
			list = append(list, backend.VnodeRange{First: v, Last: v})
		}
		ranges[o] = list
	}
	all := []owned{}
	for _, o := range slices.Sorted(maps.Keys(by)) {
		by[o].Vnodes = ranges[o].String()
		all = append(all, *by[o])
	}
	return all
}

// write prints it for people.
func (i *inspection) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("record", "%d, written %s by %s", i.Record, i.Time.Format(time.RFC3339), i.Writer)
	line("app", "%s, %d vnodes, format %d", i.App, i.Capacity, i.Format)
	if m := i.MadeWith; m != nil {
		line("made with", "--job %s --sources %d --input %s", m.Job, m.Sources, m.input())
	}
	line("term", "%d of %s", i.Term, i.Coordinator)
	line("epoch", "%d sealed by attempt %s, %d emitted; %s rows", i.Epoch, i.Attempt, i.Emitted, flights.Count(int64(i.Records)))
	for _, source := range slices.Sorted(maps.Keys(i.Cut)) {
		ended := ""
		if slices.Contains(i.Ended, source) {
			ended = ", ended"
		}
		line("cut", "%s %s%s", source, flights.Count(int64(i.Cut[source])), ended)
	}
	for _, o := range i.Vnodes {
		line("vnodes", "%d of %s: %s", o.Count, o.member, o.Vnodes)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Producers)) {
		line("producer", "%s, generation %d", name, i.Producers[name])
	}
	for _, s := range i.Segments {
		line("segment", "%s: epochs %d to %d, %s bytes, %s entries for %d vnodes", s.Object, s.From+1, s.Through,
			flights.Count(s.Bytes), flights.Count(s.Entries), s.Vnodes)
	}
	line("chain", "%d segments at most", i.Chain)
	line("floor", "record %d, floor %d", i.Floor.Record, i.Floor.Number)
	for _, p := range i.Pins {
		line("pin", "%s: epoch %d, record %d", p.Name, p.Epoch, p.Record)
	}
	return t.Flush()
}

// String prints instance and incarnation.
func (m member) String() string {
	if m.Incarnation == "" {
		return m.Instance
	}
	return m.Instance + " (" + m.Incarnation + ")"
}
