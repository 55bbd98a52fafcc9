package flights

import (
	"context"
	"sync"
	"time"
)

// Pace limits rows per second over all readers that share it.
type Pace struct {
	rate  int
	since time.Time  // when row 0 of the input comes; zero: the rows are there
	mu    sync.Mutex // guards free
	free  time.Time  // when the rows handed out so far are paid for
}

// NewPace returns a pace of rate rows per second; nil, which is no limit, for a rate of 0.
func NewPace(rate int) *Pace {
	if rate <= 0 {
		return nil
	}
	return &Pace{rate: rate}
}

// NewArrivals returns the pace of rows that come in, rate per second since some moment, whoever reads them. Those that have
// come are read at once, also again.
func NewArrivals(since time.Time, rate int) *Pace { return &Pace{rate: rate, since: since} }

// due is how many of the next rows, each so many behind the one before, may be read: 1 to want. It waits for the first.
func (p *Pace) due(ctx context.Context, next uint64, step, want int) (int, error) {
	if p.since.IsZero() {
		return p.take(ctx, want)
	}
	return p.arrived(ctx, next, step, want)
}

// arrived is how many of the next rows have come.
func (p *Pace) arrived(ctx context.Context, next uint64, step, want int) (int, error) {
	if err := wait(ctx, time.Until(p.since.Add(time.Duration(next)*time.Second/time.Duration(p.rate)))); err != nil {
		return 0, err
	}
	come := time.Since(p.since).Seconds()*float64(p.rate) - float64(next)
	return min(want, max(1, int(come)/step)), nil
}

// take hands out 1 to want rows and waits until they are due. Time in which nobody takes is not made up for.
func (p *Pace) take(ctx context.Context, want int) (int, error) {
	n := min(want, max(1, p.rate/100))
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	due := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	p.mu.Unlock()
	if err := wait(ctx, due); err != nil {
		return 0, err
	}
	return n, nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
