package http2

import (
	"encoding/binary"

	xhttp2 "golang.org/x/net/http2"
)

// line is streams that wait for the same thing, first come, first served. The first is
// woken when there may be something for it, and stays the first until it took it: nobody
// passes it meanwhile.
type line struct{ streams []*stream }

// join is called by those who cannot go on, as often as they find that.
func (l *line) join(st *stream, in *bool) {
	if !*in {
		*in = true
		l.streams = append(l.streams, st)
	}
}

// blocked tells whether others are before a stream.
func (l *line) blocked(st *stream) bool { return len(l.streams) > 0 && l.streams[0] != st }

// leave is called by who got what it waited for, or gave up: the next may look.
func (l *line) leave(st *stream, in *bool) {
	if !*in {
		return
	}
	*in = false
	for i, s := range l.streams {
		if s == st {
			copy(l.streams[i:], l.streams[i+1:])
			l.streams[len(l.streams)-1] = nil
			l.streams = l.streams[:len(l.streams)-1]
			break
		}
	}
	l.wake()
}

func (l *line) wake() {
	if len(l.streams) > 0 {
		l.streams[0].wake.Broadcast()
	}
}

// waitRoom waits until little enough is pending. c.mu is held, and given away while it waits.
func (c *conn) waitRoom(st *stream) error {
	if c.pendingLen() < maxPending && !c.rooms.blocked(st) && st.gone == nil {
		return nil
	}
	for st.gone == nil && (c.pendingLen() >= maxPending || c.rooms.blocked(st)) {
		c.rooms.join(st, &st.inRooms)
		st.wake.Wait()
	}
	c.rooms.leave(st, &st.inRooms)
	return st.gone
}

// admit waits until the stream may send some of want bytes, and takes them from the
// windows. c.mu is held, and given away while it waits.
func (c *conn) admit(st *stream, want int) (int, error) {
	for {
		if err := c.waitRoom(st); err != nil {
			c.windows.leave(st, &st.inWindows)
			return 0, err
		}
		switch {
		case st.window <= 0:
			c.windows.leave(st, &st.inWindows) // the others need not wait for this one's client
			st.wake.Wait()
		case c.window <= 0 || c.windows.blocked(st):
			c.windows.join(st, &st.inWindows)
			st.wake.Wait()
		default:
			n := min(want, st.window, c.window)
			st.window -= n
			c.window -= n
			c.windows.leave(st, &st.inWindows)
			return n, nil
		}
	}
}

// data appends the next bytes of an answer's body, a and then b, as the windows allow,
// and writes as it goes. c.mu is held, and given away while it waits or writes.
func (c *conn) data(st *stream, a, b []byte, end bool) error {
	if len(a)+len(b) == 0 {
		if !end {
			return nil
		}
		if err := c.waitRoom(st); err != nil {
			return err
		}
		out := c.room(headLen)
		out.b = appendHead(out.b, 0, xhttp2.FrameData, xhttp2.FlagDataEndStream, st.id)
		c.localEnd(st)
		return nil
	}
	for {
		n, err := c.admit(st, min(len(a)+len(b), turn))
		if err != nil {
			return err
		}
		limit := min(c.peerFrame, turn)
		out := c.room(n + (n/limit+1)*headLen)
		for n > 0 {
			size := min(n, limit)
			flags := xhttp2.Flags(0)
			if end && size == len(a)+len(b) {
				flags = xhttp2.FlagDataEndStream
			}
			out.b = appendHead(out.b, size, xhttp2.FrameData, flags, st.id)
			n -= size
			k := min(size, len(a))
			out.b = append(out.b, a[:k]...)
			out.b = append(out.b, b[:size-k]...)
			a, b = a[k:], b[size-k:]
		}
		if len(a)+len(b) == 0 {
			if end {
				c.localEnd(st)
			}
			return nil
		}
		c.flush(st)
	}
}

// readWindowUpdate lets us send more.
func (c *conn) readWindowUpdate(h head) error {
	if h.length != 4 {
		return sizeError("WINDOW_UPDATE of wrong size")
	}
	b, err := c.br.Peek(4)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(b) & maxWindow)
	c.br.Discard(4)
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.id == 0 {
		if n == 0 {
			return protocolError("WINDOW_UPDATE of nothing")
		}
		if c.window += n; c.window > maxWindow {
			return connError{xhttp2.ErrCodeFlowControl, "window too large"}
		}
		c.windows.wake()
		return nil
	}
	if h.id > c.lastID && !c.retired || h.id%2 == 0 {
		return protocolError("WINDOW_UPDATE of an idle stream")
	}
	st := c.streams[h.id]
	switch {
	case n == 0:
		return streamError{h.id, xhttp2.ErrCodeProtocol, "WINDOW_UPDATE of nothing"}
	case st == nil:
		return nil // it may have been under way when the stream ended
	case st.window+n > maxWindow:
		return streamError{h.id, xhttp2.ErrCodeFlowControl, "window too large"}
	}
	if st.window += n; st.window > 0 {
		st.wake.Broadcast()
	}
	return nil
}
