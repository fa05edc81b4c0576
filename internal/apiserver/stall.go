package apiserver

import (
	"net/http"
	"sync"
	"time"
)

// stallTime is how long a client may leave what was sent to it unread.
const stallTime = 30 * time.Second

// stall cuts off the connection, or the stream of it, of a client that does not read:
// what is being sent fails at once, so that such a client holds no more than one piece.
// It is a timer that runs while something is being sent, which costs a fraction of
// a deadline set anew for each event.
//
// The response must not be touched when its handler has ended (package http would
// panic, or the next request of the connection would suffer): end and the timer
// exclude each other.
type stall struct {
	timer *time.Timer
	mu    sync.Mutex
	over  bool
}

// begin watches from now on. end must follow, before the handler ends.
func (s *stall) begin(c *http.ResponseController) {
	s.timer = time.AfterFunc(stallTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.over {
			c.SetWriteDeadline(time.Unix(1, 0))
		}
	})
}

func (s *stall) watch() { s.timer.Reset(stallTime) }
func (s *stall) rest()  { s.timer.Stop() }

func (s *stall) end() {
	s.timer.Stop()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}
