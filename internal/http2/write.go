package http2

import (
	"slices"
	"sync"

	xhttp2 "golang.org/x/net/http2"
)

// How much is gathered.
const (
	record     = 16 << 10  // what one TLS record takes, and one write to the socket
	turn       = 64 << 10  // of one answer's body at a time, so that it is still in the processor's cache when it is encrypted
	maxPending = 256 << 10 // who finds more pending waits until it is being written
	maxReplies = 10000     // frames that a client provoked and does not read
	maxRounds  = 4         // of writing what others said, for a handler that has things to do
)

// buffer holds frames on their way out.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (b *buffer) free() {
	if b != nil && cap(b.b) <= 2*maxPending {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

// room is the pending frames, with room for n bytes more. c.mu is held.
func (c *conn) room(n int) *buffer {
	if c.pending == nil {
		c.pending = buffers.Get().(*buffer)
	}
	c.pending.b = slices.Grow(c.pending.b, n)
	return c.pending
}

func (c *conn) pendingLen() int {
	if c.pending == nil {
		return 0
	}
	return len(c.pending.b)
}

// reply appends a frame that the client provoked. c.mu is held.
func (c *conn) reply(frame func([]byte) []byte) error {
	if c.dead != nil {
		return nil
	}
	if c.replies++; c.replies > maxReplies {
		return connError{xhttp2.ErrCodeEnhanceYourCalm, "a client that does not read what it asks for"}
	}
	b := c.room(32)
	b.b = frame(b.b)
	c.kick()
	return nil
}

// kick has what is pending written by somebody else. c.mu is held.
func (c *conn) kick() {
	if !c.flushing && (c.pending != nil || c.leaving && !c.saidBye) && c.dead == nil {
		c.flushing, c.progress = true, c.now()
		go c.flushAll()
	}
}

func (c *conn) flushAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(1 << 30)
}

// flush writes what is pending, unless somebody does. A handler that flushes says
// so, because its deadlines cannot reach into the socket (deadline.go). c.mu is held,
// and given away while the socket is written.
func (c *conn) flush(st *stream) {
	if c.flushing || c.pending == nil || c.dead != nil {
		return
	}
	c.flushing, c.flusher = true, st
	c.write(maxRounds)
}

// write is flush by the one who does. What others append meanwhile is written next; who
// has done it often enough leaves the rest to another.
func (c *conn) write(rounds int) {
	for c.owes() {
		if rounds == 0 {
			c.flusher = nil
			go c.flushAll()
			return
		}
		rounds--
		c.round(true)
	}
	c.endWriting()
}

// push is flush by who waits for nobody.
func (c *conn) push() {
	switch {
	case c.flushing || c.pending == nil || c.dead != nil:
	case c.sock == nil:
		c.kick()
	default:
		c.flushing = true
		if c.round(false); c.owes() {
			go c.flushAll()
			return
		}
		c.endWriting()
	}
}

// owes tells whether there is something left to write.
func (c *conn) owes() bool {
	return c.dead == nil && (c.pending != nil || c.sock != nil && c.sock.behind())
}

// round writes what is pending now, and may wait until the client takes it.
func (c *conn) round(wait bool) {
	out := c.pending
	c.pending, c.replies = nil, 0
	c.progress = c.now()
	c.due(c.progress + c.srv.StuckTime)
	c.rooms.wake()
	var p []byte
	if out != nil {
		p = out.b
	}
	err := c.writeOut(p, wait)
	out.free()
	if err != nil {
		c.die(err)
	}
}

func (c *conn) endWriting() {
	c.flusher = nil
	if c.leaving && !c.saidBye && c.dead == nil {
		c.sayBye()
	}
	c.flushing = false
}

// writeOut writes to the socket, a record at a time, so that it is seen whether the
// client takes anything. c.mu is held before and after.
func (c *conn) writeOut(p []byte, wait bool) error {
	for len(p) > 0 {
		n := min(len(p), record)
		c.mu.Unlock()
		_, err := c.nc.Write(p[:n])
		c.mu.Lock()
		if err == nil && wait {
			err = c.drain()
		}
		if p = p[n:]; err != nil {
			return err
		}
		c.progress = c.now()
	}
	if wait {
		return c.drain() // what somebody pushed
	}
	return nil
}

// drain waits until the client has taken what the kernel did not.
func (c *conn) drain() error {
	for c.sock != nil && c.sock.behind() {
		c.mu.Unlock()
		err := c.sock.drain()
		c.mu.Lock()
		if err != nil {
			return err
		}
		c.progress = c.now()
	}
	return nil
}

// sayBye ends our side of the connection: the client sees that after all that was written.
func (c *conn) sayBye() {
	c.saidBye = true
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		c.mu.Unlock()
		half.CloseWrite()
		c.mu.Lock()
	}
}
