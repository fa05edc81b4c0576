package flow

import "time"

// guess is what a request is taken to last until it is known.
const guess = 3 * time.Millisecond

// queue holds the requests of some flows that wait for their turn, in order.
//
// The turns are start-time fair: start is what the queue had of the level, in
// seats × time, and the queue that had least is next. What a request costs is
// guessed when it is admitted and put right when it ends. A queue without requests
// earns nothing: when it comes back it begins where the others are (Level.now).
type queue struct {
	first, last *Ticket
	waiting     int // requests
	seats       int // of those that wait
	inUse       int // seats of those that run
	running     int
	start       float64
	active      bool // is in Level.active
}

func (q *queue) push(t *Ticket) {
	t.queue, t.next, t.prev = q, nil, q.last
	if q.last == nil {
		q.first = t
	} else {
		q.last.next = t
	}
	q.last = t
	q.waiting++
	q.seats += t.seats
}

func (q *queue) remove(t *Ticket) {
	if t.prev == nil {
		q.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		q.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
	q.waiting--
	q.seats -= t.seats
}

func cost(seats int, d time.Duration) float64 { return float64(seats) * float64(d) }

// charge lets the queue pay for a request that is admitted.
func (q *queue) charge(l *Level, t *Ticket) {
	if q.running == 0 && q.start < l.now {
		q.start = l.now // it was idle
	}
	l.now = max(l.now, q.start)
	q.start += cost(t.seats, guess)
	q.inUse += t.seats
	q.running++
}

// settle puts right what charge guessed.
func (q *queue) settle(t *Ticket, took time.Duration) {
	q.start += cost(t.seats, took-guess)
	q.inUse -= t.seats
	q.running--
}

// choose finds the queue of the flow's hand that has least to do.
func (l *Level) choose(hash uint64) *queue {
	var room [maxHand]int
	var best *queue
	for _, i := range deal(hash, len(l.queues), l.hand, &room) {
		q := &l.queues[i]
		if best == nil || q.seats < best.seats || q.seats == best.seats && q.inUse < best.inUse {
			best = q
		}
	}
	return best
}

// enqueue lets a ticket wait.
func (l *Level) enqueue(q *queue, t *Ticket) {
	if q.waiting == 0 && q.running == 0 && q.start < l.now {
		q.start = l.now
	}
	if !q.active {
		q.active = true
		l.active = append(l.active, q)
	}
	q.push(t)
	l.waiting++
	t.state = Waiting
	t.stats.Waiting++
	t.stats.WaitingSeats += t.seats
}

// dequeue takes a waiting ticket out of its queue.
func (l *Level) dequeue(t *Ticket) {
	q := t.queue
	q.remove(t)
	l.waiting--
	t.stats.Waiting--
	t.stats.WaitingSeats -= t.seats
	if q.waiting > 0 {
		return
	}
	q.active = false
	for i, o := range l.active {
		if o == q {
			l.active = append(l.active[:i], l.active[i+1:]...)
			return
		}
	}
}

// next is the request whose turn it is: the first of the queue that had least. Queues
// that had the same are served in the order in which they came to wait.
func (l *Level) next() *Ticket {
	var best *queue
	for _, q := range l.active {
		if best == nil || q.start < best.start {
			best = q
		}
	}
	if best == nil {
		return nil
	}
	return best.first
}
