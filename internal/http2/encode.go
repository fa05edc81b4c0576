package http2

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// blockWriter lets the encoder append to what is pending.
type blockWriter conn

func (w *blockWriter) Write(p []byte) (int, error) {
	w.pending.b = append(w.pending.b, p...)
	return len(p), nil
}

// statuses are the usual ones as text.
var statuses = func() (s [600]string) {
	for i := range s {
		s[i] = strconv.Itoa(i)
	}
	return s
}()

func statusText(code int) string {
	if code < len(statuses) {
		return statuses[code]
	}
	return strconv.Itoa(code)
}

// sendHead appends the headers, unless they were. a and b are the beginning of the body,
// length is that of the whole, -1 if it is not known yet. c.mu is held.
func (w *response) sendHead(a, b []byte, length int64, end bool) error {
	if w.sent {
		return nil
	}
	c, st := w.st.c, w.st
	if err := c.waitRoom(st); err != nil {
		return err
	}
	w.sent = true
	start := c.beginBlock()
	c.enc.WriteField(hpack.HeaderField{Name: ":status", Value: statusText(w.status)})
	for _, f := range w.held.fields {
		if rare, index := changes(f.name); rare {
			c.pending.b = appendLiteral(c.pending.b, index, f.name, f.value)
			continue
		}
		c.enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	if bodyAllowed(w.status) {
		if !w.hasType && !w.encoded && len(a)+len(b) > 0 {
			c.enc.WriteField(hpack.HeaderField{Name: "content-type", Value: sniff(a, b)})
		}
		if !w.hasLength && length >= 0 {
			c.pending.b = appendLiteral(c.pending.b, staticLength, "", strconv.FormatInt(length, 10))
		}
	}
	if !w.hasDate {
		c.pending.b = appendLiteral(c.pending.b, staticDate, "", date())
	}
	c.endBlock(start, st.id, end)
	if end {
		c.localEnd(st)
	}
	if w.closes {
		c.retire()
	}
	return nil
}

func sniff(a, b []byte) string {
	if len(a) >= 512 || len(b) == 0 {
		return http.DetectContentType(a)
	}
	if len(a) == 0 {
		return http.DetectContentType(b)
	}
	var first [512]byte
	n := copy(first[:], a)
	n += copy(first[n:], b)
	return http.DetectContentType(first[:n])
}

// inform sends an answer before the answer.
func (w *response) inform(code int) {
	c, st := w.st.c, w.st
	if code == http.StatusSwitchingProtocols {
		c.srv.logf("http2: a handler switches protocols, which HTTP/2 cannot")
		return
	}
	var h held
	for k, values := range w.header {
		switch k {
		case "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Connection", "Keep-Alive", "Upgrade":
		default:
			h.take(k, values)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.sent || c.waitRoom(st) != nil {
		return
	}
	if code == http.StatusContinue {
		st.body.mu.Lock()
		st.body.proceed = false
		st.body.mu.Unlock()
	}
	start := c.beginBlock()
	c.enc.WriteField(hpack.HeaderField{Name: ":status", Value: statusText(code)})
	for _, f := range h.fields {
		c.enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	c.endBlock(start, st.id, false)
	c.flush(st)
}

// proceed tells a client that waits for it to send the body.
func (w *response) proceed() {
	c, st := w.st.c, w.st
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.sent || c.waitRoom(st) != nil {
		return
	}
	start := c.beginBlock()
	c.enc.WriteField(hpack.HeaderField{Name: ":status", Value: "100"})
	c.endBlock(start, st.id, false)
	c.flush(st)
}

// sendTrailers ends the stream with trailers. c.mu is held.
func (c *conn) sendTrailers(st *stream, trailers []field) {
	start := c.beginBlock()
	for _, f := range trailers {
		c.enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	c.endBlock(start, st.id, true)
	c.localEnd(st)
}

// beginBlock leaves room for the head of the frame. c.mu is held.
func (c *conn) beginBlock() (start int) {
	out := c.room(512)
	start = len(out.b)
	out.b = append(out.b, make([]byte, headLen)...)
	return start
}

// endBlock makes frames of the block of headers appended since start. c.mu is held.
func (c *conn) endBlock(start int, id uint32, end bool) {
	out := c.pending
	flags := xhttp2.Flags(0)
	if end {
		flags = xhttp2.FlagHeadersEndStream
	}
	size := len(out.b) - start - headLen
	if size <= c.peerFrame {
		appendHead(out.b[:start], size, xhttp2.FrameHeaders, flags|xhttp2.FlagHeadersEndHeaders, id)
		return
	}
	block := append([]byte(nil), out.b[start+headLen:]...)
	out.b = out.b[:start]
	for kind := xhttp2.FrameHeaders; len(block) > 0; kind, flags = xhttp2.FrameContinuation, 0 {
		n := min(len(block), c.peerFrame)
		if n == len(block) {
			flags |= xhttp2.FlagHeadersEndHeaders
		}
		out.b = append(appendHead(out.b, n, kind, flags, id), block[:n]...)
		block = block[n:]
	}
}

// Names in HPACK's static table (RFC 7541, appendix A).
const (
	staticLength       = 28
	staticDate         = 33
	staticETag         = 34
	staticLastModified = 44
	staticLocation     = 46
	staticSetCookie    = 55
)

// changes tells of which headers the next answer will have another value: to keep them in
// the compression's table would cost both sides more than it saves.
func changes(name string) (bool, int) {
	switch name {
	case "content-length":
		return true, staticLength
	case "date":
		return true, staticDate
	case "etag":
		return true, staticETag
	case "last-modified":
		return true, staticLastModified
	case "location":
		return true, staticLocation
	case "set-cookie":
		return true, staticSetCookie
	case "audit-id":
		return true, 0
	}
	return false, 0
}

// appendLiteral appends a header that is not put into the table (RFC 7541, 6.2.2), with the
// name of that index, or a name of its own if that is 0.
func appendLiteral(b []byte, index int, name, value string) []byte {
	switch {
	case index == 0:
		b = append(appendInt(append(b, 0), 7, len(name)), name...)
	case index < 15:
		b = append(b, byte(index))
	default:
		b = append(b, 15, byte(index-15))
	}
	return append(appendInt(b, 7, len(value)), value...)
}

// appendInt appends a number (RFC 7541, 5.1) that begins a byte of its own.
func appendInt(b []byte, bits, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(b, byte(n))
	}
	b = append(b, byte(limit))
	for n -= limit; n >= 128; n >>= 7 {
		b = append(b, byte(n)|128)
	}
	return append(b, byte(n))
}

type dateText struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dateText]

// date is now as HTTP tells it, made once a second.
func date() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}
