package main

import (
	"slices"
	"time"
)

// agenda is what is to be done when. It belongs to one goroutine.
type agenda struct{ all []appointment }

type appointment struct {
	at time.Time
	do func() error
}

// in adds what is to be done after some time.
func (a *agenda) in(d time.Duration, do func() error) {
	a.all = append(a.all, appointment{time.Now().Add(d), do})
}

// clear drops everything.
func (a *agenda) clear() { a.all = nil }

// next is a channel that receives when something is due; nil if nothing is ever.
func (a *agenda) next() <-chan time.Time {
	if len(a.all) == 0 {
		return nil
	}
	first := slices.MinFunc(a.all, func(x, y appointment) int { return x.at.Compare(y.at) })
	return time.After(time.Until(first.at))
}

// run does what is due, until something fails.
func (a *agenda) run() error {
	now := time.Now()
	due := slices.DeleteFunc(slices.Clone(a.all), func(x appointment) bool { return x.at.After(now) })
	a.all = slices.DeleteFunc(a.all, func(x appointment) bool { return !x.at.After(now) })
	for _, x := range due {
		if err := x.do(); err != nil {
			return err
		}
	}
	return nil
}
