// Package http2 serves HTTP/2 to a net/http server: connections whose TLS handshake
// negotiated "h2" come here, those of HTTP/1.1 stay with net/http.
//
// What it is for: many streams of small writes (watches) and large answers (lists) on few
// cores. In net/http's own HTTP/2 server each write of a handler passes through two other
// goroutines and becomes a TLS record of its own. Here handlers write themselves: what they
// have to say is appended to the connection's pending frames, and whoever finds nobody
// writing writes out all that is pending. Alone, a write goes out at once; among many, one
// TLS record carries what many handlers said meanwhile.
//
// In: an http.Server (its Handler, times and limits). Out: the same handler, called with
// requests and response writers that behave as net/http's do, with these exceptions: no
// server push, no CloseNotifier, no extended CONNECT; of HTTP2Config only what Options
// name is heeded. No pings are sent: TCP's keep-alive and the deadlines find who is gone.
// Which ciphers are good enough is up to the tls.Config.
//
// Goroutines: one reads the connection's frames, one for each request runs its handler.
// The reader never writes to the socket (a client that does not read must not keep us from
// reading, else both wait for each other): its replies are written by whoever is writing,
// or by a goroutine that lives as long as there is something to write. Who pushes to many
// connections writes what their sockets take without waiting (socket.go).
//
// Invariants:
//   - conn.mu guards streams, windows and pending frames; it is never held while a socket
//     is read or written. body.mu is taken after it, or alone.
//   - Frames are encoded in the order in which they are appended (the header compression
//     depends on it), and exactly one goroutine writes (conn.flushing).
//   - Every byte of DATA received is given back to the connection's window exactly once:
//     when the handler has read it, or when nobody will.
//   - What a client can make us hold is bounded: pending frames, replies among them,
//     header blocks, unread bodies (the windows), handlers (streams that it has reset
//     count until their handler has ended).
//
// Read conn.go first, then write.go; what is sent waits in flow.go, what is received goes
// through receive.go to body.go; request.go and response.go are what handlers see.
package http2

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// Options are what a connection grants. What is zero is taken from the server's
// HTTP2Config, and then from the defaults told here.
type Options struct {
	MaxStreams   int           // requests at a time; 250
	StreamWindow int           // bytes of one request's body that nobody has read yet; 1 MiB
	ConnWindow   int           // the same for all requests of a connection; 4 MiB
	MaxFrame     int           // payload of a frame that a client may send; 1 MiB
	StuckTime    time.Duration // a connection that takes nothing of what is ready for it for so long is closed; 30 s
	ErrorLog     *log.Logger   // the http.Server's ErrorLog
}

// Times that nobody asked to choose.
const (
	prefaceTime  = 10 * time.Second // from the handshake to the client's first frame
	settingsTime = 30 * time.Second // to the acknowledgement of our settings
	headerTime   = 30 * time.Second // a block of headers, where the server has no ReadHeaderTimeout
	lingerTime   = time.Second      // between our last word and the end: what we said shall arrive
	graceTime    = time.Second      // of a deadline that finds its handler writing to the socket
)

// server is what the connections of one http.Server share.
type server struct {
	http *http.Server
	Options
	maxHeader int // of a request, counted as HPACK does
	workers   workers
	opened    atomic.Uint64 // connections so far

	mu    sync.Mutex
	conns map[*conn]struct{}
	ended bool // new connections are told to go elsewhere
}

// Configure makes the server answer HTTP/2 over TLS through this package. It must be
// called before the server is started.
func Configure(s *http.Server, o Options) {
	srv := newServer(s, o)
	if s.TLSNextProto == nil {
		s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	s.TLSNextProto[xhttp2.NextProtoTLS] = func(_ *http.Server, c *tls.Conn, h http.Handler) {
		ctx := context.Background()
		if b, ok := h.(interface{ BaseContext() context.Context }); ok {
			ctx = b.BaseContext() // with the values of BaseContext and ConnContext
		}
		state := c.ConnectionState()
		srv.serve(ctx, c, &state, h)
	}
	s.RegisterOnShutdown(srv.shutdown)
}

func newServer(s *http.Server, o Options) *server {
	srv := &server{http: s, Options: o.withDefaults(s), conns: map[*conn]struct{}{}}
	srv.maxHeader = s.MaxHeaderBytes
	if srv.maxHeader <= 0 {
		srv.maxHeader = http.DefaultMaxHeaderBytes
	}
	srv.maxHeader += 10 * 32 // as net/http: HPACK counts 32 bytes for each header
	return srv
}

func (o Options) withDefaults(s *http.Server) Options {
	var h http.HTTP2Config
	if s.HTTP2 != nil {
		h = *s.HTTP2
	}
	pick := func(values ...int) int {
		for _, v := range values {
			if v > 0 {
				return v
			}
		}
		return 0
	}
	o.MaxStreams = pick(o.MaxStreams, h.MaxConcurrentStreams, 250)
	o.StreamWindow = min(pick(o.StreamWindow, h.MaxReceiveBufferPerStream, 1<<20), maxWindow)
	o.ConnWindow = min(max(pick(o.ConnWindow, h.MaxReceiveBufferPerConnection, 4<<20), firstWindow), maxWindow)
	o.MaxFrame = min(max(pick(o.MaxFrame, h.MaxReadFrameSize, 1<<20), firstFrame), 1<<24-1)
	if o.StuckTime <= 0 {
		o.StuckTime = h.WriteByteTimeout
	}
	if o.StuckTime <= 0 {
		o.StuckTime = 30 * time.Second
	}
	if o.ErrorLog == nil {
		o.ErrorLog = s.ErrorLog
	}
	return o
}

// idleTime is how long a connection without requests is kept; 0: for ever.
func (s *server) idleTime() time.Duration {
	if s.http.IdleTimeout != 0 {
		return max(0, s.http.IdleTimeout)
	}
	return max(0, s.http.ReadTimeout)
}

// serve answers the requests of one connection until it ends.
func (s *server) serve(ctx context.Context, nc net.Conn, state *tls.ConnectionState, h http.Handler) {
	c := newConn(s, ctx, nc, state, h)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	ended := s.ended
	s.mu.Unlock()
	s.workers.connected(1)
	defer func() {
		s.workers.connected(-1)
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	c.serve(ended)
}

// shutdown lets what is under way finish, and nothing begin.
func (s *server) shutdown() {
	s.mu.Lock()
	s.ended = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		c.retire()
		c.mu.Unlock()
	}
}

func (s *server) logf(format string, args ...any) {
	if s.ErrorLog != nil {
		s.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
