package actors_test

import "time"

// pendingCall is something that will happen. To a process: not while it is paused, never after it crashed. To nobody:
// in any case, as a request that is on its way to the store. To an instance: to whoever has its id by then.
type pendingCall struct {
	p    *process
	call func()
	at   time.Duration // not before

	from *process // who sent it, if it comes from elsewhere
	to   string
	tell func(*process) // instead of call, with to
}

// queue holds pending calls, the oldest first, but for those that had to wait.
type queue struct {
	calls []pendingCall
	head  int // the first of calls that is pending
}

func (q *queue) len() int { return len(q.calls) - q.head }

func (q *queue) put(c pendingCall) { q.calls = append(q.calls, c) }

// take removes the i-th oldest call. The oldest takes its place.
func (q *queue) take(i int) pendingCall {
	i += q.head
	c := q.calls[i]
	q.calls[i] = q.calls[q.head]
	q.calls[q.head] = pendingCall{}
	if q.head++; q.head == 256 {
		n := copy(q.calls, q.calls[q.head:])
		clear(q.calls[n:])
		q.calls, q.head = q.calls[:n], 0
	}
	return c
}

// hurry lets every call happen now.
func (q *queue) hurry() {
	for i := range q.calls {
		q.calls[i].at = 0
	}
}
