package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// pushable is what an answer offers to who serves many.
type pushable interface {
	Push([]byte) bool
	Kick()
	Line() uint64
}

// pushServer hands out the answers of its requests; each lasts as long as the test.
func pushServer(t *testing.T, listen func(net.Listener) net.Listener) (*httptest.Server, <-chan pushable) {
	t.Helper()
	answers, over := make(chan pushable, 10), make(chan struct{})
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		answers <- w.(pushable)
		<-over
	}))
	Configure(ts.Config, Options{})
	ts.EnableHTTP2 = true
	ts.Listener = listen(ts.Listener)
	ts.StartTLS()
	t.Cleanup(func() { close(over); ts.Close() })
	return ts, answers
}

// portion is recognizable: its number, and bytes that follow from it.
func portion(i int) []byte {
	return append(fmt.Appendf(nil, "%08d ", i), bytes.Repeat([]byte{byte('a' + i%26)}, 1000+i%7000)...)
}

// TestPush: what is pushed arrives, in order, and who pushes never waits for a client
// that does not read, whatever the connection is made of.
func TestPush(t *testing.T) {
	for name, listen := range map[string]func(net.Listener) net.Listener{
		"sockets that need not wait": Listen,
		"others":                     func(l net.Listener) net.Listener { return l },
	} {
		t.Run(name, func(t *testing.T) {
			ts, answers := pushServer(t, listen)
			slow, quick := dial(t, ts.Listener.Addr().String()), dial(t, ts.Listener.Addr().String())
			slow.get("/slow", 1)
			toSlow := <-answers
			quick.get("/quick", 1)
			toQuick := <-answers
			if toSlow.Line() == toQuick.Line() {
				t.Fatal("two connections are one line")
			}
			// The slow one reads nothing until it is given no more.
			sent := 0
			for toSlow.Push(portion(sent)) {
				toSlow.Kick()
				if sent++; sent > 1e5 {
					t.Fatal("there is no end to what a client may leave unread")
				}
			}
			for i := range 100 {
				if !toQuick.Push(portion(i)) {
					t.Fatalf("the quick one takes no piece %d", i)
				}
				toQuick.Kick()
				if got := quick.body(len(portion(i))); !bytes.Equal(got, portion(i)) {
					t.Fatalf("piece %d is %.20q", i, got)
				}
			}
			for i := range sent {
				if got := slow.body(len(portion(i))); !bytes.Equal(got, portion(i)) {
					t.Fatalf("piece %d of %d is %.20q", i, sent, got)
				}
			}
			// It has caught up, and takes more as soon as the server has noticed.
			for end := time.Now().Add(time.Minute); !toSlow.Push(portion(sent)); {
				if time.Now().After(end) {
					t.Fatal("who has caught up is pushed nothing")
				}
				time.Sleep(time.Millisecond)
			}
			toSlow.Kick()
			if got := slow.body(len(portion(sent))); !bytes.Equal(got, portion(sent)) {
				t.Fatalf("after all it is %.20q", got)
			}
		})
	}
}

// body reads n bytes of DATA; frames must end where the n bytes do.
func (r *raw) body(n int) []byte {
	var out []byte
	for len(out) < n {
		f, err := r.ReadFrame()
		if err != nil {
			return []byte(err.Error())
		}
		if d, ok := f.(*xhttp2.DataFrame); ok {
			out = append(out, d.Data()...)
		}
	}
	return out
}

// TestPushRefused: what cannot be sent at once is left to the handler.
func TestPushRefused(t *testing.T) {
	ts, answers := pushServer(t, Listen)
	r := connect(t, ts.Listener.Addr().String())
	r.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 100})
	r.get("/", 1)
	a := <-answers
	if a.Push(make([]byte, 101)) {
		t.Error("more was pushed than the window has")
	}
	if !a.Push(make([]byte, 100)) || a.Push(make([]byte, 1)) {
		t.Error("the window is not what is pushed into")
	}
	if !a.Push(nil) {
		t.Error("nothing at all was refused")
	}
	a.Kick()
	if got := r.body(100); len(got) != 100 {
		t.Errorf("%q", got)
	}
	r.WriteWindowUpdate(1, 1<<20)
	r.WriteWindowUpdate(0, 1<<20)
	for end := time.Now().Add(time.Minute); !a.Push(make([]byte, turn)); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a larger window makes no difference")
		}
	}
	if a.Push(make([]byte, turn+1)) {
		t.Error("a piece of any size was pushed")
	}
	a.Kick()
	r.WriteRSTStream(1, xhttp2.ErrCodeCancel)
	for end := time.Now().Add(time.Minute); a.Push([]byte("x")); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a stream that was reset is pushed to")
		}
	}
	a.Kick() // nothing is left to write
}

// TestPushHead: the answer to a HEAD has no body.
func TestPushHead(t *testing.T) {
	ts, answers := pushServer(t, Listen)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, ts.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go ts.Client().Do(req)
	if (<-answers).Push([]byte("x")) {
		t.Error("a body was pushed")
	}
}

// TestSocket: the bytes that the kernel does not take are kept, in order, and written by who drains.
func TestSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc, err := Listen(l).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s := socketOf(tls.Server(nc, &tls.Config{}))
	if s == nil {
		t.Fatal("TLS hides the socket")
	}
	s.beEager()
	var want []byte
	for i := 0; ; i++ {
		p := portion(i)
		n, err := s.Write(p)
		if want = append(want, p[:n]...); err != nil {
			if err != errBehind {
				t.Fatal(err)
			}
			break
		}
	}
	if !s.behind() || len(s.rest) > maxRest {
		t.Fatalf("%d bytes were kept", len(s.rest))
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for s.behind() {
			if err := s.drain(); err != nil {
				t.Error(err)
			}
		}
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes are not those that were written (%v)", len(want), err)
	}
	<-drained
	nc.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after its deadline a read says %v", err)
	}
	nc.SetReadDeadline(time.Time{})
	go func() {
		time.Sleep(time.Millisecond)
		client.Write([]byte("hello"))
		client.Close()
	}()
	if heard, err := io.ReadAll(nc); err != nil || string(heard) != "hello" {
		t.Errorf("heard %q, %v", heard, err)
	}
	if n, err := nc.Read(nil); n != 0 || err != nil {
		t.Errorf("to read nothing is %d, %v", n, err)
	}
	for err = nil; err == nil; _, err = s.Write(make([]byte, 1<<10)) {
	}
	if e, ok := err.(net.Error); !ok || e.Timeout() {
		t.Errorf("a connection whose other end is gone says %v", err)
	}
	nc.Close()
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after its end a read says %v", err)
	}
}
