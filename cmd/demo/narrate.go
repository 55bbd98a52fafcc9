package main

import (
	"fmt"
	"io"
	"time"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// narrate writes the instance's timeline for --verbose, a line for each event soon after it was over, until end is called:
// then the rest, and what the run cost.
func (r *run) narrate(in instance) (end func()) {
	if !r.options.verbose {
		return func() {}
	}
	n := &narrator{in: in, w: r.streams.notes}
	n.tell()
	stop := every(liveTime, n.tell, n.tell)
	return func() {
		stop()
		n.sum()
	}
}

// narrator is used by one goroutine at a time.
type narrator struct {
	in    instance
	w     io.Writer
	began time.Time
	told  uint64 // the number of the newest event that was told
}

// tell tells what is new. Times count from when the store began to be opened.
func (n *narrator) tell() {
	for _, e := range n.in.Timeline() {
		if e.N <= n.told {
			continue
		}
		if e.N > n.told+1 {
			fmt.Fprintf(n.w, "demo: … %d events more\n", e.N-n.told-1)
		}
		if n.told == 0 {
			n.began = e.At.Add(-e.Took)
		}
		fmt.Fprintf(n.w, "demo: %+8.3fs  %v\n", e.At.Sub(n.began).Seconds(), e)
		n.told = e.N
	}
}

func (n *narrator) sum() {
	s := n.in.Status()
	for _, held := range s.Held {
		fmt.Fprintf(n.w, "demo: held back at the end: %s\n", held)
	}
	fmt.Fprintf(n.w, "demo: %d epochs sealed, %d given up\n", s.Counts.Sealed, s.Counts.Abandoned)
	if l := s.LastSeal; l.Epoch > 0 {
		fmt.Fprintf(n.w, "demo: the last took %v: %v to barriers, %v to captures, %v to write, %v to append\n",
			short(l.Total()), short(l.Barrier), short(l.Capture), short(l.Write), short(l.Append))
	}
	q := s.Requests
	fmt.Fprintf(n.w, "demo: asked of the store: %s\n", kinds(q))
	fmt.Fprintf(n.w, "demo: %s bytes sent, %s received; %d requests repeated, %d failed, %d throttled\n",
		flights.Count(q.Creates.Bytes+q.Puts.Bytes), flights.Count(q.Gets.Bytes), q.Total().Repeated, q.Total().Failed, q.Throttled)
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func kinds(q backend.Requests) string {
	return fmt.Sprintf("%d creates, %d puts, %d gets, %d deletes, %d lists",
		q.Creates.Asked, q.Puts.Asked, q.Gets.Asked, q.Deletes.Asked, q.Lists.Asked)
}
