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

// readSettings takes what the client grants.
func (c *conn) readSettings(h head) error {
	switch {
	case h.id != 0:
		return protocolError("SETTINGS of a stream")
	case h.flags.Has(xhttp2.FlagSettingsAck):
		if h.length != 0 {
			return sizeError("acknowledgement of SETTINGS with settings")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.acked {
			return protocolError("acknowledgement of SETTINGS that were not sent")
		}
		c.acked = true
		return nil
	case h.length%6 != 0 || h.length > 6*100:
		return sizeError("SETTINGS of wrong size")
	}
	if err := c.noise.heard(c); err != nil {
		return err
	}
	b, err := c.br.Peek(h.length)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(b) > 0; b = b[6:] {
		s := xhttp2.Setting{ID: xhttp2.SettingID(binary.BigEndian.Uint16(b)), Val: binary.BigEndian.Uint32(b[2:])}
		if err := c.setting(s); err != nil {
			return err
		}
	}
	c.br.Discard(h.length)
	return c.reply(func(b []byte) []byte { return appendHead(b, 0, xhttp2.FrameSettings, xhttp2.FlagSettingsAck, 0) })
}

// setting applies one. What is not named here does not concern servers, or is advice. c.mu is held.
func (c *conn) setting(s xhttp2.Setting) error {
	switch s.ID {
	case xhttp2.SettingEnablePush:
		if s.Val > 1 {
			return protocolError("ENABLE_PUSH is neither 0 nor 1")
		}
	case xhttp2.SettingHeaderTableSize:
		c.enc.SetMaxDynamicTableSize(s.Val) // at most 4096, the encoder's own limit
	case xhttp2.SettingMaxFrameSize:
		if s.Val < firstFrame || s.Val > 1<<24-1 {
			return protocolError("MAX_FRAME_SIZE out of range")
		}
		c.peerFrame = int(s.Val)
	case xhttp2.SettingInitialWindowSize:
		if s.Val > maxWindow {
			return connError{xhttp2.ErrCodeFlowControl, "INITIAL_WINDOW_SIZE out of range"}
		}
		more := int(s.Val) - c.peerWindow
		c.peerWindow = int(s.Val)
		for _, st := range c.streams {
			if st.window += more; st.window > maxWindow {
				return connError{xhttp2.ErrCodeFlowControl, "window too large"}
			}
			if more > 0 {
				st.wake.Broadcast()
			}
		}
	}
	return nil
}

// readData takes a piece of a request's body.
func (c *conn) readData(h head) error {
	if h.id == 0 || h.id%2 == 0 {
		return protocolError("DATA of a stream that cannot have any")
	}
	size, pad := h.length, 0
	if h.flags.Has(xhttp2.FlagDataPadded) {
		if size < 1 {
			return sizeError("DATA without its padding")
		}
		p, err := c.br.ReadByte()
		if err != nil {
			return err
		}
		pad = int(p)
		size--
	}
	if pad > size {
		return protocolError("padding larger than its frame")
	}
	size -= pad
	ended := h.flags.Has(xhttp2.FlagDataEndStream)
	if size == 0 && !ended {
		if err := c.noise.heard(c); err != nil {
			return err
		}
	}
	st, err := c.accept(h, size)
	if st == nil {
		if skipErr := c.skip(size + pad); skipErr != nil {
			return skipErr
		}
		return err
	}
	if err := st.body.fill(c.br, size); err != nil {
		return err
	}
	if err := c.skip(pad); err != nil {
		return err
	}
	if h.length > size || ended {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.giveBackOf(st, h.length-size) // padding is read by nobody
		if ended && st.gone == nil {
			return c.remoteEnd(st)
		}
	}
	return nil
}

// accept takes a frame of data from the windows. Without a stream its payload is for nobody.
func (c *conn) accept(h head, size int) (*stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.length > c.recv {
		return nil, connError{xhttp2.ErrCodeFlowControl, "more data than the connection's window"}
	}
	c.recv -= h.length
	st := c.streams[h.id]
	var err error
	switch {
	case st == nil && h.id > c.lastID && !c.retired:
		return nil, protocolError("DATA of an idle stream")
	case st == nil && (c.resets.has(h.id) || h.id > c.lastID):
		// Was under way when we reset the stream, or refused to begin it.
	case st == nil:
		err = streamError{h.id, xhttp2.ErrCodeStreamClosed, "DATA of a stream that has ended"}
	case st.remoteDone:
		err = streamError{h.id, xhttp2.ErrCodeStreamClosed, "DATA after the end of the stream"}
	case h.length > st.recv:
		err = streamError{h.id, xhttp2.ErrCodeFlowControl, "more data than the stream's window"}
	case st.declared >= 0 && st.got+int64(size) > st.declared:
		st.body.fail(errTooMuch)
		err = streamError{h.id, xhttp2.ErrCodeProtocol, errTooMuch.Error()}
	default:
		st.recv -= h.length
		st.got += int64(size)
		return st, nil
	}
	c.giveBack(h.length)
	return nil, err
}

// giveBack lets the client send more on the connection: a quarter of the window at a
// time, which spares frames and never lets it run dry. c.mu is held.
func (c *conn) giveBack(n int) {
	if c.credit += n; c.credit >= c.srv.ConnWindow/4 && c.dead == nil {
		b := c.room(headLen + 4)
		b.b = appendWindowUpdate(b.b, 0, c.credit)
		c.recv += c.credit
		c.credit = 0
		c.kick()
	}
}

// giveBackOf is giveBack for what arrived for a stream, which may then send more as well. c.mu is held.
func (c *conn) giveBackOf(st *stream, n int) {
	c.giveBack(n)
	if st.credit += n; st.credit >= c.srv.StreamWindow/4 && !st.remoteDone && st.gone == nil && c.dead == nil {
		b := c.room(headLen + 4)
		b.b = appendWindowUpdate(b.b, st.id, st.credit)
		st.recv += st.credit
		st.credit = 0
		c.kick()
	}
}
