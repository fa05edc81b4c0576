package scheduler

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/scheduler/plugins"
	"github.com/skiff-k8s/skiff/internal/scheduler/snapshot"
)

const (
	backoffFirst = time.Second
	backoffMost  = 10 * time.Second
	// A pod that no event woke for so long is tried all the same.
	parkedMost = 5 * time.Minute
)

// entry is a pending pod in the queue. It is in one place at a time.
type entry struct {
	pod      *snapshot.Pod
	attempts int
	by       plugins.Set // what kept it from running at the last attempt

	place  place
	index  int // in its heap
	seq    uint64
	until  time.Time // end of its back-off
	parked time.Time
}

type place uint8

const (
	nowhere     place = iota // popped, or not in the queue
	inActive                 // to be tried: by priority, then first come
	inBackoff                // woken, but tried not long ago
	inErrorWait              // an attempt failed for no reason of the pod's
	inParked                 // nothing happened that could let it run
	inGated                  // has scheduling gates
)

// queue holds the pods that have no node yet. It is pure: time comes in as an
// argument, and who owns it decides when to look again (next).
type queue struct {
	active  activeHeap
	backoff timeHeap
	errors  timeHeap
	parked  map[types.UID]*entry
	gated   map[types.UID]*entry
	seq     uint64
}

func newQueue() *queue {
	return &queue{parked: map[types.UID]*entry{}, gated: map[types.UID]*entry{}}
}

// add puts in a pod that is new, or whose spec changed.
func (q *queue) add(e *entry) {
	q.remove(e)
	if len(e.pod.Obj.Spec.SchedulingGates) > 0 {
		e.place = inGated
		q.gated[e.pod.Obj.UID] = e
		return
	}
	q.activate(e)
}

func (q *queue) activate(e *entry) {
	q.seq++
	e.seq, e.place = q.seq, inActive
	heap.Push(&q.active, e)
}

// remove takes a pod out, wherever it is.
func (q *queue) remove(e *entry) {
	switch e.place {
	case inActive:
		heap.Remove(&q.active, e.index)
	case inBackoff:
		heap.Remove(&q.backoff, e.index)
	case inErrorWait:
		heap.Remove(&q.errors, e.index)
	case inParked:
		delete(q.parked, e.pod.Obj.UID)
	case inGated:
		delete(q.gated, e.pod.Obj.UID)
	}
	e.place = nowhere
}

// pop returns the next pod to try; nil: none. When nothing else is to be done,
// pods that were woken need not wait for the end of their back-off.
func (q *queue) pop() *entry {
	var e *entry
	switch {
	case len(q.active) > 0:
		e = heap.Pop(&q.active).(*entry)
	case len(q.backoff) > 0:
		e = heap.Pop(&q.backoff).(*entry)
	default:
		return nil
	}
	e.place = nowhere
	e.attempts++
	return e
}

// park puts away a pod that fits nowhere until something happens that may change it.
func (q *queue) park(e *entry, by plugins.Set, now time.Time) {
	e.by, e.parked = by, now
	e.until = now.Add(backoff(e.attempts))
	e.place = inParked
	q.parked[e.pod.Obj.UID] = e
}

// retry has a pod tried again after its back-off.
func (q *queue) retry(e *entry, now time.Time) {
	e.until = now.Add(backoff(e.attempts))
	e.place = inErrorWait
	heap.Push(&q.errors, e)
}

func backoff(attempts int) time.Duration {
	d := backoffFirst
	for range attempts - 1 {
		if d *= 2; d >= backoffMost {
			return backoffMost
		}
	}
	return d
}

// wake moves the parked pods that the change may let run.
func (q *queue) wake(s *snapshot.Snapshot, ch *plugins.Change, now time.Time) {
	if len(q.parked) > 0 {
		q.wakeIf(now, func(e *entry) bool { return plugins.Wakes(s, e.pod, e.by, ch) })
	}
}

// wakeIf moves the parked pods that a predicate chooses, first come first.
func (q *queue) wakeIf(now time.Time, f func(*entry) bool) {
	var woken []*entry
	for _, e := range q.parked {
		if f(e) {
			woken = append(woken, e)
		}
	}
	slices.SortFunc(woken, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	for _, e := range woken {
		q.unpark(e, now)
	}
}

func (q *queue) unpark(e *entry, now time.Time) {
	delete(q.parked, e.pod.Obj.UID)
	if !now.Before(e.until) {
		q.activate(e)
		return
	}
	q.seq++
	e.seq, e.place = q.seq, inBackoff
	heap.Push(&q.backoff, e)
}

// advance moves what time alone moves.
func (q *queue) advance(now time.Time) {
	for _, h := range []*timeHeap{&q.backoff, &q.errors} {
		for len(*h) > 0 && !now.Before((*h)[0].until) {
			q.activate(heap.Pop(h).(*entry))
		}
	}
}

// flush tries pods again that were parked for very long.
func (q *queue) flush(now time.Time) {
	q.wakeIf(now, func(e *entry) bool { return now.Sub(e.parked) >= parkedMost })
}

// next tells how long nothing changes by time alone; 0: for ever.
func (q *queue) next(now time.Time) time.Duration {
	d := time.Duration(0)
	if len(q.parked) > 0 {
		d = flushEvery
	}
	for _, h := range []timeHeap{q.backoff, q.errors} {
		if len(h) > 0 {
			if w := max(h[0].until.Sub(now), 1); d == 0 || w < d {
				d = w
			}
		}
	}
	return d
}

const flushEvery = 30 * time.Second

type activeHeap []*entry

func (h activeHeap) Len() int { return len(h) }
func (h activeHeap) Less(i, j int) bool {
	if a, b := h[i].pod.Priority, h[j].pod.Priority; a != b {
		return a > b
	}
	return h[i].seq < h[j].seq
}
func (h activeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *activeHeap) Push(x any) { *h = push(*h, x.(*entry)) }
func (h *activeHeap) Pop() any {
	var e *entry
	*h, e = popLast(*h)
	return e
}

type timeHeap []*entry

func (h timeHeap) Len() int { return len(h) }
func (h timeHeap) Less(i, j int) bool {
	if !h[i].until.Equal(h[j].until) {
		return h[i].until.Before(h[j].until)
	}
	return h[i].seq < h[j].seq
}
func (h timeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timeHeap) Push(x any) { *h = push(*h, x.(*entry)) }
func (h *timeHeap) Pop() any {
	var e *entry
	*h, e = popLast(*h)
	return e
}

func push(h []*entry, e *entry) []*entry {
	e.index = len(h)
	return append(h, e)
}

func popLast(h []*entry) ([]*entry, *entry) {
	n := len(h) - 1
	e := h[n]
	h[n] = nil
	return h[:n], e
}
