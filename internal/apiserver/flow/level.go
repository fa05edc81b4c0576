package flow

import (
	"math"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

// Level is a priority level at work. Its limits may change at any time.
type Level struct {
	Name string

	exempt bool // nobody waits, nobody is counted against others
	shares int
	gone   bool // its object is gone: it ends with its requests

	// nominal is what it has, of which it may lend out lendable; at most it may
	// use limit, with what it borrows.
	nominal, lendable, limit int

	// queues are none where requests are refused instead.
	queues []queue
	hand   int
	length int // of a queue

	inUse   int // seats
	waiting int
	active  []*queue // with requests that wait
	now     float64  // where the queues are: the start of the last one admitted
}

// set takes the limits of the object, of which the level has a share.
func (l *Level) set(o *flowcontrolv1.PriorityLevelConfiguration, total, shares int) {
	l.gone = false
	l.exempt = o.Spec.Type == flowcontrolv1.PriorityLevelEnablementExempt
	l.shares = sharesOf(o)
	l.share(total, shares)
	if l.exempt {
		l.lendable, l.limit = l.percent(exemptLendable(o)), math.MaxInt
		return
	}
	lim := o.Spec.Limited
	if lim == nil {
		lim = &flowcontrolv1.LimitedPriorityLevelConfiguration{} // validation lets none through
	}
	l.lendable, l.limit = l.percent(lim.LendablePercent), math.MaxInt
	if p := lim.BorrowingLimitPercent; p != nil {
		l.limit = l.nominal + l.percent(p)
	}
	queues := 0
	if q := lim.LimitResponse.Queuing; lim.LimitResponse.Type == flowcontrolv1.LimitResponseTypeQueue && q != nil {
		queues, l.hand, l.length = int(q.Queues), int(q.HandSize), int(q.QueueLengthLimit)
	}
	l.reshape(queues)
}

func exemptLendable(o *flowcontrolv1.PriorityLevelConfiguration) *int32 {
	if o.Spec.Exempt == nil {
		return nil
	}
	return o.Spec.Exempt.LendablePercent
}

func (l *Level) share(total, shares int) {
	l.nominal = 0
	if shares > 0 {
		l.nominal = int(math.Ceil(float64(total) * float64(l.shares) / float64(shares)))
	}
}

func (l *Level) percent(p *int32) int {
	if p == nil {
		return 0
	}
	return int(math.Round(float64(l.nominal) * float64(*p) / 100))
}

func sharesOf(o *flowcontrolv1.PriorityLevelConfiguration) int {
	var p *int32
	switch {
	case o.Spec.Limited != nil:
		p = o.Spec.Limited.NominalConcurrencyShares
	case o.Spec.Exempt != nil:
		p = o.Spec.Exempt.NominalConcurrencyShares
	}
	if p == nil {
		return 0
	}
	return int(*p)
}

// reshape gives the level another number of queues. Who waits is dealt to the new ones
// in the order in which they would have been served, and nobody is refused for it;
// who runs pays no queue any more. A level that queues no longer keeps one queue for
// those who wait already.
func (l *Level) reshape(queues int) {
	if queues == len(l.queues) {
		return
	}
	var waiting []*Ticket
	for t := l.next(); t != nil; t = l.next() {
		q := t.queue
		l.dequeue(t)
		q.start += cost(t.seats, guess)
		waiting = append(waiting, t)
	}
	l.queues, l.active, l.now = make([]queue, queues), nil, 0
	for _, t := range waiting {
		q := &queue{}
		if queues > 0 {
			q = l.choose(t.hash)
		} else if len(l.active) > 0 {
			q = l.active[0]
		}
		l.enqueue(q, t)
	}
}

// widest is how many seats one request may take: a part of the level, so that no
// request has to wait until the level is empty.
func (l *Level) widest() int { return max(1, int(math.Ceil(float64(l.nominal)*0.15))) }

// lends is how many seats the level can lend out when it uses some.
func (l *Level) lends(inUse int) int { return max(0, min(l.lendable, l.nominal-inUse)) }

// borrows is how many of the seats that it uses are others'.
func (l *Level) borrows(inUse int) int {
	if l.exempt {
		return 0
	}
	return max(0, inUse-l.nominal)
}

func (l *Level) idle() bool { return l.inUse == 0 && l.waiting == 0 }
