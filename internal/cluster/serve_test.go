package cluster

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener for connections in memory, without any buffer.
type pipes struct {
	c    chan net.Conn
	once sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	if c, ok := <-l.c; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.c) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Clients that are too slow lose their connection, whatever they are slow with.
func TestSlowClients(t *testing.T) {
	for _, tc := range []struct {
		name, sent string
		after      time.Duration
	}{
		{"headers", "GET / HTTP/1.1\r\nHost: x\r\n", headerTime},
		{"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", readTime},
		{"answer", "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", writeTime},
		{"next request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", idleTime},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Duration, 1)
				began := time.Now()
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					if r.URL.Path == "/large" {
						io.WriteString(w, strings.Repeat("x", 1<<20))
						ended <- time.Since(began)
					}
				})
				srv := newHTTPServer(&pki{authority: authority{caCert: &x509.Certificate{}}}, h, slog.New(slog.DiscardHandler))
				l := &pipes{c: make(chan net.Conn)}
				done := make(chan struct{})
				go func() { srv.Serve(l); close(done) }()
				a, b := net.Pipe()
				l.c <- a
				go fmt.Fprint(b, tc.sent)
				var took time.Duration
				if tc.name == "answer" {
					took = <-ended
				} else {
					io.Copy(io.Discard, b) // until the server closes
					took = time.Since(began)
				}
				if took < tc.after || took > tc.after+time.Second {
					t.Errorf("after %s, want %s", took, tc.after)
				}
				b.Close()
				srv.Close()
				<-done
			})
		})
	}
}
