package transport

import (
	"slices"
	"sync"

	"github.com/sheaf-go/sheaf/remote"
	"github.com/sheaf-go/sheaf/remote/transport/internal/wire"
)

const (
	// batchBytes is what one message carries of frames, before the one that reaches it; bytes.
	batchBytes = 64 << 10
	// batchFrames bounds the frames that are taken at once.
	batchFrames = 1024
)

// entry is a frame in a queue.
type entry struct {
	frame  remote.Frame // nil: it is done with
	size   int64
	number uint64 // on the connection; 0: it is not tracked
}

// queue holds the frames for one peer: those that wait, in the order of Send, and before them the tracked ones that were
// sent and that the peer is not done with. Frames that are not tracked have a bound, past which they are dropped; tracked
// ones are bounded by whoever sends them: each takes of its credit until the peer is done with it (I8).
type queue struct {
	bound int64
	wake  chan struct{} // has room for one: frames wait

	mu      sync.Mutex // guards what follows
	bytes   int64      // of waiting and sent
	plain   int64      // of waiting, not tracked
	waiting []entry
	taken   int     // entries at the front of waiting that are gone
	sent    []entry // by number
	holes   int     // entries of sent that are done with
	number  uint64  // of the frame that was sent last
	up      bool
	closed  bool
	frames  uint64 // sent
	dropped uint64
}

func newQueue(bound int64) *queue { return &queue{bound: bound, wake: make(chan struct{}, 1)} }

// push takes a frame; false if it is dropped.
func (q *queue) push(f remote.Frame) bool {
	size := max(1, int64(f.Size())) // an empty one takes room too
	_, tracked := f.(remote.Tracked)
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	if !tracked && (q.plain+size > q.bound || !q.up) {
		q.dropped++
		q.mu.Unlock()
		return false
	}
	if q.bytes += size; !tracked {
		q.plain += size
	}
	if q.taken > len(q.waiting)/2 && q.taken > batchFrames {
		q.waiting = slices.Delete(q.waiting, 0, q.taken)
		q.taken = 0
	}
	q.waiting = append(q.waiting, entry{frame: f, size: size})
	q.mu.Unlock()
	signal(q.wake)
	return true
}

// signal wakes whoever waits for a channel that has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take moves the frames of about one message out of those that wait, behind into, and numbers the tracked ones.
func (q *queue) take(into []entry) []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	var sum int64
	for q.taken < len(q.waiting) && sum < batchBytes && len(into) < batchFrames {
		e := q.waiting[q.taken]
		q.waiting[q.taken] = entry{}
		q.taken++
		sum += e.size
		if _, ok := e.frame.(remote.Tracked); ok {
			q.number++
			e.number = q.number
			q.sent = append(q.sent, e)
		} else {
			q.bytes -= e.size
			q.plain -= e.size
		}
		into = append(into, e)
	}
	if q.taken == len(q.waiting) {
		q.waiting, q.taken = q.waiting[:0], 0
	}
	return into
}

// wrote counts frames that were sent.
func (q *queue) wrote(frames int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.frames += uint64(frames)
}

// done drops sent frames that the peer is done with, and returns them behind into. False: none of such a number was sent.
func (q *queue) done(into []remote.Tracked, ranges ...wire.Range) ([]remote.Tracked, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range ranges {
		if r.Last > q.number {
			return into, false
		}
		i, _ := slices.BinarySearchFunc(q.sent, r.First, func(e entry, n uint64) int {
			if e.number < n {
				return -1
			}
			return 1
		})
		for ; i < len(q.sent) && q.sent[i].number <= r.Last; i++ {
			if t, ok := q.sent[i].frame.(remote.Tracked); ok {
				q.bytes -= q.sent[i].size
				q.sent[i].frame = nil
				q.holes++
				into = append(into, t)
			}
		}
	}
	if q.holes > len(q.sent)/2 {
		q.sent = slices.DeleteFunc(q.sent, func(e entry) bool { return e.frame == nil })
		q.holes = 0
	}
	return into, true
}

// connected begins a connection.
func (q *queue) connected() {
	q.mu.Lock()
	q.up, q.number = true, 0
	q.mu.Unlock()
	signal(q.wake)
}

// disconnected ends a connection: what is tracked waits for the next, what was sent before what was not; the rest is
// dropped.
func (q *queue) disconnected() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.up = false
	kept := slices.DeleteFunc(q.sent, func(e entry) bool { return e.frame == nil })
	for _, e := range q.waiting[q.taken:] {
		if _, ok := e.frame.(remote.Tracked); ok {
			kept = append(kept, e)
			continue
		}
		q.bytes -= e.size
		q.plain -= e.size
		q.dropped++
	}
	q.waiting, q.taken, q.sent, q.holes = kept, 0, nil, 0
}

// forsake is giveUp while there is no connection.
func (q *queue) forsake() []remote.Tracked {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.up {
		return nil
	}
	return q.empty()
}

// giveUp empties the queue and returns the tracked frames. After the last time it takes no more.
func (q *queue) giveUp(last bool) []remote.Tracked {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = q.closed || last
	return q.empty()
}

// empty is giveUp. The caller holds the lock.
func (q *queue) empty() []remote.Tracked {
	var all []remote.Tracked
	for _, e := range slices.Concat(q.sent, q.waiting[q.taken:]) {
		if t, ok := e.frame.(remote.Tracked); ok {
			all = append(all, t)
		} else if e.frame != nil {
			q.dropped++
		}
	}
	q.waiting, q.taken, q.sent, q.holes, q.bytes, q.plain = nil, 0, nil, 0, 0, 0
	return all
}

// close takes no more frames.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// status fills in what the queue knows.
func (q *queue) status(s *remote.PeerStatus) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Queued, s.Sent, s.Dropped = q.bytes, q.frames, q.dropped
}
