package http2

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"
	xhttp2 "golang.org/x/net/http2"
)

// response is the http.ResponseWriter of a stream.
type response struct {
	st   *stream
	held *held // what is not sent yet; nil: nothing

	// Guarded by conn.mu.
	sent  bool // the headers
	ended bool // the handler has returned

	head     bool  // the answer to HEAD has no body
	declared int64 // the Content-Length of the handler; -1: none
	written  int64

	header   http.Header
	status   int // 0: not chosen yet
	trailers []string

	// Of the headers as they were when the status was chosen.
	hasType, hasLength, hasDate, encoded, closes bool
}

// held is a small piece of body that waits for more, and headers that wait for it.
type held struct {
	fields []field
	n      int
	body   [4 << 10]byte
}

type field struct{ name, value string }

var helds = sync.Pool{New: func() any { return new(held) }}

func (w *response) begin(st *stream, head bool) {
	w.st, w.head, w.declared = st, head, -1
}

func (w *response) hold() *held {
	if w.held == nil {
		w.held = helds.Get().(*held)
	}
	return w.held
}

func (w *response) letGo() {
	if h := w.held; h != nil {
		clear(h.fields)
		h.fields, h.n = h.fields[:0], 0
		helds.Put(h)
		w.held = nil
	}
}

// abandon forgets what a handler that panicked did not send.
func (w *response) abandon() {
	w.st.c.mu.Lock()
	defer w.st.c.mu.Unlock()
	w.ended = true
	w.letGo()
}

// Header is what will be sent, until WriteHeader; then trailers.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader chooses the status, and the headers as they are now. They are sent with
// the first of the body.
func (w *response) WriteHeader(code int) {
	if w.status != 0 || w.ended {
		return
	}
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", code))
	}
	if code < 200 {
		w.inform(code)
		return
	}
	w.status = code
	h := w.hold()
	for k, values := range w.header {
		switch k {
		case "Connection":
			w.closes = slices.Contains(values, "close")
			continue
		case "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade":
			continue // of connections, which HTTP/2 looks after itself
		case "Content-Length":
			w.hasLength = w.takeLength(values)
			if w.declared >= 0 {
				h.take(k, values[:1])
			}
			continue
		case "Content-Type":
			w.hasType = true
		case "Date":
			w.hasDate = true
		case "Content-Encoding":
			w.encoded = len(values) > 0 && values[0] != ""
		case "Trailer":
			for _, v := range values {
				for t := range strings.SplitSeq(v, ",") {
					w.announce(strings.TrimSpace(t))
				}
			}
		}
		h.take(k, values)
	}
}

// takeLength notes what the handler says about its body's length. Nothing but the key
// says that the length shall not be told.
func (w *response) takeLength(values []string) bool {
	if len(values) == 0 {
		return true
	}
	if n, err := strconv.ParseUint(values[0], 10, 63); err == nil {
		w.declared = int64(n)
		return true
	}
	return false
}

// take appends the headers that can be sent.
func (h *held) take(key string, values []string) {
	name := lower(key)
	if !validName(name) {
		return
	}
	for _, v := range values {
		if httpguts.ValidHeaderFieldValue(v) {
			h.fields = append(h.fields, field{name, v})
		}
	}
}

func validName(name string) bool {
	for i := 0; i < len(name); i++ {
		if ch := name[i]; ch >= 0x80 || !httpguts.IsTokenRune(rune(ch)) {
			return false
		}
	}
	return name != ""
}

func (w *response) announce(name string) {
	name = http.CanonicalHeaderKey(name)
	if name == "" || slices.Contains(w.trailers, name) {
		return
	}
	if !httpguts.ValidTrailerHeader(name) {
		w.st.c.srv.logf("http2: ignoring invalid trailer %q", name)
		return
	}
	w.trailers = append(w.trailers, name)
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// Write gathers small pieces, and sends large ones.
func (w *response) Write(p []byte) (int, error) {
	ok, err := w.count(len(p))
	if !ok {
		return 0, err
	}
	h := w.hold()
	if len(p) <= len(h.body)-h.n {
		h.n += copy(h.body[h.n:], p)
		return len(p), nil
	}
	if w.head {
		h.n += copy(h.body[h.n:], p) // its beginning tells its type
		return len(p), nil
	}
	if err := w.send(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) {
	if h := w.held; h == nil || len(s) > len(h.body)-h.n {
		return w.Write([]byte(s))
	}
	ok, err := w.count(len(s))
	if !ok {
		return 0, err
	}
	w.held.n += copy(w.held.body[w.held.n:], s)
	return len(s), nil
}

// count tells whether so many bytes more may be written.
func (w *response) count(n int) (bool, error) {
	if w.ended {
		return false, errEnded
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return false, http.ErrBodyNotAllowed
	}
	w.written += int64(n)
	if w.declared >= 0 && w.written > w.declared {
		return false, http.ErrContentLength
	}
	return true, nil
}

// Flush sends what was written.
func (w *response) Flush() { w.FlushError() }

// FlushError is Flush that tells whether there is still somebody to send to.
func (w *response) FlushError() error {
	if w.ended {
		return errEnded
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.send(nil, true)
}

// send sends what is held, and p. Who flushes is expected to have nothing more to send
// for a while, and holds nothing meanwhile.
func (w *response) send(p []byte, flush bool) error {
	c, st := w.st.c, w.st
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.gone != nil {
		return st.gone
	}
	var a []byte
	if w.held != nil {
		a = w.held.body[:w.held.n]
	}
	if err := w.sendHead(a, p, -1, w.head && flush); err != nil {
		return err
	}
	if !w.head {
		if err := c.data(st, a, p, false); err != nil {
			return err
		}
	}
	if w.held != nil {
		w.held.n = 0
	}
	if flush {
		w.letGo()
	}
	c.flush(st)
	return nil
}

// finish sends the rest, when the handler has returned. c.mu is held.
func (w *response) finish() {
	c, st := w.st.c, w.st
	defer w.letGo()
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.ended = true
	if st.gone != nil || !st.localDone && !w.sendRest() {
		return
	}
	if !st.remoteDone {
		// The client need not send what nobody reads (RFC 9113, 8.1).
		c.reset(st, xhttp2.ErrCodeNo, errReset)
	}
}

// sendRest sends what ends the stream, and tells whether it could. c.mu is held.
func (w *response) sendRest() bool {
	c, st := w.st.c, w.st
	if w.declared > w.written && !w.head && bodyAllowed(w.status) {
		// Less than was promised: the client must not take it for the whole.
		c.reset(st, xhttp2.ErrCodeInternal, errReset)
		return false
	}
	trailers := w.takeTrailers()
	var first, body []byte
	if w.held != nil {
		first = w.held.body[:w.held.n]
	}
	length := w.written
	if !w.head {
		body = first
	} else if length == 0 {
		length = -1 // nobody knows what GET would have said
	}
	if w.sendHead(first, nil, length, len(body) == 0 && len(trailers) == 0) != nil {
		return false
	}
	if !w.head && !st.localDone && c.data(st, body, nil, len(trailers) == 0) != nil {
		return false
	}
	if !st.localDone {
		if c.waitRoom(st) != nil {
			return false
		}
		c.sendTrailers(st, trailers)
	}
	return true
}

// takeTrailers are the trailers that were announced and set, or are named as such.
func (w *response) takeTrailers() []field {
	for k, v := range w.header {
		if name, ok := strings.CutPrefix(k, http.TrailerPrefix); ok {
			w.announce(name)
			w.header[http.CanonicalHeaderKey(name)] = v
		}
	}
	if len(w.trailers) == 0 {
		return nil
	}
	var h held
	for _, name := range w.trailers {
		h.take(name, w.header[name])
	}
	return h.fields
}
