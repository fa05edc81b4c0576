package http2

import (
	"errors"
	"fmt"
	"os"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// A connection has one timer for all its times: those of its streams, which mostly end
// before, need no timers of their own then.

var errStuck = errors.New("http2: the client takes nothing of what is sent to it")

// due has tick look at the clock at that time, or before. c.mu is held.
func (c *conn) due(at time.Duration) {
	if c.dead == nil && (c.timerAt == 0 || at < c.timerAt) {
		c.timerAt = at
		c.timer.Reset(at - c.now())
	}
}

// tick does what is due.
func (c *conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return
	}
	c.timerAt = 0
	now := c.now()
	over := func(at time.Duration) bool {
		if at > now {
			c.due(at)
		}
		return at <= now
	}
	for _, st := range c.streams {
		if st.readBy != 0 && over(st.readBy) {
			st.readBy = 0
			st.body.fail(errLate)
		}
		if st.writeBy != 0 && over(st.writeBy) {
			c.expire(st)
		}
	}
	switch {
	case c.leaving && over(c.closeBy):
		c.die(errGone)
	case c.flushing && over(c.stuckAt()):
		c.die(errStuck)
	case !c.acked && !c.leaving && over(settingsTime):
		c.abort(xhttp2.ErrCodeSettingsTimeout)
	case c.srv.idleTime() > 0 && len(c.streams) == 0 && !c.retired && over(c.idleSince+c.srv.idleTime()):
		c.retire()
	}
}

// errLate is what reads and writes after their deadline say.
var errLate = fmt.Errorf("http2: %w", os.ErrDeadlineExceeded)

// stuckAt is when whoever writes has waited too long for the client: soon, if it is a
// handler whose own time is over. c.mu is held.
func (c *conn) stuckAt() time.Duration {
	at := c.progress + c.srv.StuckTime
	if st := c.flusher; st != nil && st.late != 0 {
		at = min(at, max(c.progress, st.late)+graceTime)
	}
	return at
}

// expire ends a stream whose answer took too long. If its handler is just writing to the
// socket, for itself or for others, it cannot be called back: what is in the socket was
// promised to the TLS session. Usually that is over at once; if the client takes nothing
// more for a moment, the connection is closed. c.mu is held.
func (c *conn) expire(st *stream) {
	st.writeBy = 0
	st.late = c.now()
	c.reset(st, xhttp2.ErrCodeInternal, errLate)
	if c.flushing && c.flusher == st {
		c.due(c.stuckAt())
	}
}

// SetReadDeadline is how long the request's body may take to arrive.
func (w *response) SetReadDeadline(t time.Time) error {
	st, c := w.st, w.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	st.readBy = c.deadline(t)
	if st.readBy != 0 && st.readBy <= c.now() {
		st.readBy = 0
		st.body.fail(errLate)
	}
	return nil
}

// SetWriteDeadline is how long the answer may take. When it passes, the stream is reset.
func (w *response) SetWriteDeadline(t time.Time) error {
	st, c := w.st, w.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	st.writeBy = c.deadline(t)
	if st.writeBy != 0 && st.writeBy <= c.now() {
		c.expire(st)
	}
	return nil
}

// deadline is a time as connections count it, 0 if there is none. c.mu is held.
func (c *conn) deadline(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	at := max(1, t.Sub(c.start)+1)
	if at > c.now() {
		c.due(at)
	}
	return at
}

// EnableFullDuplex: bodies and answers are independent here anyway.
func (w *response) EnableFullDuplex() error { return nil }
