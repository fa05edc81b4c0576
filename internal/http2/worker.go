package http2

import (
	"sync"
	"time"
)

// workers are goroutines that have run a handler and wait for the next: their stacks
// have grown to what handlers need, which a new goroutine's must do anew (an eighth of the
// cost of a small request). All connections share them; the one that ended last goes
// first. Those that were not needed for a while end, and all with the last connection.
type workers struct {
	mu    sync.Mutex
	free  []chan *stream
	spare int // how many of free, from the first, have not been needed since the last sweep
	sweep *time.Timer
	swept bool // the timer runs
	conns int
}

const (
	maxFree    = 64
	sweepEvery = 2 * time.Second
)

// run has a worker handle the stream.
func (ws *workers) run(st *stream) {
	ws.mu.Lock()
	n := len(ws.free)
	if n == 0 {
		ws.mu.Unlock()
		go ws.work(st)
		return
	}
	w := ws.free[n-1]
	ws.free[n-1] = nil
	ws.free = ws.free[:n-1]
	ws.spare = min(ws.spare, n-1)
	ws.mu.Unlock()
	w <- st // it has room for one
}

func (ws *workers) work(st *stream) {
	next := make(chan *stream, 1)
	for st != nil {
		st.c.handle(st)
		if !ws.park(next) {
			return
		}
		st = <-next
	}
}

func (ws *workers) park(next chan *stream) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.free) >= maxFree || ws.conns == 0 {
		return false
	}
	ws.free = append(ws.free, next)
	if !ws.swept {
		ws.swept = true
		if ws.sweep == nil {
			ws.sweep = time.AfterFunc(sweepEvery, ws.end)
		} else {
			ws.sweep.Reset(sweepEvery)
		}
	}
	return true
}

// connected counts connections.
func (ws *workers) connected(more int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.conns += more; ws.conns > 0 {
		return
	}
	for _, w := range ws.free {
		close(w)
	}
	ws.free, ws.spare = nil, 0
	if ws.swept {
		ws.sweep.Stop()
		ws.swept = false
	}
}

// end lets go those that nobody needed since it was called before.
func (ws *workers) end() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.free[:ws.spare] {
		close(w)
	}
	ws.free = append(ws.free[:0], ws.free[ws.spare:]...)
	clear(ws.free[len(ws.free):cap(ws.free)])
	ws.spare = len(ws.free)
	if ws.swept = ws.spare > 0 && ws.conns > 0; ws.swept {
		ws.sweep.Reset(sweepEvery)
	}
}
