// Package flow decides which requests are served now, which wait and which are
// refused, so that no client can starve another (Kubernetes calls it API priority
// and fairness).
//
// FlowSchemas sort requests into priority levels and, within a level, into flows
// (config.go). A level has seats; a request takes some while it is served. When
// they are taken, requests wait in one queue per flow, and the flows take turns
// (queue.go). Nothing here knows HTTP or the time: who waits too long says so.
//
// Invariants
//   - The seats of a level that are in use never exceed its own and those it may borrow.
//   - Flows of a level take turns: a flow with one request waits for at most one of each other flow.
//   - A request that waits is in exactly one queue, or was told of its turn exactly once.
package flow

import "sync"

// Level is a priority level at work. Its limits may change at any time.
type Level struct {
	Name   string
	Exempt bool
	Reject bool // instead of queuing

	pool     *Pool
	seats    int // of its own
	lendable int
	borrow   int // at most; below 0: no limit
	perFlow  int // requests of one flow that may wait
	most     int // requests that may wait in all

	executing int
	waiting   int
	flows     map[string]*queue
	turn      []*queue // those with requests, in the order of their turns
}

type queue struct {
	flow    string
	waiting []*Ticket
}

// Ticket is a request at a level. Seats are taken when Admitted is closed.
type Ticket struct {
	level    *Level
	seats    int
	flow     string
	admitted chan struct{}
	serving  bool
	left     bool
}

// Admitted is closed when it is the request's turn.
func (t *Ticket) Admitted() <-chan struct{} { return t.admitted }

// Pool is all levels, which share seats among them.
type Pool struct {
	mu     sync.Mutex
	levels map[string]*Level
}

var admitted = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Enter asks for seats. ok is false when the request must be refused: nothing is
// taken then. Whoever got a ticket must Leave, whether it was admitted or not.
func (l *Level) Enter(flow string, seats int) (t *Ticket, ok bool) {
	t = &Ticket{level: l, seats: seats, flow: flow, admitted: admitted}
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.Exempt {
		t.seats, t.serving = 0, true
		l.executing++
		return t, true
	}
	if l.waiting == 0 && l.fits(seats) {
		t.serving = true
		l.executing += seats
		return t, true
	}
	q := l.flows[flow]
	if l.Reject || l.waiting >= l.most || q != nil && len(q.waiting) >= l.perFlow {
		return nil, false
	}
	if q == nil {
		q = &queue{flow: flow}
		if l.flows == nil {
			l.flows = map[string]*queue{}
		}
		l.flows[flow] = q
		l.turn = append(l.turn, q)
	}
	t.admitted = make(chan struct{})
	q.waiting = append(q.waiting, t)
	l.waiting++
	return t, true
}

// fits tells whether seats are free, of the level's own or of those that others lend now.
func (l *Level) fits(seats int) bool {
	if l.executing+seats <= l.seats || l.executing == 0 {
		return true
	}
	over := l.executing + seats - l.seats
	if l.borrow >= 0 && over > l.borrow {
		return false
	}
	idle, borrowed := 0, 0
	for _, o := range l.pool.levels {
		if o.Exempt {
			continue
		}
		idle += max(0, min(o.lendable, o.seats-o.executing))
		if o != l {
			borrowed += max(0, o.executing-o.seats)
		}
	}
	return over+borrowed <= idle
}

// Leave gives the seats back, or the place in the queue.
func (t *Ticket) Leave() {
	l := t.level
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if t.left {
		return
	}
	t.left = true
	switch {
	case l.Exempt && t.serving:
		l.executing--
	case t.serving:
		l.executing -= t.seats
		l.pool.dispatch()
	default:
		l.drop(t)
	}
}

func (l *Level) drop(t *Ticket) {
	q := l.flows[t.flow]
	if q == nil {
		return
	}
	for i, o := range q.waiting {
		if o == t {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			l.waiting--
			break
		}
	}
	if len(q.waiting) == 0 {
		l.forget(q)
	}
}

func (l *Level) forget(q *queue) {
	delete(l.flows, q.flow)
	for i, o := range l.turn {
		if o == q {
			l.turn = append(l.turn[:i], l.turn[i+1:]...)
			return
		}
	}
}

// dispatch admits whom the free seats are enough for, in every level: seats that
// one gives back may be lent to another.
func (p *Pool) dispatch() {
	for _, l := range p.levels {
		for len(l.turn) > 0 {
			q := l.turn[0]
			t := q.waiting[0]
			if !l.fits(t.seats) {
				break
			}
			q.waiting = q.waiting[1:]
			l.waiting--
			l.turn = l.turn[1:]
			if len(q.waiting) > 0 {
				l.turn = append(l.turn, q)
			} else {
				delete(l.flows, q.flow)
			}
			t.serving = true
			l.executing += t.seats
			close(t.admitted)
		}
	}
}

// Numbers are what a level is doing.
type Numbers struct{ Executing, Waiting, Seats int }

// Numbers tells what every level is doing, by name.
func (p *Pool) Numbers() map[string]Numbers {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]Numbers{}
	for n, l := range p.levels {
		out[n] = Numbers{l.executing, l.waiting, l.seats}
	}
	return out
}
