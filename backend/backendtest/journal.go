package backendtest

import (
	"slices"
	"strings"
)

// Kind is what an object of a store is.
type Kind string

// The kinds of objects, by their keys.
const (
	Record  Kind = "record"
	Floor   Kind = "floor"
	Head    Kind = "head" // the hint
	Segment Kind = "segment"
	Probe   Kind = "probe"
	Other   Kind = "other"
)

// KindOf returns the kind of object that has a key, or for List a prefix.
func KindOf(key string) Kind {
	for _, k := range []struct {
		prefix string
		kind   Kind
	}{{"ledger/floor/", Floor}, {"ledger/head", Head}, {"ledger/", Record}, {"segment/", Segment}, {"probe/", Probe}} {
		if strings.HasPrefix(key, k.prefix) {
			return k.kind
		}
	}
	return Other
}

// Entry is one request in the journal.
type Entry struct {
	Op    Op
	Key   string
	Bytes int   // written or read; for List, keys
	Err   error // the answer
	Fault bool  // a rule or a crash made it
}

// Requests is how many requests the entry stands for: a List takes one for every page of 1,000 keys.
func (e Entry) Requests() int {
	if e.Op == List {
		return max(1, (e.Bytes+999)/1000)
	}
	return 1
}

// Journal is requests in the order of their answers.
type Journal []Entry

// Journal returns a copy of the requests so far.
func (f *Faults) Journal() Journal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.journal)
}

// Count returns the number of requests of a kind, about some kinds of objects: all of them if none is named. Those that
// failed count too.
func (j Journal) Count(op Op, kinds ...Kind) int {
	n := 0
	for _, e := range j {
		if e.Op == op && (len(kinds) == 0 || slices.Contains(kinds, KindOf(e.Key))) {
			n += e.Requests()
		}
	}
	return n
}

// Puts returns the number of requests that write.
func (j Journal) Puts() int { return j.Count(Create) + j.Count(Put) }
