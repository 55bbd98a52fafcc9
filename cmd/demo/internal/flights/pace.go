package flights

import (
	"context"
	"sync"
	"time"
)

// Pace limits rows per second over all readers that share it.
type Pace struct {
	rate int
	mu   sync.Mutex // guards free
	free time.Time  // when the rows handed out so far are paid for
}

// NewPace returns a pace of rate rows per second; nil, which is no limit, for a rate of 0.
func NewPace(rate int) *Pace {
	if rate <= 0 {
		return nil
	}
	return &Pace{rate: rate}
}

// take hands out 1 to want rows and waits until they are due. Time in which nobody takes is not made up for.
func (p *Pace) take(ctx context.Context, want int) (int, error) {
	n := min(want, max(1, p.rate/100))
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	wait := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	p.mu.Unlock()
	if wait == 0 {
		return n, ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
