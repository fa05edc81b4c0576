package flow

import "time"

// Pool is all levels. One call at a time.
type Pool struct {
	Total int // seats; 0: TotalSeats

	levels []*Level // in the order of their names, those that are gone behind
	// lent is how many seats are borrowed, spare how many could be lent out in all,
	// lent ones included: lent ≤ spare, unless limits were lowered just now.
	lent, spare int
	waiting     int
	stats       map[statsKey]*Stats
	admitted    []*Ticket
}

// TotalSeats is how many requests are served at a time, exempt and long-running ones
// apart: what upstream allows by default, 400 that read and 200 that write.
const TotalSeats = 600

// use changes what a level uses.
func (p *Pool) use(l *Level, seats int) {
	p.lent += l.borrows(l.inUse+seats) - l.borrows(l.inUse)
	p.spare += l.lends(l.inUse+seats) - l.lends(l.inUse)
	l.inUse += seats
}

// fits tells whether the level may use so many seats more: those that it never
// lends out are its own at any time, for the others nothing of it must be lent
// out just now, and for more than it has something of the others must be idle.
func (p *Pool) fits(l *Level, seats int) bool {
	then := l.inUse + seats
	if l.exempt || then <= l.nominal-l.lendable {
		return true
	}
	if then > l.limit {
		return false
	}
	return p.lent+l.borrows(then)-l.borrows(l.inUse) <= p.spare+l.lends(then)-l.lends(l.inUse)
}

// Enter asks for seats for a request that belongs there. The ticket then runs,
// waits, or is refused for a reason; whoever runs or waits must Leave.
func (p *Pool) Enter(now time.Duration, at *Place, seats int, t *Ticket) Reason {
	l := at.Schema.level
	*t = Ticket{Ready: t.Ready, level: l, stats: at.Schema.stats, hash: at.Hash, since: now, seats: min(seats, l.widest())}
	if l.exempt {
		t.seats = seats
		p.run(now, t)
		return NoReason
	}
	if len(l.queues) == 0 {
		if l.waiting > 0 || !p.fits(l, t.seats) {
			t.stats.Refused[Limit]++
			return Limit
		}
		p.run(now, t)
		return NoReason
	}
	q := l.choose(t.hash)
	if l.waiting == 0 && p.fits(l, t.seats) {
		t.queue = q
		p.run(now, t)
		return NoReason
	}
	if q.waiting >= l.length {
		t.stats.Refused[Full]++
		return Full
	}
	l.enqueue(q, t)
	if l.next() == t && p.fits(l, t.seats) {
		// Its turn is before that of those who wait, for more seats than are free.
		l.dequeue(t)
		p.run(now, t)
		return NoReason
	}
	p.waiting++
	return NoReason
}

// run gives the ticket its seats.
func (p *Pool) run(now time.Duration, t *Ticket) {
	s := t.stats
	s.Dispatched++
	s.Running++
	s.RunningSeats += t.seats
	s.Waited.observe(now - t.since)
	t.since, t.state = now, Running
	p.use(t.level, t.seats)
	if t.queue != nil {
		t.queue.charge(t.level, t)
	}
}

// Leave gives back what the ticket has: its seats, when the request is done, or its
// place in the queue, for a reason. It returns who is admitted by that; the slice is
// valid until the next call. Leaving twice does nothing.
func (p *Pool) Leave(now time.Duration, t *Ticket, why Reason) []*Ticket {
	s := t.stats
	switch t.state {
	case Idle:
		return nil
	case Waiting:
		t.level.dequeue(t)
		p.waiting--
		s.Refused[why]++
		s.WaitedInVain.observe(now - t.since)
		t.state, t.queue = Idle, nil
		// The request behind it may be narrower.
		return p.admit(now)
	}
	s.Running--
	s.RunningSeats -= t.seats
	s.Executed.observe(now - t.since)
	p.use(t.level, -t.seats)
	if t.queue != nil {
		t.queue.settle(t, now-t.since)
	}
	t.state, t.queue = Idle, nil
	return p.admit(now)
}

// admit lets in whom the free seats are enough for. Levels that use less than they
// have come first: what is theirs is not lent out again. Then the one that borrows
// least for its size.
func (p *Pool) admit(now time.Duration) []*Ticket {
	p.admitted = p.admitted[:0]
	for p.waiting > 0 {
		var best *Ticket
		least := 0.0
		for _, l := range p.levels {
			t := l.next()
			if t == nil || !p.fits(l, t.seats) {
				continue
			}
			if used := float64(l.inUse) / float64(max(1, l.nominal)); best == nil || used < least {
				best, least = t, used
			}
		}
		if best == nil {
			break
		}
		best.level.dequeue(best)
		p.waiting--
		p.run(now, best)
		p.admitted = append(p.admitted, best)
	}
	return p.admitted
}
