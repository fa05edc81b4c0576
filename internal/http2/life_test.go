package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

func TestCancel(t *testing.T) {
	ended := make(chan error, 1)
	began := make(chan struct{}, 1)
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		began <- struct{}{}
		<-r.Context().Done()
		_, err := w.Write(make([]byte, 10<<10))
		ended <- err
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, "GET", ts.URL, nil)
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		<-began
		cancel()
		if err := <-ended; err == nil {
			t.Error("wrote to nobody")
		}
		res.Body.Close()
	})
	t.Run("lost connection", func(t *testing.T) {
		res, err := ts.Client().Get(ts.URL)
		if err != nil {
			t.Fatal(err)
		}
		<-began
		ts.CloseClientConnections()
		if err := <-ended; err == nil {
			t.Error("wrote to nobody")
		}
		res.Body.Close()
	})
}

func TestDeadlines(t *testing.T) {
	result := make(chan error, 1)
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		var err error
		switch r.URL.Path {
		case "/read":
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, err = r.Body.Read(make([]byte, 1))
			io.WriteString(w, "too late")
		case "/read past":
			c.SetReadDeadline(time.Unix(1, 0))
			_, err = r.Body.Read(make([]byte, 1))
		case "/write":
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			for err == nil {
				_, err = w.Write(make([]byte, 64<<10)) // until the client's window is full
			}
		case "/write past":
			c.Flush()
			c.SetWriteDeadline(time.Unix(1, 0))
			err = c.Flush()
		case "/write from elsewhere":
			time.AfterFunc(20*time.Millisecond, func() { c.SetWriteDeadline(time.Unix(1, 0)) })
			for err == nil {
				_, err = w.Write(make([]byte, 64<<10))
			}
		case "/none":
			c.SetWriteDeadline(time.Now().Add(time.Minute))
			c.SetWriteDeadline(time.Time{})
			c.SetReadDeadline(time.Now().Add(time.Minute))
			c.SetReadDeadline(time.Time{})
			if err = c.EnableFullDuplex(); err == nil {
				_, _, err = c.Hijack()
			}
		}
		result <- err
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		for _, path := range []string{"/read", "/read past", "/write", "/write past", "/write from elsewhere"} {
			t.Run(path, func(t *testing.T) {
				pr, pw := io.Pipe()
				defer pw.Close()
				r, _ := http.NewRequest("POST", ts.URL+strings.ReplaceAll(path, " ", "%20"), pr)
				res, err := c.Do(r)
				if have := <-result; !errors.Is(have, os.ErrDeadlineExceeded) {
					t.Error(have)
				}
				if err == nil {
					b, err := io.ReadAll(res.Body)
					if strings.HasPrefix(path, "/write") && err == nil {
						t.Errorf("read %d bytes as the whole", len(b))
					}
					if path == "/read" && string(b) != "too late" {
						t.Error(string(b), err)
					}
					res.Body.Close()
				}
			})
		}
		get(t, c, ts.URL+"/none")
		if err := <-result; !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
	})
}

// pipes is a listener for connections in memory.
type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipes) Close() error   { close(l); return nil }
func (l pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestServerTimes: the times of a server hold for its requests, on a clock of the test's own:
// net/http gives the TLS handshake no more than the shortest of them.
func TestServerTimes(t *testing.T) {
	ts := httptest.NewTLSServer(nil)
	// Without tickets: the server would send them to a client that does not read yet.
	config := &tls.Config{Certificates: ts.TLS.Certificates, NextProtos: []string{"h2"}, SessionTicketsDisabled: true}
	ts.Close()
	synctest.Test(t, func(t *testing.T) {
		result := make(chan error, 1)
		hs := &http.Server{ReadTimeout: 20 * time.Second, WriteTimeout: 40 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var err error
			for err == nil && r.Method == "POST" {
				_, err = r.Body.Read(make([]byte, 1))
			}
			for err == nil {
				_, err = w.Write(make([]byte, 64<<10))
			}
			result <- err
		})}
		Configure(hs, Options{})
		l, served := make(pipes), make(chan struct{})
		go func() { defer close(served); hs.Serve(tls.NewListener(l, config)) }()
		tr := &xhttp2.Transport{DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) {
			ours, theirs := net.Pipe()
			l <- theirs
			c := tls.Client(ours, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			return c, c.HandshakeContext(ctx)
		}}
		c := &http.Client{Transport: tr}
		after := func(want time.Duration, ask func() (*http.Response, error)) {
			t.Helper()
			began := time.Now()
			res, err := ask()
			if have := <-result; !errors.Is(have, os.ErrDeadlineExceeded) || time.Since(began) != want {
				t.Errorf("after %v, want %v: %v (%v)", time.Since(began), want, have, err)
			}
			if err == nil {
				res.Body.Close()
			}
		}
		pr, pw := io.Pipe()
		after(hs.ReadTimeout, func() (*http.Response, error) { return c.Post("https://a/", "", pr) })
		pw.Close()
		after(hs.WriteTimeout, func() (*http.Response, error) { return c.Get("https://a/") })
		tr.CloseIdleConnections()
		hs.Close()
		<-served
	})
}

func TestPanics(t *testing.T) {
	ts, out := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			io.WriteString(w, "never sent")
			panic("oh no")
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/short":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "12345")
		}
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		for _, path := range []string{"/panic", "/abort", "/short"} {
			res, err := c.Get(ts.URL + path)
			if err == nil {
				b, err := io.ReadAll(res.Body)
				if err == nil {
					t.Errorf("%s: %q", path, b)
				}
				res.Body.Close()
			}
		}
		get(t, c, ts.URL+"/fine")
	})
	if n := strings.Count(out.String(), "http2: panic serving 127.0.0.1:"); n != 2 || !strings.Contains(out.String(), "oh no") {
		t.Error(out)
	}
}

func TestShutdown(t *testing.T) {
	began, proceed := make(chan struct{}), make(chan struct{})
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(began)
			<-proceed
		}
		io.WriteString(w, "done")
	})
	get(t, ts.Client(), ts.URL)
	answer := make(chan string)
	go func() {
		_, b := get(t, ts.Client(), ts.URL+"/slow")
		answer <- b
	}()
	<-began
	down := make(chan error)
	go func() { down <- ts.Config.Shutdown(context.Background()) }()
	select {
	case <-down:
		t.Error("down before the request ended")
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	if b := <-answer; b != "done" {
		t.Error(b)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestIdle(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {}, func(s *http.Server) { s.IdleTimeout = 20 * time.Millisecond })
	conn, err := tls.Dial("tcp", ts.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// All at once: who writes to a connection that ended loses what is still to be read from it.
	var all bytes.Buffer
	all.WriteString(xhttp2.ClientPreface)
	f := xhttp2.NewFramer(&all, conn)
	f.WriteSettings()
	if _, err := conn.Write(all.Bytes()); err != nil {
		t.Fatal(err)
	}
	goneAway := false
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			break
		}
		if g, ok := fr.(*xhttp2.GoAwayFrame); ok && g.ErrCode == xhttp2.ErrCodeNo {
			goneAway = true
		}
	}
	if !goneAway {
		t.Error("closed without a word")
	}
}

func TestConnectionClose(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, r.RemoteAddr)
	})
	_, a := get(t, ts.Client(), ts.URL)
	_, b := get(t, ts.Client(), ts.URL)
	if a == b {
		t.Error("the same connection twice")
	}
}
