package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

// asks are the questions to a coordinator of another instance that it has not answered.
type asks struct {
	tickets atomic.Uint64
	mu      sync.Mutex // guards open
	open    map[uint64]*openAsk
}

type openAsk struct {
	request Request
	answers chan<- Answer // buffered
	told    time.Time
}

func (a *asks) put(r Request, answers chan<- Answer) Request {
	r.Ticket = a.tickets.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[uint64]*openAsk{}
	}
	a.open[r.Ticket] = &openAsk{request: r, answers: answers, told: time.Now()}
	return r
}

func (a *asks) drop(ticket uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, ticket)
}

func (a *asks) answer(x Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.open[x.Ticket]; q != nil {
		delete(a.open, x.Ticket)
		q.answers <- x
	}
}

// askAgain is after how long a question is repeated.
const askAgain = 500 * time.Millisecond

func (a *asks) repeat(tell func(any)) {
	a.mu.Lock()
	var due []Request
	for _, q := range a.open {
		if time.Since(q.told) > askAgain {
			q.told = time.Now()
			due = append(due, q.request)
		}
	}
	a.mu.Unlock()
	for _, r := range due {
		tell(r)
	}
}
