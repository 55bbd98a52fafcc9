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
	live := !r.options.json && r.options.report == 0 && r.seat.merges() && isTerminal(r.streams.out)
	if !live && r.options.report == 0 && !r.log.Core().Enabled(zap.DebugLevel) {
		return func() {}
	}
	p := &progress{run: r, in: in, live: live, log: r.log, every: logTime, read: map[string]uint64{}, began: time.Now()}
	if live {
		p.every = liveTime
	}
	if r.options.report > 0 {
		p.every, p.log = r.options.report, newLog(r.streams.notes, false, zap.DebugLevel)
	}
	if r.resumed != nil {
		p.before = r.resumed.Records
		for name, rows := range r.resumed.Cut {
			p.read[name] = rows
		}
	}
	return every(p.every, p.tell, p.clear)
}

// every calls tell at each tick until stop is called, and then last.
func every(d time.Duration, tell, last func()) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				tell()
			case <-end:
				last()
				return
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}

// progress belongs to the goroutine that reports.
type progress struct {
	run    *run
	in     instance
	log    *zap.Logger
	live   bool
	every  time.Duration
	read   map[string]uint64 // rows by source, also of those that have ended
	before uint64            // rows that were sealed before this run
	began  time.Time
}

func (p *progress) clear() {
	if p.live {
		fmt.Fprint(p.run.streams.out, "\r\x1b[K")
	}
}

func (p *progress) tell() {
	s, flying := p.in.Status(), int64(0)
	for _, each := range s.Sources {
		p.read[each.Name] = max(p.read[each.Name], each.Read)
		flying += each.InFlight
	}
	head := flights.NewEpochHead(uint64(s.Epoch), p.read)
	p.log.Debug("progress", zap.Uint64("epoch", head.Epoch), zap.Uint64("emitted", uint64(s.Emitted)), zap.Uint64("rows", head.Records),
		zap.Any("read", head.Cut), zap.Int64("in_flight", flying), zap.Strings("held", s.Held), zap.Any("problems", s.Problems),
		zap.Uint64("term", s.Term), zap.String("coordinator", s.Coordinator.Instance), zap.Int("owned", s.Owned))
	if p.live {
		fmt.Fprintf(p.run.streams.out, "\r\x1b[K%s rows, %s, epoch %d", flights.Count(int64(head.Records)),
			flights.Rate(head.Records-min(p.before, head.Records), time.Since(p.began)), head.Epoch)
	}
}
