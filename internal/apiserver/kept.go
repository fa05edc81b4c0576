package apiserver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/skiff-k8s/skiff/internal/api"
)

// What can be made again from an entry's bytes is kept within bounds. The bounds are the
// process's, as its memory is, however many servers there are in it.
var (
	objects   = &objectsKept{budget: 1 << 20}
	encodings = &encodingsKept{budget: 64 << 20}
)

// objectsKept holds the objects that were decoded or written last, whoever else does, so
// that a small cluster's stay decoded: the first in goes first.
type objectsKept struct {
	budget int // of stored bytes; a decoded object has about four times as many

	mu    sync.Mutex
	bytes int
	queue fifo[keptObject]
}

type keptObject struct {
	o    api.Object
	size int
}

func (k *objectsKept) keep(o api.Object, size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queue.push(keptObject{o, size})
	k.bytes += size
	for k.bytes > k.budget {
		k.bytes -= k.queue.pop().size
	}
}

// encoding is an entry's JSON.
type encoding struct {
	bytes []byte
	used  atomic.Uint32 // the turn in which it was asked for last
}

func (c *encoding) use() {
	if now := encodings.turn.Load(); c.used.Load() != now {
		c.used.Store(now)
	}
}

// encodingsKept holds the encodings that were asked for lately. It forgets what nobody asked
// for during a whole turn. When there is no room, what is asked for still stays: who lists
// more than there is room for finds most of it again, and not nothing.
type encodingsKept struct {
	budget int // bytes
	turn   atomic.Uint32

	mu      sync.Mutex
	bytes   int
	queue   fifo[*entry]
	turning bool // a timer runs; only while there is something to forget
}

// turnTime is how long a turn is.
const turnTime = 45 * time.Second

func (k *encodingsKept) keep(e *entry, b []byte) {
	enc := &encoding{bytes: b}
	now := k.turn.Load()
	enc.used.Store(now)
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.bytes+len(b) > k.budget && k.queue.len() > 0 {
		if oldest := k.queue.head().json.Load(); oldest != nil && oldest.used.Load()+1 >= now {
			return
		}
		k.forget(k.queue.pop())
	}
	if len(b) > k.budget || !e.json.CompareAndSwap(nil, enc) {
		return
	}
	k.queue.push(e)
	k.bytes += len(b)
	if !k.turning {
		k.turning = true
		time.AfterFunc(turnTime, k.next)
	}
}

func (k *encodingsKept) forget(e *entry) {
	if enc := e.json.Swap(nil); enc != nil {
		k.bytes -= len(enc.bytes)
	}
}

// next ends a turn.
func (k *encodingsKept) next() {
	k.mu.Lock()
	defer k.mu.Unlock()
	over := k.turn.Add(1) - 1
	for range k.queue.len() {
		e := k.queue.pop()
		if enc := e.json.Load(); enc != nil && enc.used.Load() >= over {
			k.queue.push(e)
		} else {
			k.forget(e)
		}
	}
	if k.turning = k.queue.len() > 0; k.turning {
		time.AfterFunc(turnTime, k.next)
	} else {
		k.queue = fifo[*entry]{}
	}
}

// fifo is a queue in one array, which is used again from its start.
type fifo[T any] struct {
	items []T
	first int
}

func (q *fifo[T]) len() int { return len(q.items) - q.first }

func (q *fifo[T]) push(v T) {
	if len(q.items) == cap(q.items) && q.first > len(q.items)/2 {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

func (q *fifo[T]) head() T { return q.items[q.first] }

func (q *fifo[T]) pop() T {
	var none T
	v := q.items[q.first]
	q.items[q.first] = none
	q.first++
	return v
}
