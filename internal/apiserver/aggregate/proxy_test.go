package aggregate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/auth"
)

// TestPassedOn looks at a request from the backend's side.
func TestPassedOn(t *testing.T) {
	var got *http.Request
	c := available(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Audit-Id", "audit-of-the-backend")
		w.Header().Set("Cache-Control", "max-age=1")
		w.Header().Set("X-Kubernetes-Pf-Flowschema-Uid", "f")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "done")
	})
	res, body := c.get(thePath+"/namespaces/a%2Fb/pods?limit=5&labelSelector=a%3Db;x=%zz&watch=",
		"Authorization", "Bearer secret", "X-Remote-User", "root", "x-remote-group", "system:masters", "X-Remote-Extra-Scopes", "all", "X_remote_user", "root", "X-Remote-Uid", "0",
		"Impersonate-User", "root", "Impersonate-Extra-A", "b", "Connection", "X-Remote-User, X-Custom", "X-Custom", "1", "X-Forwarded-For", "1.2.3.4", "Accept", "application/json", "Te", "trailers")
	if res.StatusCode != 202 || body != "done" {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if got.Proto != "HTTP/2.0" || got.Host != "10.96.0.10:443" {
		t.Errorf("%s to %s", got.Proto, got.Host)
	}
	if p := got.URL.EscapedPath(); p != thePath+"/namespaces/a%2Fb/pods" {
		t.Errorf("path %s", p)
	}
	if got.URL.RawQuery != "limit=5&watch=" {
		t.Errorf("query %s", got.URL.RawQuery)
	}
	if n := got.TLS.PeerCertificates[0].Subject.CommonName; n != "front-proxy-client" {
		t.Errorf("certificate of %s", n)
	}
	want := http.Header{
		"X-Remote-User": {"jane"}, "X-Remote-Uid": {"1234"}, "X-Remote-Group": {"dev", "system:authenticated"}, "X-Remote-Extra-Scopes%2fa%25": {"x", "y"},
		"X-Forwarded-For": {"127.0.0.1"}, "Audit-Id": {"audit-1"}, "Accept": {"application/json"}, "Te": {"trailers"},
	}
	got.Header.Del("Accept-Encoding")
	got.Header.Del("User-Agent")
	if !reflect.DeepEqual(got.Header, want) {
		t.Errorf("got  %v\nwant %v", got.Header, want)
	}
	if h := res.Header; h.Get("Access-Control-Allow-Origin") != "" || !reflect.DeepEqual(h["Audit-Id"], []string{"audit-1"}) || !reflect.DeepEqual(h["Cache-Control"], []string{"max-age=1"}) || h.Get("X-Kubernetes-Pf-Flowschema-Uid") != "f" {
		t.Errorf("%v", h)
	}
}

// TestUsers: who asks is told as it is, or not at all.
func TestUsers(t *testing.T) {
	var got string
	c := available(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("X-Remote-User") })
	for _, tc := range []struct {
		user *auth.User
		code int
		body string
	}{
		{&auth.User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}, 200, ""},
		{&auth.User{Name: "Jürgen"}, 200, ""},
		{nil, 500, "missing user\n"},
		{&auth.User{}, 500, "the user has no name\n"},
		{&auth.User{Name: " admin"}, 500, "\" admin\" cannot be told to another server\n"},
		{&auth.User{Name: "a\nX-Remote-Group: system:masters"}, 500, ""},
		{&auth.User{Name: "a", Groups: []string{"system:masters\t"}}, 500, ""},
		{&auth.User{Name: "a", Extra: map[string][]string{"k": {"\x00"}}}, 500, ""},
	} {
		c.user, got = tc.user, ""
		res, body := c.get(thePath + "/pods")
		if res.StatusCode != tc.code || tc.body != "" && body != tc.body || tc.code != 200 && got != "" || tc.code == 200 && got != tc.user.Name {
			t.Errorf("%+v: %d %q, the backend saw %q", tc.user, res.StatusCode, body, got)
		}
	}
}

// TestRedirects: nobody is sent anywhere.
func TestRedirects(t *testing.T) {
	c := available(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/same") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Set-Cookie", "a=b")
		http.Redirect(w, r, "https://169.254.169.254/latest", 307)
	})
	c.dialed = nil
	res, body := c.get(thePath + "/pods")
	if res.StatusCode != 502 || body != "the backend attempted to redirect this request, which is not permitted" || res.Header.Get("Location") != "" || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
	}
	if res, _ := c.get(thePath + "/same"); res.StatusCode != 304 {
		t.Error(res.Status)
	}
	for _, d := range c.dialed {
		if d != theAddress+":443" {
			t.Error(d)
		}
	}
}

// TestSteps: a path that means another one is nobody's.
func TestSteps(t *testing.T) {
	asked := false
	c := available(t, func(http.ResponseWriter, *http.Request) { asked = true })
	for _, p := range []string{"/../../../openapi/v2", "/pods/%2e%2e/x", "/pods/.", "/a%2f..%2fb"} {
		r := httptest.NewRequest(http.MethodGet, thePath+p, nil)
		w := httptest.NewRecorder()
		c.serve(w, r)
		if w.Code != 404 || asked {
			t.Errorf("%s: %d", p, w.Code)
		}
	}
}

// upgrade sends an upgrade request to the front door and returns the connection after the head of the answer.
func (c *cluster) upgrade(protocol string, extra ...string) (net.Conn, *bufio.Reader, *http.Response) {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.front.Listener.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "GET %s/pods/a/exec HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Remote-User: root\r\n%s\r\n", thePath, protocol, strings.Join(extra, ""))
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
	if err != nil {
		c.t.Fatal(err)
	}
	return conn, br, res
}

// switching echoes what comes over a connection that became another protocol.
func switching(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" || r.ProtoMajor != 1 || r.Header.Get("X-Remote-User") != "jane" {
		http.Error(w, "no upgrade", http.StatusBadRequest)
		return
	}
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	io.Copy(conn, rw)
}

func TestUpgrade(t *testing.T) {
	c := available(t, switching)
	for _, p := range []string{"websocket", "SPDY/3.1"} {
		conn, br, res := c.upgrade(p)
		if res.StatusCode != 101 || !strings.EqualFold(res.Header.Get("Upgrade"), p) {
			t.Fatal(res.Status)
		}
		fmt.Fprint(conn, "hello\n")
		if line, err := br.ReadString('\n'); line != "hello\n" {
			t.Errorf("%q %v", line, err)
		}
		conn.Close()
	}
	for _, p := range []string{"h2c", "websocket, h2c", "tls/1.0"} {
		_, _, res := c.upgrade(p)
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 400 || string(body) != "no upgrade\n" {
			t.Errorf("%s: %s %s", p, res.Status, body)
		}
	}
	// What lasts ends with the server, not before.
	_, br, res := c.upgrade("websocket")
	if res.StatusCode != 101 {
		t.Fatal(res.Status)
	}
	c.a.Drain()
	if _, err := br.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

// TestUpgradeDeadline: the end of a request's time is not the end of the connection that it became.
func TestUpgradeDeadline(t *testing.T) {
	c := available(t, switching)
	expired := make(chan struct{})
	c.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		context.AfterFunc(ctx, func() { close(expired) })
		c.serve(w, r.WithContext(ctx))
	})
	conn, br, _ := c.upgrade("websocket")
	<-expired
	fmt.Fprint(conn, "still\n")
	if line, err := br.ReadString('\n'); line != "still\n" {
		t.Errorf("%q %v", line, err)
	}
}

// TestFailedUpgrade: an upgrade that fails leaves no connection behind over which anything else could be said (CVE-2018-1002105).
func TestFailedUpgrade(t *testing.T) {
	var mu sync.Mutex
	requests := 0
	c := available(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		requests++
		mu.Unlock()
		http.Error(w, "forbidden", http.StatusForbidden)
	})
	conn, br, res := c.upgrade("websocket")
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 403 || string(body) != "forbidden\n" {
		t.Errorf("%s %s", res.Status, body)
	}
	// The connection is still one to the front door: what is sent on it is a request there, of whoever that says it is of.
	fmt.Fprintf(conn, "GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nX-Remote-User: root\r\n\r\n")
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != http.StatusTeapot {
		t.Errorf("%v %v", res, err)
	}
	if requests != 1 {
		t.Errorf("the backend saw %d requests", requests)
	}
}

// TestUnaskedSwitch: a backend that turns a plain request's connection into another one gets nowhere.
func TestUnaskedSwitch(t *testing.T) {
	c := newCluster(t, service(), endpoints(true))
	c.old = true
	closed := make(chan error, 1)
	c.serveBackend(theAddress, metrics(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			closed <- err
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, err = rw.ReadByte()
		closed <- err
	}))
	c.put(c.apiService())
	c.run().await("Passed")
	res, body := c.get(thePath + "/pods")
	if res.StatusCode != 503 || body != "invalid upgrade response: nobody asked for an upgrade\n" {
		t.Errorf("%s %q", res.Status, body)
	}
	if err := <-closed; err != io.EOF {
		t.Errorf("the connection lives: %v", err)
	}
}

func TestUpgradeAnswered(t *testing.T) {
	c := available(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "no thanks") })
	_, _, res := c.upgrade("websocket")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 503 || string(body) != "invalid upgrade response: status code 200\n" {
		t.Errorf("%s %q", res.Status, body)
	}
}

// TestWatch: events come when they happen, trailers at the end, and all ends with the server.
func TestWatch(t *testing.T) {
	next := make(chan string)
	c := available(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-End")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for s := range next {
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-End", "yes")
	})
	res, err := c.front.Client().Get(c.front.URL + thePath + "/pods?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	br := bufio.NewReader(res.Body)
	for _, s := range []string{"one\n", "two\n"} {
		next <- s
		if line, err := br.ReadString('\n'); line != s {
			t.Fatalf("%q %v", line, err)
		}
	}
	close(next)
	if _, err := br.ReadByte(); err != io.EOF || res.Trailer.Get("X-End") != "yes" {
		t.Errorf("%v %v", err, res.Trailer)
	}
	next = make(chan string)
	defer close(next)
	if res, err = c.front.Client().Get(c.front.URL + thePath + "/pods?watch=true"); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	c.a.Drain()
	if _, err := res.Body.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on")
	}
}

// TestSlow: a backend that never answers takes no more time than the request has.
func TestSlow(t *testing.T) {
	hang := make(chan struct{})
	c := available(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	defer close(hang)
	c.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		defer cancel()
		c.serve(w, r.WithContext(ctx))
	})
	res, body := c.get(thePath + "/pods")
	if res.StatusCode != 504 || res.Header.Get("Content-Type") != "application/json" ||
		body != `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}`+"\n" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// TestDown: a backend that has just gone is told as it is, while its status still says otherwise.
func TestDown(t *testing.T) {
	c := available(t, nil)
	c.stop()
	<-c.ended
	c.stop = nil
	c.route(theAddress+":443", "")
	c.server.CloseClientConnections()
	res, body := c.get(thePath + "/pods")
	if res.StatusCode != 503 || body != "dial tcp 10.96.0.10:443: connect: connection refused\n" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	c.remove(service())
	if res, body := c.get(thePath + "/pods"); res.StatusCode != 503 || body != "service unavailable\n" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

// TestBody: what clients send arrives as it is, however much.
func TestBody(t *testing.T) {
	c := available(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %d %s", r.Method, n, r.Header.Get("Content-Type"))
	})
	const size = 8 << 20
	res, err := c.front.Client().Post(c.front.URL+thePath+"/pods", "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); string(b) != fmt.Sprintf("POST %d application/octet-stream", size) {
		t.Errorf("%s", b)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestTrustChanges: a bundle that is exchanged holds for the next request.
func TestTrustChanges(t *testing.T) {
	c := available(t, func(http.ResponseWriter, *http.Request) {})
	o := c.apiService()
	o.Spec.CABundle = c.proxy.pem
	c.put(o)
	c.await("FailedDiscoveryCheck")
	if res, _ := c.get(thePath + "/pods"); res.StatusCode != 503 {
		t.Error(res.Status)
	}
	c.put(c.apiService())
	c.await("Passed")
	if res, _ := c.get(thePath + "/pods"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

// TestAtOnce: requests go on while APIServices come and go. Run with -race.
func TestAtOnce(t *testing.T) {
	c := available(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				w := httptest.NewRecorder()
				c.serve(w, httptest.NewRequest(http.MethodGet, thePath+"/pods", nil))
				switch w.Code {
				case 200, 503, http.StatusTeapot:
				default:
					t.Errorf("%d %s", w.Code, w.Body)
				}
				c.a.Groups()
				c.a.Order(gvs("v1", "apps/v1"), nil)
				c.a.OpenAPIV2(t.Context())
			}
		})
	}
	for range 20 {
		c.remove(c.apiService())
		o := c.apiService()
		c.put(o)
		c.await("Passed")
		o = o.DeepCopy()
		o.Spec.CABundle, o.Spec.InsecureSkipTLSVerify = nil, true
		c.put(o)
		c.awaitObject(theName, func(o *apiregistrationv1.APIService) bool { return o != nil && len(o.Status.Conditions) > 0 })
	}
	close(done)
	wg.Wait()
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTwice: only what reads is asked again, and only when the connection was gone.
func TestTwice(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	reset := &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	for _, c := range []struct {
		name, method string
		body         io.Reader
		ctx          context.Context
		err          error
		times        int
	}{
		{"an answer", "GET", nil, t.Context(), nil, 1},
		{"a connection that was reset", "GET", nil, t.Context(), reset, 2},
		{"a connection that ended", "HEAD", nil, t.Context(), fmt.Errorf("http2: %w", io.ErrUnexpectedEOF), 2},
		{"nobody there", "GET", nil, t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, 1},
		{"nobody waits", "GET", nil, over, reset, 1},
		{"a read with a body", "GET", strings.NewReader("{}"), t.Context(), reset, 1},
		{"a write", "POST", nil, t.Context(), reset, 1},
		{"a deletion", "DELETE", nil, t.Context(), reset, 1},
	} {
		times := 0
		transport := twice{transportFunc(func(*http.Request) (*http.Response, error) {
			if times++; c.err != nil {
				return nil, c.err
			}
			return &http.Response{StatusCode: http.StatusOK}, nil
		})}
		r, err := http.NewRequestWithContext(c.ctx, c.method, "https://backend/", c.body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(r); err != c.err || times != c.times {
			t.Errorf("%s: %v after %d times", c.name, err, times)
		}
	}
}
