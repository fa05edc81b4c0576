package http2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream is one request and its answer. It is not used again for another: handlers may
// keep what they were given.
type stream struct {
	// What is looked at for every event that is pushed is together, with the first fields of w: who
	// pushes to a hundred streams does not find them in the processor's cache.
	c *conn

	// Guarded by conn.mu.
	window     int   // bytes that we may send
	gone       error // why it is no more: nothing is sent any more
	id         uint32
	remoteDone bool // the client has sent everything
	localDone  bool // so have we
	inRooms    bool
	inWindows  bool

	w response

	// Guarded by conn.mu.
	wake     sync.Cond // something changed that a writer of the stream waits for
	recv     int       // bytes that the client may send
	credit   int       // bytes that were read and not given back yet
	readBy   time.Duration
	writeBy  time.Duration
	late     time.Duration // when writeBy passed
	trailers []hpack.HeaderField

	r      *http.Request
	cancel context.CancelFunc
	serve  http.HandlerFunc // nil: the connection's handler

	// The reader's own.
	declared int64 // the length of the body; -1: not told
	got      int64

	body body
}

var (
	errReset = errors.New("http2: stream closed")
	// errEnded is what a handler gets that writes after it has returned.
	errEnded = errors.New("http2: the handler of this response has ended")
)

// open begins a request with the block of headers just read. c.mu is held.
func (c *conn) open(id uint32, ended bool) error {
	if len(c.streams) >= c.srv.MaxStreams {
		return streamError{id, xhttp2.ErrCodeRefusedStream, "more streams than were granted"}
	}
	if len(c.waiting) >= 4*c.srv.MaxStreams {
		return connError{xhttp2.ErrCodeEnhanceYourCalm, "streams reset faster than their requests end"}
	}
	st := &stream{c: c, id: id, remoteDone: ended, declared: -1}
	st.wake.L = &c.mu
	st.body.begin(st)
	if err := c.makeRequest(st); err != nil {
		return err
	}
	if c.block.tooLarge {
		st.serve = headersTooLarge
	}
	st.window, st.recv = c.peerWindow, c.srv.StreamWindow
	now := c.now()
	if d := c.srv.http.ReadTimeout; d > 0 && !ended {
		st.readBy = now + d
		c.due(st.readBy)
	}
	if d := c.srv.http.WriteTimeout; d > 0 {
		st.writeBy = now + d
		c.due(st.writeBy)
	}
	if len(c.streams) == 0 {
		c.tell(http.StateActive)
	}
	c.streams[id] = st
	if c.handlers >= c.srv.MaxStreams {
		c.waiting = append(c.waiting, st)
		return nil
	}
	c.handlers++
	c.srv.workers.run(st)
	return nil
}

func (c *conn) tell(s http.ConnState) {
	if hook := c.srv.http.ConnState; hook != nil {
		hook(c.nc, s)
	}
}

// handle runs the handler of a stream, and then those of streams that waited for one to end.
func (c *conn) handle(st *stream) {
	for st != nil {
		st = c.handleOne(st)
	}
}

func (c *conn) handleOne(st *stream) (next *stream) {
	panicked := true
	defer func() {
		if panicked {
			// A handler that leaves by runtime.Goexit comes here as well.
			if e := recover(); e != nil && e != http.ErrAbortHandler {
				buf := make([]byte, 64<<10)
				buf = buf[:runtime.Stack(buf, false)]
				c.srv.logf("http2: panic serving %v: %v\n%s", c.remote, e, buf)
			}
			st.w.abandon()
		}
		st.cancel()
		if st.r.MultipartForm != nil {
			st.r.MultipartForm.RemoveAll()
		}
		if next = c.handled(st, panicked); panicked && next != nil {
			go c.handle(next) // this goroutine may be about to exit
			next = nil
		}
	}()
	if st.serve != nil {
		st.serve(&st.w, st.r)
	} else {
		c.handler.ServeHTTP(&st.w, st.r)
	}
	panicked = false
	return nil
}

// handled ends a stream whose handler has returned, and tells which waits for its place.
func (c *conn) handled(st *stream, panicked bool) (next *stream) {
	unread := st.body.abandon()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveBack(unread)
	if panicked {
		c.reset(st, xhttp2.ErrCodeInternal, errReset)
	} else {
		st.w.finish()
	}
	c.handlers--
	for len(c.waiting) > 0 && next == nil {
		if w := c.waiting[0]; w.gone == nil {
			next = w
			c.handlers++
		}
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
	}
	if next != nil {
		c.kick() // the one who waited must not wait for the socket too
		return next
	}
	c.flush(nil)
	return nil
}

// localEnd notes that the answer is complete. c.mu is held.
func (c *conn) localEnd(st *stream) {
	st.localDone = true
	if st.remoteDone {
		c.forget(st)
	}
}

// remoteEnd notes that the client has sent everything. c.mu is held.
func (c *conn) remoteEnd(st *stream) error {
	if st.declared >= 0 && st.got != st.declared {
		err := fmt.Errorf("request declared a Content-Length of %d but only wrote %d bytes", st.declared, st.got)
		st.body.fail(err)
		return streamError{st.id, xhttp2.ErrCodeProtocol, err.Error()}
	}
	st.remoteDone = true
	st.readBy = 0
	st.body.end(st.trailers)
	if st.localDone {
		c.forget(st)
	}
	return nil
}

// forget takes a stream that has ended off the connection. c.mu is held.
func (c *conn) forget(st *stream) {
	if c.streams[st.id] != st {
		return
	}
	delete(c.streams, st.id)
	if len(c.streams) > 0 {
		return
	}
	if c.dead == nil {
		c.beIdle()
		c.leaveIfDone()
	}
	c.tell(http.StateIdle)
}

// drop ends a stream at once: its handler learns why. c.mu is held.
func (c *conn) drop(st *stream, why error) {
	if st.gone != nil {
		return
	}
	st.gone = why
	c.forget(st)
	c.giveBack(st.body.breakOff(why))
	st.cancel()
	st.wake.Broadcast()
}

// reset drops a stream and tells the client. c.mu is held.
func (c *conn) reset(st *stream, code xhttp2.ErrCode, why error) {
	if st.gone != nil || st.localDone && st.remoteDone || c.dead != nil {
		return
	}
	b := c.room(headLen + 4)
	b.b = appendReset(b.b, st.id, code)
	c.resets.add(st.id)
	c.drop(st, why)
	c.kick()
}

// readReset: the client wants no answer any more.
func (c *conn) readReset(h head) error {
	switch {
	case h.id == 0:
		return protocolError("RST_STREAM of no stream")
	case h.length != 4:
		return sizeError("RST_STREAM of wrong size")
	}
	b, err := c.br.Peek(4)
	if err != nil {
		return err
	}
	code := xhttp2.ErrCode(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	c.br.Discard(4)
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[h.id]
	if st != nil {
		c.drop(st, fmt.Errorf("%w: %w", errReset, streamError{h.id, code, "reset by the client"}))
		return nil
	}
	if h.id > c.lastID && !c.retired {
		return protocolError("RST_STREAM of an idle stream")
	}
	return c.noise.heard(c)
}

// headersTooLarge answers requests whose headers are more than the server takes.
func headersTooLarge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
	w.Write([]byte("431 Request Header Fields Too Large\n"))
}
