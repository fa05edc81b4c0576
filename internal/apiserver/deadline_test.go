package apiserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Requests end in time: what the client asks for, or a minute.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := besiege(t)
		for _, tc := range []struct {
			query string
			code  int
			took  time.Duration
			text  string
		}{
			{"timeout=1s&resourceVersion=999999", 504, time.Second, "Timeout: request did not complete within the allotted timeout"},
			{"timeout=10m&resourceVersion=999999", 504, 3 * time.Second, "Too large resource version"},
			{"timeout=0s", 200, 0, "ConfigMapList"},
			{"timeout=-1s", 200, 0, "ConfigMapList"},
			{"timeout=", 200, 0, "ConfigMapList"},
			{"timeout=soon", 400, 0, `invalid timeout specified in the request URL - time: invalid duration \"soon\"`},
			{"timeout=5", 400, 0, `invalid timeout specified in the request URL - time: missing unit in duration \"5\"`},
		} {
			began := time.Now()
			w := b.do("GET", configMaps+"?"+tc.query, "", "")
			if took := time.Since(began); w.Code != tc.code || took != tc.took || !strings.Contains(w.Body.String(), tc.text) {
				t.Errorf("%s: %d after %s: %s", tc.query, w.Code, took, w.Body)
			}
		}
	})
}

// pipeListener accepts the connections that dial makes: in memory, without any buffer.
type pipeListener struct {
	c    chan net.Conn
	once sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.c
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.c) })
	return nil
}
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial() net.Conn {
	a, b := net.Pipe()
	l.c <- a
	return b
}

// serveOver answers HTTP/1 over pipes, everybody being an administrator.
func serveOver(t *testing.T, s *Server) (*pipeListener, *http.Server) {
	l := &pipeListener{c: make(chan net.Conn)}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, asMasters(r)) })}
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return l, srv
}

// A watcher that does not read is cut off, and takes nothing with it.
func TestDeafWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := besiege(t)
		l, _ := serveOver(t, b.Server)
		conn := l.dial()
		fmt.Fprintf(conn, "GET %s?watch=true HTTP/1.1\r\nHost: x\r\n\r\n", configMaps)
		res, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		synctest.Wait()
		c := b.cache(all.For[*corev1.ConfigMap]())
		if n := c.watching(); n != 1 {
			t.Fatalf("%d watchers", n)
		}
		time.Sleep(time.Hour / 2) // nothing happens for long: that alone is no reason
		if _, err := client.Create(context.Background(), b.Client(auth.System), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stallTime - 1)
		synctest.Wait()
		if n := c.watching(); n != 1 {
			t.Fatalf("%d watchers too early", n)
		}
		time.Sleep(2)
		synctest.Wait()
		if n := c.watching(); n != 0 {
			t.Fatalf("%d watchers after %s", n, stallTime)
		}
		conn.Close()
	})
}

// A server that ends tells that it is not ready, and ends watches as if their time were up.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := besiege(t)
		l, _ := serveOver(t, b.Server)
		conn := l.dial()
		fmt.Fprintf(conn, "GET %s?watch=true&allowWatchBookmarks=true&resourceVersion=%d HTTP/1.1\r\nHost: x\r\n\r\n", configMaps, b.feed.applied.Load())
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/readyz": 200, "/livez": 200, "/readyz/shutdown": 200, "/livez/shutdown": 404} {
			if w := b.do("GET", path, "", ""); w.Code != want {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		b.Drain()
		b.Drain()
		body, err := io.ReadAll(res.Body)
		if err != nil || !strings.HasPrefix(string(body), `{"type":"BOOKMARK"`) {
			t.Errorf("%q %v", body, err)
		}
		w := b.do("GET", "/readyz", "", "")
		if text := w.Body.String(); w.Code != 500 || !strings.Contains(text, "[-]shutdown failed: reason withheld\nreadyz check failed\n") {
			t.Errorf("%d %s", w.Code, text)
		}
		if w := b.do("GET", "/readyz/shutdown", "", ""); w.Code != 500 || w.Body.String() != "internal server error: process is shutting down\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := b.do("GET", "/readyz?exclude=shutdown", "", ""); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := b.do("GET", "/livez", "", ""); w.Code != 200 {
			t.Errorf("livez: %d %s", w.Code, w.Body)
		}
		conn.Close()
	})
}

// What fails after its answer began is broken off, not taken for whole.
func TestBrokenOff(t *testing.T) {
	w := httptest.NewRecorder()
	a := &answer{ResponseWriter: w, r: httptest.NewRequest("GET", "/", nil)}
	a.r.Header.Set("Accept-Encoding", "gzip")
	a.Write(make([]byte, compressFrom))
	a.abandon()
	if a.zip != nil || a.held != nil {
		t.Error("what was borrowed is kept")
	}
	a.finish()
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 100 {
		t.Errorf("%v %d", w.Header(), w.Body.Len())
	}
}

// endedWriter is a response that must not be touched any more.
type endedWriter struct {
	http.ResponseWriter
	ended   atomic.Bool
	touched atomic.Bool
}

func (f *endedWriter) SetWriteDeadline(time.Time) error {
	if f.ended.Load() {
		f.touched.Store(true)
	}
	return nil
}

// A client may stall at the very moment at which its watch ends.
func TestStallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			f := &endedWriter{ResponseWriter: httptest.NewRecorder()}
			var s stall
			s.begin(http.NewResponseController(f))
			time.Sleep(stallTime) // both wake at the same time
			s.end()
			f.ended.Store(true)
			synctest.Wait()
			if f.touched.Load() {
				t.Fatal("touched after its end")
			}
		}
	})
}
