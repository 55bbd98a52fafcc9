package main

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// Times from one report of progress to the next: one that people look at, and one for the log.
const (
	liveTime = 100 * time.Millisecond
	logTime  = 10 * time.Millisecond
)

// follow reports progress until stop is called: a line that changes where people look at the output, and log entries of
// level debug.
func (r *run) follow(in instance) (stop func()) {
	live := !r.options.json && isTerminal(r.streams.out)
	if !live && !r.log.Core().Enabled(zap.DebugLevel) {
		return func() {}
	}
	p := &progress{run: r, in: in, live: live, every: logTime, read: map[string]uint64{}, began: time.Now()}
	if live {
		p.every = liveTime
	}
	if r.resumed != nil {
		p.before = r.resumed.Records
		for name, rows := range r.resumed.Cut {
			p.read[name] = rows
		}
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { p.report(end) })
	return func() {
		close(end)
		wg.Wait()
	}
}

// progress belongs to the goroutine that reports.
type progress struct {
	run    *run
	in     instance
	live   bool
	every  time.Duration
	read   map[string]uint64 // rows by source, also of those that have ended
	before uint64            // rows that were sealed before this run
	began  time.Time
}

func (p *progress) report(end <-chan struct{}) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.tell()
		case <-end:
			if p.live {
				fmt.Fprint(p.run.streams.out, "\r\x1b[K")
			}
			return
		}
	}
}

func (p *progress) tell() {
	s := p.in.Status()
	for _, each := range s.Sources {
		p.read[each.Name] = max(p.read[each.Name], each.Read)
	}
	head := flights.NewEpochHead(uint64(s.Epoch), p.read)
	p.run.log.Debug("progress", zap.Uint64("epoch", head.Epoch), zap.Uint64("rows", head.Records), zap.Any("read", head.Cut))
	if p.live {
		fmt.Fprintf(p.run.streams.out, "\r\x1b[K%s rows, %s, epoch %d", flights.Count(int64(head.Records)),
			flights.Rate(head.Records-min(p.before, head.Records), time.Since(p.began)), head.Epoch)
	}
}
