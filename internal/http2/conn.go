package http2

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// conn is one connection.
type conn struct {
	srv     *server
	nc      net.Conn
	sock    *socket // below nc; nil: it is none that can be written to without waiting
	handler http.Handler
	base    context.Context
	remote  string
	tls     *tls.ConnectionState
	start   time.Time // times below count from here
	number  uint64    // among the server's connections

	// The reader's own.
	br    *bufio.Reader
	block headerBlock
	noise noise

	mu   sync.Mutex
	dead error // why the connection is over, when it is

	// Streams.
	streams  map[uint32]*stream
	lastID   uint32    // the highest that the client opened
	handlers int       // that run, those of streams that are no more included
	waiting  []*stream // for a handler, because there are as many as may be
	resets   resetLog

	// What is written.
	pending  *buffer // frames; nil: none
	replies  int     // frames in pending that the client provoked
	flushing bool    // somebody writes
	flusher  *stream // whose handler it is, if it is one
	progress time.Duration
	enc      *hpack.Encoder
	rooms    line // who waits for pending to shrink

	// Flow.
	window     int  // bytes that we may send
	windows    line // who waits for it
	peerWindow int  // with which streams begin
	peerFrame  int  // payload of the frames that we may send
	recv       int  // bytes that the client may send
	credit     int  // bytes that were read and not given back yet

	// Its life.
	timer     *time.Timer
	timerAt   time.Duration // 0: not set
	idleSince time.Duration
	acked     bool // our settings
	retired   bool // GOAWAY is sent: no new streams
	leaving   bool // all is said: what is pending goes out, then the end
	saidBye   bool
	closeBy   time.Duration
}

var errGone = errors.New("http2: client disconnected")

func newConn(s *server, ctx context.Context, nc net.Conn, state *tls.ConnectionState, h http.Handler) *conn {
	c := &conn{
		srv: s, nc: nc, handler: h, base: ctx, tls: state,
		remote: nc.RemoteAddr().String(), start: time.Now(), number: s.opened.Add(1),
		br:      bufio.NewReaderSize(nc, 4<<10),
		streams: map[uint32]*stream{},
		window:  firstWindow, peerWindow: firstWindow, peerFrame: firstFrame,
		recv: s.ConnWindow,
	}
	if c.sock = socketOf(nc); c.sock != nil {
		c.sock.beEager()
	}
	c.enc = hpack.NewEncoder((*blockWriter)(c))
	c.block.begin(s.maxHeader)
	return c
}

// now is the time since the connection began. It is never 0.
func (c *conn) now() time.Duration { return time.Since(c.start) + 1 }

// serve reads until the connection ends.
func (c *conn) serve(retire bool) {
	defer c.end()
	c.mu.Lock()
	c.timer = time.AfterFunc(settingsTime, c.tick)
	c.timerAt = settingsTime
	c.beIdle()
	c.greet()
	if retire {
		c.retire()
	}
	c.kick()
	c.mu.Unlock()

	err := c.readPreface()
	if err == nil {
		c.mu.Lock()
		c.tell(http.StateActive)
		c.tell(http.StateIdle)
		c.mu.Unlock()
		err = c.readFrames()
	}
	var broken connError
	if errors.As(err, &broken) {
		c.srv.logf("http2: server connection error from %v: %v", c.remote, err)
		c.mu.Lock()
		c.abort(broken.code)
		c.mu.Unlock()
		c.linger()
	}
}

// beIdle begins the time without requests. c.mu is held.
func (c *conn) beIdle() {
	c.idleSince = c.now()
	if d := c.srv.idleTime(); d > 0 {
		c.due(c.idleSince + d)
	}
}

// greet says what we grant.
func (c *conn) greet() {
	b := c.room(128)
	b.b = appendSettings(b.b,
		xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: uint32(c.srv.MaxFrame)},
		xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: uint32(c.srv.MaxStreams)},
		xhttp2.Setting{ID: xhttp2.SettingMaxHeaderListSize, Val: uint32(c.srv.maxHeader)},
		xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(c.srv.StreamWindow)})
	if more := c.srv.ConnWindow - firstWindow; more > 0 {
		b.b = appendWindowUpdate(b.b, 0, more)
	}
}

// readPreface reads what clients say first, up to their settings.
func (c *conn) readPreface() error {
	c.readBy(time.Now().Add(prefaceTime))
	p, err := c.br.Peek(len(xhttp2.ClientPreface))
	if err != nil {
		return err
	}
	if string(p) != xhttp2.ClientPreface {
		return protocolError("bogus greeting")
	}
	c.br.Discard(len(p))
	h, err := c.readHead()
	if err != nil {
		return err
	}
	if h.kind != xhttp2.FrameSettings || h.flags.Has(xhttp2.FlagSettingsAck) {
		return protocolError("the first frame is not SETTINGS")
	}
	if err := c.readSettings(h); err != nil {
		return err
	}
	c.readBy(time.Time{})
	return nil
}

// readBy sets the reader's deadline, unless it was told to stop.
func (c *conn) readBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead == nil {
		c.nc.SetReadDeadline(t)
	}
}

func (c *conn) readFrames() error {
	for {
		h, err := c.readHead()
		if err != nil {
			return err
		}
		err = c.readFrame(h)
		if err == nil {
			continue
		}
		var broken streamError
		if !errors.As(err, &broken) {
			return err
		}
		if err := c.refuse(broken); err != nil {
			return err
		}
	}
}

// readHead waits for the next frame.
func (c *conn) readHead() (head, error) {
	b, err := c.br.Peek(headLen)
	if err != nil {
		return head{}, err
	}
	h := parseHead(b)
	c.br.Discard(headLen)
	if h.length > c.srv.MaxFrame {
		return h, sizeError("frame larger than was granted")
	}
	return h, nil
}

// readFrame reads the payload of one frame, all of it, and does what it says.
func (c *conn) readFrame(h head) error {
	switch h.kind {
	case xhttp2.FrameData:
		return c.readData(h)
	case xhttp2.FrameHeaders:
		return c.readHeaders(h)
	case xhttp2.FramePriority:
		return c.readPriority(h)
	case xhttp2.FrameRSTStream:
		return c.readReset(h)
	case xhttp2.FrameSettings:
		return c.readSettings(h)
	case xhttp2.FramePushPromise:
		return protocolError("PUSH_PROMISE from a client")
	case xhttp2.FramePing:
		return c.readPing(h)
	case xhttp2.FrameGoAway:
		return c.readGoAway(h)
	case xhttp2.FrameWindowUpdate:
		return c.readWindowUpdate(h)
	case xhttp2.FrameContinuation:
		return protocolError("CONTINUATION without HEADERS")
	}
	if err := c.noise.heard(c); err != nil {
		return err
	}
	return c.skip(h.length) // what we do not know is ignored (RFC 9113, 4.1)
}

func (c *conn) skip(n int) error {
	_, err := c.br.Discard(n)
	return err
}

// retire tells the client to begin nothing new; the connection ends with the last stream. c.mu is held.
func (c *conn) retire() {
	if c.retired || c.dead != nil {
		return
	}
	c.retired = true
	b := c.room(headLen + 8)
	b.b = appendGoAway(b.b, c.lastID, xhttp2.ErrCodeNo)
	c.leaveIfDone()
	c.kick()
}

// leaveIfDone ends a connection that has no streams left. c.mu is held.
func (c *conn) leaveIfDone() {
	if c.retired && len(c.streams) == 0 && !c.leaving {
		c.leaving = true
		c.closeBy = c.now() + lingerTime
		c.due(c.closeBy)
		c.kick()
	}
}

// abort tells the client what it did wrong, and ends all its streams. c.mu is held.
func (c *conn) abort(code xhttp2.ErrCode) {
	if c.dead != nil {
		return
	}
	b := c.room(headLen + 8)
	b.b = appendGoAway(b.b, c.lastID, code)
	c.retired = true
	for _, st := range c.streams {
		c.drop(st, errGone)
	}
	c.leaveIfDone()
}

// linger reads on for a moment: to close a socket that has something to read would
// discard what we said last.
func (c *conn) linger() {
	c.readBy(time.Now().Add(lingerTime))
	io.Copy(io.Discard, c.nc)
}

// die ends the connection. c.mu is held.
func (c *conn) die(why error) {
	if c.dead != nil {
		return
	}
	c.dead = why
	c.timer.Stop()
	for _, st := range c.streams {
		c.drop(st, why)
	}
	c.waiting = nil
	c.pending.free()
	c.pending = nil
	// The reader closes the socket, which takes its time.
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// end is the last that the reader does.
func (c *conn) end() {
	c.mu.Lock()
	c.die(errGone)
	c.mu.Unlock()
	c.nc.Close()
}

// readPriority ignores priorities: they are deprecated, and advice.
func (c *conn) readPriority(h head) error {
	if h.id == 0 {
		return protocolError("PRIORITY of no stream")
	}
	if h.length != 5 {
		if err := c.skip(h.length); err != nil {
			return err
		}
		return streamError{h.id, xhttp2.ErrCodeFrameSize, "PRIORITY of wrong size"}
	}
	if err := c.noise.heard(c); err != nil {
		return err
	}
	b, err := c.br.Peek(5)
	if err != nil {
		return err
	}
	on := parseID(b)
	c.br.Discard(5)
	if on == h.id {
		return streamError{h.id, xhttp2.ErrCodeProtocol, "a stream that depends on itself"}
	}
	return nil
}

func (c *conn) readPing(h head) error {
	switch {
	case h.length != 8:
		return sizeError("PING of wrong size")
	case h.id != 0:
		return protocolError("PING of a stream")
	}
	if err := c.noise.heard(c); err != nil {
		return err
	}
	b, err := c.br.Peek(8)
	if err != nil {
		return err
	}
	if !h.flags.Has(xhttp2.FlagPingAck) {
		c.mu.Lock()
		err = c.reply(func(out []byte) []byte { return appendPing(out, xhttp2.FlagPingAck, b) })
		c.mu.Unlock()
	}
	c.br.Discard(8)
	return err
}

// readGoAway: the client will open no more streams.
func (c *conn) readGoAway(h head) error {
	switch {
	case h.id != 0:
		return protocolError("GOAWAY of a stream")
	case h.length < 8:
		return sizeError("GOAWAY of wrong size")
	}
	if err := c.skip(h.length); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retire()
	return nil
}

// noise bounds frames that lead to nothing: a client that sends many of them means
// to keep us busy.
type noise struct {
	n     int
	since time.Duration
}

// The many that are too many within a period. Whoever pings, even often, is far below.
const (
	maxNoise    = 5000
	noisePeriod = 5 * time.Second
)

func (n *noise) heard(c *conn) error {
	if n.n == 0 {
		n.since = c.now()
	}
	n.n++
	if n.n < maxNoise {
		return nil
	}
	n.n = 0
	if took := c.now() - n.since; took < noisePeriod {
		return connError{xhttp2.ErrCodeEnhanceYourCalm, fmt.Sprintf("%d frames that lead to nothing within %v", maxNoise, took)}
	}
	return nil
}
