package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// logged gathers what a server logs.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server with this package's HTTP/2.
func start(t testing.TB, h http.HandlerFunc, how ...func(*http.Server)) (*httptest.Server, *logged) {
	t.Helper()
	ts := httptest.NewUnstartedServer(h)
	out := new(logged)
	ts.Config.ErrorLog = log.New(out, "", 0)
	for _, f := range how {
		f(ts.Config)
	}
	Configure(ts.Config, Options{})
	ts.EnableHTTP2 = true
	ts.Listener = Listen(ts.Listener)
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return ts, out
}

// clients are those that must be able to talk to the server.
func clients(t *testing.T, ts *httptest.Server, test func(*testing.T, *http.Client)) {
	t.Run("net/http", func(t *testing.T) { test(t, ts.Client()) })
	t.Run("x/net", func(t *testing.T) {
		tr := &xhttp2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer tr.CloseIdleConnections()
		test(t, &http.Client{Transport: tr})
	})
}

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestRequest(t *testing.T) {
	type key struct{}
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Method, r.Proto, r.ProtoMajor, r.Host == r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer).String(), r.URL.Path, r.URL.RawQuery, r.RequestURI)
		fmt.Fprintln(w, r.TLS.NegotiatedProtocol, r.RemoteAddr != "", r.Context().Value(key{}), r.Context().Value(http.ServerContextKey) != nil)
		fmt.Fprintln(w, r.ContentLength, r.Body == http.NoBody, r.Header.Get("X-Custom-Header"), r.Header["Cookie"], r.Header["Host"])
	}, func(s *http.Server) {
		s.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), key{}, "base") }
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		r, _ := http.NewRequest("GET", ts.URL+"/a/b%20c?x=1", nil)
		r.Header.Set("x-custom-header", "v")
		r.AddCookie(&http.Cookie{Name: "a", Value: "1"})
		r.AddCookie(&http.Cookie{Name: "b", Value: "2"})
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		want := "GET HTTP/2.0 2 true /a/b c x=1 /a/b%20c?x=1\nh2 true base true\n0 true v [a=1; b=2] []\n"
		if string(b) != want {
			t.Errorf("have %q\nwant %q", b, want)
		}
		if res.ProtoMajor != 2 || res.ContentLength != int64(len(want)) || res.Header.Get("Date") == "" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%v %v %v", res.Proto, res.ContentLength, res.Header)
		}
	})
}

func TestAnswers(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB
	tests := []struct {
		name    string
		method  string
		handler http.HandlerFunc
		code    int
		body    string
		length  int64
		header  map[string]string
	}{
		{"empty", "GET", func(w http.ResponseWriter, r *http.Request) {}, 200, "", 0, map[string]string{"Content-Type": "", "Content-Length": "0"}},
		{"status", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(418) }, 418, "", 0, nil},
		{"first status counts", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); w.WriteHeader(200) }, 404, "", 0, nil},
		{"no content", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}, 204, "", 0, map[string]string{"Content-Length": ""}},
		{"not modified", "GET", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Etag", `"1"`); w.WriteHeader(304) }, 304, "", 0, map[string]string{"Etag": `"1"`}},
		{"sniffed", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, 200, "<html>", 6, map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{"not sniffed", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		}, 200, "<html>", 6, map[string]string{"Content-Type": ""}},
		{"encoded", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "<html>")
		}, 200, "<html>", 6, map[string]string{"Content-Type": ""}},
		{"own date", "GET", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Date", "never") }, 200, "", 0, map[string]string{"Date": "never"}},
		{"headers of connections", "GET", func(w http.ResponseWriter, r *http.Request) {
			for _, k := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
				w.Header().Set(k, "x")
			}
			w.Header().Set("Bad Name", "x")
			w.Header().Set("Bad-Value", "a\nb")
		}, 200, "", 0, map[string]string{"Connection": "", "Keep-Alive": "", "Transfer-Encoding": "", "Upgrade": "", "Bad-Value": ""}},
		{"many headers", "GET", func(w http.ResponseWriter, r *http.Request) {
			for i := range 400 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 300))
			}
		}, 200, "", 0, map[string]string{"X-399": strings.Repeat("x", 300)}},
		{"flushed", "GET", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			w.Header().Set("Late", "x")
			io.WriteString(w, "b")
		}, 200, "ab", -1, map[string]string{"Late": ""}},
		{"long", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) }, 200, big, -1, nil},
		{"long by pieces", "GET", func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(big); i += 1 << 10 {
				io.WriteString(w, big[i:i+1<<10])
			}
		}, 200, big, -1, nil},
		{"declared", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			w.Write([]byte(big))
			if _, err := w.Write([]byte("x")); err != http.ErrContentLength {
				panic(err)
			}
		}, 200, big, int64(len(big)), nil},
		{"bad length", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "many")
			io.WriteString(w, "abc")
		}, 200, "abc", 3, nil},
		{"head", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, 200, "", 6, map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{"head declared", "HEAD", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "77") }, 200, "", 77, nil},
		{"head long", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) }, 200, "", int64(len(big)), nil},
		{"head flushed", "HEAD", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			if r.Context().Err() != nil {
				panic("ended before its handler")
			}
			io.WriteString(w, "b")
		}, 200, "", -1, nil},
		{"head with a body", "HEAD+", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() }, 200, "", -1, nil},
		{"trailers", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "A, B")
			io.WriteString(w, "x")
			w.Header().Set("A", "1")
			w.Header().Set(http.TrailerPrefix+"C", "3")
		}, 200, "x", 1, map[string]string{"trailer:A": "1", "trailer:C": "3", "trailer:B": ""}},
		{"only trailers", "GET", func(w http.ResponseWriter, r *http.Request) { w.Header().Set(http.TrailerPrefix+"C", "3") }, 200, "", 0, map[string]string{"trailer:C": "3"}},
		{"early hints", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</x>")
			w.WriteHeader(103)
			io.WriteString(w, "x")
		}, 200, "x", 1, nil},
	}
	ts, out := start(t, func(w http.ResponseWriter, r *http.Request) {
		for _, test := range tests {
			if r.Header.Get("Test") == test.name {
				test.handler(w, r)
			}
		}
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				method, more := strings.CutSuffix(test.method, "+")
				r, _ := http.NewRequest(method, ts.URL, nil)
				if more {
					r, _ = http.NewRequest(method, ts.URL, struct{ io.Reader }{strings.NewReader("body")})
				}
				r.Header.Set("Test", test.name)
				res, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != test.code || string(b) != test.body || res.ContentLength != test.length {
					t.Errorf("have %d, %d bytes, length %d: %v", res.StatusCode, len(b), res.ContentLength, res.Header)
				}
				for k, want := range test.header {
					have := res.Header.Get(k)
					if name, ok := strings.CutPrefix(k, "trailer:"); ok {
						have = res.Trailer.Get(name)
					}
					if have != want {
						t.Errorf("%s is %q, want %q", k, have, want)
					}
				}
			})
		}
	})
	if out.String() != "" {
		t.Error(out)
	}
}

func TestBodies(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			b, err := io.ReadAll(r.Body)
			if err != nil {
				panic(err)
			}
			w.Header().Set("Length", fmt.Sprint(r.ContentLength))
			w.Header().Set("Trailed", r.Trailer.Get("After"))
			w.Write(b)
		case "/stream":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			b := make([]byte, 100)
			for {
				n, err := r.Body.Read(b)
				if n > 0 {
					w.Write(b[:n])
					w.(http.Flusher).Flush()
				}
				if err != nil {
					return
				}
			}
		case "/ignore":
			w.WriteHeader(413)
		case "/close":
			r.Body.Close()
			if _, err := r.Body.Read(make([]byte, 1)); err == nil || err == io.EOF {
				panic(err)
			}
			io.WriteString(w, "closed")
		}
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		for _, size := range []int{0, 1, 4095, 4096, 4097, 16 << 10, 100 << 10, 3 << 20, 20 << 20} {
			for _, known := range []bool{true, false} {
				want := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
				var body io.Reader = bytes.NewReader(want)
				if !known {
					body = struct{ io.Reader }{body}
				}
				r, _ := http.NewRequest("POST", ts.URL+"/echo", body)
				if !known {
					r.Trailer = http.Header{"After": nil}
					r.Trailer.Set("After", "all")
				}
				res, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || !bytes.Equal(b, want) {
					t.Fatal(size, known, len(b), err)
				}
				if known && res.Header.Get("Length") != fmt.Sprint(size) || !known && res.Header.Get("Trailed") != "all" {
					t.Error(size, known, res.Header)
				}
			}
		}
		t.Run("both ways", func(t *testing.T) {
			pr, pw := io.Pipe()
			r, _ := http.NewRequest("POST", ts.URL+"/stream", pr)
			res, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			for i := range 50 {
				said := fmt.Sprint("message ", i)
				io.WriteString(pw, said)
				b := make([]byte, len(said))
				if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != said {
					t.Fatal(string(b), err)
				}
			}
			pw.Close()
			if b, err := io.ReadAll(res.Body); err != nil || len(b) > 0 {
				t.Error(b, err)
			}
		})
		for _, path := range []string{"/ignore", "/close"} {
			for range 20 { // more than the connection's window in all
				res, err := c.Post(ts.URL+path, "", bytes.NewReader(make([]byte, 800<<10)))
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
		// The window is still there.
		res, err := c.Post(ts.URL+"/echo", "", bytes.NewReader(make([]byte, 5<<20)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if n, err := io.Copy(io.Discard, res.Body); n != 5<<20 || err != nil {
			t.Error(n, err)
		}
	})
}

func TestContinue(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/yes" {
			b, _ := io.ReadAll(r.Body)
			w.Write(b)
		} else {
			w.WriteHeader(417)
		}
	})
	tr := ts.Client().Transport.(*http.Transport)
	tr.ExpectContinueTimeout = time.Minute
	for path, code := range map[string]int{"/yes": 200, "/no": 417} {
		r, _ := http.NewRequest("POST", ts.URL+path, strings.NewReader("body"))
		r.Header.Set("Expect", "100-continue")
		res, err := ts.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != code {
			t.Error(path, res.Status)
		}
	}
}

func TestConcurrent(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		for range 10 {
			w.Write(b)
			if len(b)%2 == 0 {
				w.(http.Flusher).Flush()
			}
		}
	})
	clients(t, ts, func(t *testing.T, c *http.Client) {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for j := range 20 {
					want := bytes.Repeat([]byte{byte(i)}, 1+(i*977+j*7919)%40000)
					res, err := c.Post(ts.URL, "", bytes.NewReader(want))
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || !bytes.Equal(b, bytes.Repeat(want, 10)) {
						t.Error(len(b), err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestMain sees that nothing of the package is left when all servers are gone.
func TestMain(m *testing.M) {
	code := m.Run()
	var left string
	tick := time.NewTicker(10 * time.Millisecond)
	for begun := time.Now(); time.Since(begun) < time.Minute; <-tick.C {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = ""
		for g := range strings.SplitSeq(string(buf), "\n\n") {
			if strings.Contains(g, "internal/http2.(*") && !strings.Contains(g, "TestMain") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			os.Exit(code)
		}
	}
	fmt.Fprintln(os.Stderr, "goroutines left:\n"+left)
	os.Exit(1)
}
