package http2

import (
	xhttp2 "golang.org/x/net/http2"
)

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
