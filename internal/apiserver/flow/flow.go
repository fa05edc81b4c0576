// Package flow decides which requests are served now, which wait and which are
// refused, so that no client can starve another (Kubernetes calls it API priority
// and fairness). Nothing here knows HTTP, a goroutine or a clock: whoever calls
// tells the time, wakes who is admitted, and lets one call in at a time.
//
// FlowSchemas sort requests into priority levels and, within a level, into flows
// (config.go). A level has seats (level.go); a request takes some while it is
// served. When they are taken, requests wait in the level's queues: a flow has a
// hand of them (hand.go), and the queues take turns by the seats and time that
// they used (queue.go). Seats that are idle may be lent to other levels (pool.go).
//
// Input: the objects, requests as they come and go, the time since some beginning.
// Output: whether a request runs, waits or is refused; who is admitted next.
//
// Invariants
//   - The seats in use, exempt levels apart, never exceed the sum of what the levels have
//     (limits that were just lowered take effect as requests end).
//   - What a level cannot lend is free for it at all times, whatever the others do.
//   - A flow with one request waits for no flow that shares not all of its queues, except for what was admitted before.
//   - A ticket that waits is in exactly one queue; it is admitted, or leaves, once.
//
// Read config.go, then queue.go and pool.go.
package flow

import "time"

// State is where a request is on its way.
type State uint8

const (
	Idle    State = iota // nothing is taken: not begun, or over
	Waiting              // in a queue
	Running              // seats are taken
)

// Reason says why a request is refused, in the words of upstream's metrics.
type Reason uint8

const (
	NoReason  Reason = iota
	Full             // the queue is full
	Limit            // there is no seat, and the level does not queue
	TimeOut          // it waited too long
	Cancelled        // its client went, or its time was up
	reasons
)

var reasonNames = [reasons]string{"", "queue-full", "concurrency-limit", "time-out", "cancelled"}

func (r Reason) String() string { return reasonNames[r] }

// Ticket is one request at a level. Its zero value is ready for Enter; it must
// stay where it is until it left.
type Ticket struct {
	// Ready is the caller's: to be closed or sent to when the ticket is returned as admitted.
	Ready chan struct{}

	state State
	seats int
	hash  uint64
	level *Level
	stats *Stats
	queue *queue        // nil in levels without
	since time.Duration // when it came, then when it was admitted
	next  *Ticket       // in the queue
	prev  *Ticket
}

func (t *Ticket) State() State { return t.state }
