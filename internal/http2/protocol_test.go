package http2

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// raw is a client that says what it is told to.
type raw struct {
	*xhttp2.Framer
	conn net.Conn
	out  bytes.Buffer
	enc  *hpack.Encoder
	addr string
}

// connect opens a connection on which nothing was said yet.
func connect(t testing.TB, addr string) *raw {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	r := &raw{conn: conn, addr: addr}
	r.Framer = xhttp2.NewFramer(conn, bufio.NewReaderSize(conn, 64<<10))
	r.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.out)
	return r
}

// dial is connect and what begins a connection, with windows that do not fill.
func dial(t testing.TB, addr string) *raw {
	r := connect(t, addr)
	r.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.WriteWindowUpdate(0, 1<<30)
	return r
}

func (r *raw) hello(settings ...xhttp2.Setting) {
	io.WriteString(r.conn, xhttp2.ClientPreface)
	r.WriteSettings(settings...)
	r.WriteSettingsAck()
}

func (r *raw) block(fields ...string) []byte {
	r.out.Reset()
	for i := 0; i < len(fields); i += 2 {
		r.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(r.out.Bytes())
}

func (r *raw) request(method, path string, more ...string) []byte {
	return r.block(append([]string{":method", method, ":scheme", "https", ":path", path, ":authority", r.addr}, more...)...)
}

func (r *raw) get(path string, id uint32) {
	r.headers(id, true, r.request("GET", path))
}

func (r *raw) headers(id uint32, end bool, block []byte) {
	r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: block})
}

// outcome reads until something of a stream, or of the connection, is decided.
func (r *raw) outcome() string {
	dec := hpack.NewDecoder(4096, nil)
	status := map[uint32]string{}
	for {
		f, err := r.ReadFrame()
		if err != nil {
			return "closed"
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *xhttp2.HeadersFrame:
			fields, err := dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				return err.Error()
			}
			if fields[0].Name == ":status" {
				status[id] = fields[0].Value
			}
			if f.StreamEnded() {
				return fmt.Sprint("answer ", id, " ", status[id])
			}
		case *xhttp2.DataFrame:
			if f.StreamEnded() {
				return fmt.Sprint("answer ", id, " ", status[id])
			}
		case *xhttp2.RSTStreamFrame:
			return fmt.Sprint("reset ", id, " ", f.ErrCode)
		case *xhttp2.GoAwayFrame:
			return fmt.Sprint("goaway ", f.LastStreamID, " ", f.ErrCode)
		case *xhttp2.PingFrame:
			return fmt.Sprint("ping ", string(f.Data[:]), f.IsAck())
		}
	}
}

// echo reads the body first, so that nothing is answered before it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(400)
		return
	}
	w.Write(b)
}

func TestProtocol(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *raw)
		want string
	}{
		{"get", func(r *raw) { r.get("/", 1) }, "answer 1 200"},
		{"method", func(r *raw) { r.headers(1, true, r.request("PURGE", "/")) }, "answer 1 200"},
		{"asterisk", func(r *raw) { r.headers(1, true, r.request("OPTIONS", "*")) }, "answer 1 200"},
		{"connect", func(r *raw) { r.headers(1, true, r.block(":method", "CONNECT", ":authority", "a:1")) }, "answer 1 200"},
		{"connect with a path", func(r *raw) { r.headers(1, true, r.request("CONNECT", "/")) }, "reset 1 PROTOCOL_ERROR"},
		{"extended connect", func(r *raw) {
			r.headers(1, true, r.block(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "a"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"no method", func(r *raw) { r.headers(1, true, r.block(":scheme", "https", ":path", "/", ":authority", "a")) }, "reset 1 PROTOCOL_ERROR"},
		{"bad method", func(r *raw) { r.headers(1, true, r.request("A B", "/")) }, "reset 1 PROTOCOL_ERROR"},
		{"no path", func(r *raw) { r.headers(1, true, r.request("GET", "")) }, "reset 1 PROTOCOL_ERROR"},
		{"relative path", func(r *raw) { r.headers(1, true, r.request("GET", "x")) }, "reset 1 PROTOCOL_ERROR"},
		{"bad path", func(r *raw) { r.headers(1, true, r.request("GET", "/%zz")) }, "reset 1 PROTOCOL_ERROR"},
		{"scheme", func(r *raw) { r.headers(1, true, r.block(":method", "GET", ":scheme", "ftp", ":path", "/")) }, "reset 1 PROTOCOL_ERROR"},
		{"twice", func(r *raw) { r.headers(1, true, r.request("GET", "/", ":path", "/")) }, "reset 1 PROTOCOL_ERROR"},
		{"late pseudo-header", func(r *raw) {
			r.headers(1, true, r.block(":method", "GET", ":scheme", "https", "a", "b", ":path", "/"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"unknown pseudo-header", func(r *raw) { r.headers(1, true, r.request("GET", "/", ":x", "y")) }, "reset 1 PROTOCOL_ERROR"},
		{"upper case", func(r *raw) { r.headers(1, true, r.request("GET", "/", "Accept", "y")) }, "reset 1 PROTOCOL_ERROR"},
		{"bad name", func(r *raw) { r.headers(1, true, r.request("GET", "/", "a b", "y")) }, "reset 1 PROTOCOL_ERROR"},
		{"bad value", func(r *raw) { r.headers(1, true, r.request("GET", "/", "a", "x\ny")) }, "reset 1 PROTOCOL_ERROR"},
		{"connection header", func(r *raw) { r.headers(1, true, r.request("GET", "/", "connection", "close")) }, "reset 1 PROTOCOL_ERROR"},
		{"te", func(r *raw) { r.headers(1, true, r.request("GET", "/", "te", "trailers")) }, "answer 1 200"},
		{"te of connections", func(r *raw) { r.headers(1, true, r.request("GET", "/", "te", "gzip")) }, "reset 1 PROTOCOL_ERROR"},
		{"host", func(r *raw) { r.headers(1, true, r.request("GET", "/", "host", "other")) }, "reset 1 PROTOCOL_ERROR"},
		{"only host", func(r *raw) {
			r.headers(1, true, r.block(":method", "GET", ":scheme", "https", ":path", "/", "host", "a"))
		}, "answer 1 200"},
		{"user in authority", func(r *raw) {
			r.headers(1, true, r.block(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "u@a"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"length without body", func(r *raw) { r.headers(1, true, r.request("POST", "/", "content-length", "1")) }, "reset 1 PROTOCOL_ERROR"},
		{"bad length", func(r *raw) { r.headers(1, false, r.request("POST", "/", "content-length", "x")) }, "reset 1 PROTOCOL_ERROR"},
		{"two lengths", func(r *raw) {
			r.headers(1, false, r.request("POST", "/", "content-length", "1", "content-length", "2"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"body", func(r *raw) {
			r.headers(1, false, r.request("POST", "/", "content-length", "3"))
			r.WriteData(1, false, []byte("ab"))
			r.WriteDataPadded(1, true, []byte("c"), make([]byte, 100))
		}, "answer 1 200"},
		{"less than declared", func(r *raw) {
			r.headers(1, false, r.request("POST", "/", "content-length", "3"))
			r.WriteData(1, true, []byte("ab"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"more than declared", func(r *raw) {
			r.headers(1, false, r.request("POST", "/", "content-length", "3"))
			r.WriteData(1, false, []byte("abcd"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"trailers", func(r *raw) {
			r.headers(1, false, r.request("POST", "/", "trailer", "a"))
			r.WriteData(1, false, []byte("abcd"))
			r.headers(1, true, r.block("a", "b"))
		}, "answer 1 200"},
		{"trailers that end nothing", func(r *raw) {
			r.headers(1, false, r.request("POST", "/"))
			r.headers(1, false, r.block("a", "b"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"pseudo-header as trailer", func(r *raw) {
			r.headers(1, false, r.request("POST", "/"))
			r.headers(1, true, r.block(":path", "b"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"trailer that cannot be one", func(r *raw) {
			r.headers(1, false, r.request("POST", "/"))
			r.headers(1, true, r.block("content-length", "1"))
		}, "reset 1 PROTOCOL_ERROR"},
		{"headers in pieces", func(r *raw) {
			b := r.request("GET", "/", "long", strings.Repeat("x", 20<<10))
			r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: b[:5], PadLength: 7, Priority: xhttp2.PriorityParam{Weight: 3, StreamDep: 5}})
			r.WriteContinuation(1, false, b[5:100])
			r.WriteContinuation(1, false, nil)
			r.WriteContinuation(1, true, b[100:])
		}, "answer 1 200"},
		{"headers too large", func(r *raw) {
			for i := range 9 {
				// Larger than the limit in all, though not on the wire: the table remembers it.
				b := r.request("GET", "/", "a", strings.Repeat("x", 3000))
				if i == 8 {
					b = append(b, bytes.Repeat(b[len(b)-1:], 400)...)
				}
				r.headers(uint32(2*i+1), true, b)
				if i < 8 {
					r.outcome()
				}
			}
		}, "answer 17 431"},
		{"stream that depends on itself", func(r *raw) {
			r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: r.request("GET", "/"), Priority: xhttp2.PriorityParam{StreamDep: 1}})
		}, "reset 1 PROTOCOL_ERROR"},
		{"priority", func(r *raw) { r.WritePriority(7, xhttp2.PriorityParam{Weight: 1}); r.get("/", 1) }, "answer 1 200"},
		{"unknown frames", func(r *raw) { r.WriteRawFrame(0x77, 0xff, 5, []byte("whatever")); r.get("/", 1) }, "answer 1 200"},
		{"unknown settings", func(r *raw) { r.WriteSettings(xhttp2.Setting{ID: 0x99, Val: 1}); r.get("/", 1) }, "answer 1 200"},
		{"ping", func(r *raw) { r.WritePing(false, [8]byte{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}) }, "ping abcdefghtrue"},
		{"goaway", func(r *raw) { r.WriteGoAway(0, xhttp2.ErrCodeNo, nil) }, "goaway 0 NO_ERROR"},
		{"even stream", func(r *raw) { r.get("/", 2) }, "goaway 0 PROTOCOL_ERROR"},
		{"earlier stream", func(r *raw) { r.get("/", 5); r.outcome(); r.get("/", 3) }, "goaway 5 STREAM_CLOSED"},
		{"continuation alone", func(r *raw) { r.WriteContinuation(1, true, nil) }, "goaway 0 PROTOCOL_ERROR"},
		{"something between", func(r *raw) {
			r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.request("GET", "/")})
			r.WritePing(false, [8]byte{})
		}, "goaway 0 PROTOCOL_ERROR"},
		{"push promise", func(r *raw) { r.WriteRawFrame(xhttp2.FramePushPromise, 4, 1, make([]byte, 8)) }, "goaway 0 PROTOCOL_ERROR"},
		{"bad compression", func(r *raw) { r.headers(1, true, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) }, "goaway 0 COMPRESSION_ERROR"},
		{"frame too large", func(r *raw) { r.WriteRawFrame(xhttp2.FramePing, 0, 0, make([]byte, 2<<20)) }, "goaway 0 FRAME_SIZE_ERROR"},
		{"settings of wrong size", func(r *raw) { r.WriteRawFrame(xhttp2.FrameSettings, 0, 0, make([]byte, 5)) }, "goaway 0 FRAME_SIZE_ERROR"},
		{"acknowledged twice", func(r *raw) { r.WriteSettingsAck() }, "goaway 0 PROTOCOL_ERROR"},
		{"window of nothing", func(r *raw) { r.WriteWindowUpdate(0, 0) }, "goaway 0 PROTOCOL_ERROR"},
		{"window too large", func(r *raw) { r.WriteWindowUpdate(0, 1<<31-1) }, "goaway 0 FLOW_CONTROL_ERROR"},
		{"stream's window too large", func(r *raw) {
			r.headers(1, false, r.request("POST", "/"))
			r.WriteWindowUpdate(1, 1<<31-1)
		}, "reset 1 FLOW_CONTROL_ERROR"},
		{"window of an idle stream", func(r *raw) { r.WriteWindowUpdate(1, 1) }, "goaway 0 PROTOCOL_ERROR"},
		{"data of an idle stream", func(r *raw) { r.WriteData(1, true, nil) }, "goaway 0 PROTOCOL_ERROR"},
		{"reset of an idle stream", func(r *raw) { r.WriteRSTStream(1, xhttp2.ErrCodeCancel) }, "goaway 0 PROTOCOL_ERROR"},
		{"data after the end", func(r *raw) {
			r.headers(1, false, r.request("POST", "/"))
			r.WriteRSTStream(1, xhttp2.ErrCodeCancel)
			r.WriteData(1, true, []byte("x"))
		}, "reset 1 STREAM_CLOSED"},
		{"more than the stream's window", func(r *raw) {
			r.headers(1, false, r.request("POST", "/blocked"))
			for range 65 {
				r.WriteData(1, false, make([]byte, 16<<10))
			}
		}, "reset 1 FLOW_CONTROL_ERROR"},
		{"more than the connection's window", func(r *raw) {
			for i := range uint32(5) {
				r.headers(2*i+1, false, r.request("POST", "/blocked"))
				for range 64 {
					r.WriteData(2*i+1, false, make([]byte, 16<<10))
				}
			}
		}, "goaway 9 FLOW_CONTROL_ERROR"},
		{"padding", func(r *raw) {
			r.headers(1, false, r.request("POST", "/"))
			r.WriteRawFrame(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, []byte{5, 0, 0, 0, 0})
		}, "goaway 1 PROTOCOL_ERROR"},
	}
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/blocked" {
			<-r.Context().Done()
			return
		}
		echo(w, r)
	}, func(s *http.Server) { s.MaxHeaderBytes = 64 << 10 })
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := dial(t, ts.Listener.Addr().String())
			test.do(r)
			if have := r.outcome(); have != test.want {
				t.Errorf("have %s, want %s", have, test.want)
			}
			if strings.HasPrefix(test.want, "goaway") {
				if have := r.outcome(); have != "closed" {
					t.Error("not closed after GOAWAY:", have)
				}
				return
			}
			// The connection lives on.
			r.get("/", 1001)
			if have := r.outcome(); have != "answer 1001 200" {
				t.Error("then", have)
			}
		})
	}
}

func TestPreface(t *testing.T) {
	ts, _ := start(t, echo)
	for name, said := range map[string]string{
		"another protocol": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"no settings":      xhttp2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
		"acknowledgement":  xhttp2.ClientPreface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			r := connect(t, ts.Listener.Addr().String())
			io.WriteString(r.conn, said)
			if have := r.outcome(); have != "goaway 0 PROTOCOL_ERROR" {
				t.Error(have)
			}
		})
	}
}

// TestWindows: what is sent follows the windows, also when settings change them.
func TestWindows(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 100<<10)) })
	r := connect(t, ts.Listener.Addr().String())
	r.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1000}, xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 1 << 20})
	r.get("/", 1)
	read := func(want int) {
		t.Helper()
		for have := 0; have < want; {
			f, err := r.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := f.(*xhttp2.DataFrame); ok {
				if have += int(d.Length); have > want {
					t.Fatalf("%d bytes, want %d", have, want)
				}
			}
		}
	}
	nothing := func() {
		t.Helper()
		r.WritePing(false, [8]byte{})
		if have := r.outcome(); !strings.HasPrefix(have, "ping") {
			t.Fatal(have)
		}
	}
	read(1000)
	nothing()
	r.WriteWindowUpdate(1, 500)
	read(500)
	nothing()
	r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 2000})
	read(1000)
	r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 500})
	r.WriteWindowUpdate(1, 1500) // what was taken back
	r.WriteWindowUpdate(1, 10)
	read(10)
	nothing()
	r.WriteWindowUpdate(1, 1<<20)
	read(firstWindow - 2510)
	nothing()
	r.WriteWindowUpdate(0, 1<<20)
	read(100<<10 - firstWindow)
	if have := r.outcome(); !strings.HasPrefix(have, "answer 1") {
		t.Error(have)
	}
}

// TestFair: streams that share a small window all get on.
func TestFair(t *testing.T) {
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 300<<10)) })
	r := connect(t, ts.Listener.Addr().String())
	r.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 30})
	const n = 10
	for i := range uint32(n) {
		r.get("/", 2*i+1)
	}
	got := map[uint32]int{}
	for ended := 0; ended < n; {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*xhttp2.DataFrame); ok {
			got[d.StreamID] += int(d.Length)
			least, most := 1<<30, 0
			for _, n := range got {
				least, most = min(least, n), max(most, n)
			}
			if ended == 0 && len(got) == n && most-least > 4*turn {
				t.Fatal("unfair: ", got)
			}
			if d.Length > 0 {
				r.WriteWindowUpdate(0, d.Length)
			}
			if d.StreamEnded() {
				ended++
			}
		}
	}
}

// flood sends until the server has enough of it, and tells what it said.
func flood(r *raw, send func(i int) error) string {
	said := make(chan string, 1)
	go func() { said <- r.outcome() }()
	for i := 0; ; i++ {
		select {
		case s := <-said:
			return s
		default:
		}
		if send(i) != nil {
			return <-said
		}
	}
}

func TestHostile(t *testing.T) {
	stay := make(chan struct{})
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stay" {
			<-stay // whatever the client does
		}
		echo(w, r)
	})
	defer close(stay)
	addr := ts.Listener.Addr().String()
	calm := "ENHANCE_YOUR_CALM"
	for name, send := range map[string]func(r *raw, i int) error{
		"settings":   func(r *raw, i int) error { return r.WriteSettings() },
		"priorities": func(r *raw, i int) error { return r.WritePriority(3, xhttp2.PriorityParam{}) },
		"unknown":    func(r *raw, i int) error { return r.WriteRawFrame(0x77, 0, 0, nil) },
		"empty data": func(r *raw, i int) error {
			if i == 0 {
				r.headers(1, false, r.request("POST", "/stay"))
			}
			return r.WriteData(1, false, nil)
		},
		"resets of what is gone": func(r *raw, i int) error {
			if i == 0 {
				r.headers(1, false, r.request("POST", "/stay"))
			}
			return r.WriteRSTStream(1, xhttp2.ErrCodeCancel)
		},
		"rapid reset": func(r *raw, i int) error {
			r.get("/stay", uint32(2*i+1))
			return r.WriteRSTStream(uint32(2*i+1), xhttp2.ErrCodeCancel)
		},
		"continuations": func(r *raw, i int) error {
			if i == 0 {
				r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.request("GET", "/")})
			}
			return r.WriteContinuation(1, false, r.block(fmt.Sprint("h-", i), strings.Repeat("x", 1000)))
		},
		"empty continuations": func(r *raw, i int) error {
			if i == 0 {
				r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.request("GET", "/")})
			}
			return r.WriteContinuation(1, false, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := dial(t, addr)
			if have := flood(r, func(i int) error { return send(r, i) }); !strings.HasSuffix(have, calm) && have != "closed" {
				t.Error(have)
			}
			get(t, ts.Client(), ts.URL) // others do not suffer
		})
	}
	t.Run("pings unread", func(t *testing.T) {
		r := dial(t, addr)
		r.conn.SetWriteDeadline(time.Now().Add(time.Minute))
		for r.WritePing(false, [8]byte{}) == nil {
		}
	})
	t.Run("streams", func(t *testing.T) {
		r := dial(t, addr)
		for i := range uint32(251) {
			r.headers(2*i+1, false, r.request("POST", "/"))
		}
		if have := r.outcome(); have != "reset 501 REFUSED_STREAM" {
			t.Error(have)
		}
		r.WriteData(1, true, []byte("x"))
		if have := r.outcome(); have != "answer 1 200" {
			t.Error(have)
		}
		r.get("/", 503)
		if have := r.outcome(); have != "answer 503 200" {
			t.Error(have)
		}
	})
}

// TestResetsWait: streams whose place is taken by handlers of streams that were reset
// begin when one of those ends.
func TestResetsWait(t *testing.T) {
	stay := make(chan struct{})
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stay" {
			<-stay
		}
	}, func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2} })
	r := dial(t, ts.Listener.Addr().String())
	for i := range uint32(2) {
		r.get("/stay", 2*i+1)
		r.WriteRSTStream(2*i+1, xhttp2.ErrCodeCancel)
	}
	r.get("/", 5)
	r.WriteRSTStream(5, xhttp2.ErrCodeCancel)
	r.get("/", 7)
	r.WritePing(false, [8]byte{})
	if have := r.outcome(); !strings.HasPrefix(have, "ping") {
		t.Fatal("began before its turn:", have)
	}
	close(stay)
	if have := r.outcome(); have != "answer 7 200" {
		t.Error(have)
	}
}

// TestStuck: a client that reads nothing is cut off, and so is a handler that writes to it.
func TestStuck(t *testing.T) {
	for name, o := range map[string]Options{
		"stuck time": {StuckTime: 100 * time.Millisecond},
		"deadline":   {},
	} {
		t.Run(name, func(t *testing.T) {
			wrote := make(chan error, 1)
			ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
				if name == "deadline" {
					http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
				}
				var err error
				for err == nil {
					_, err = w.Write(make([]byte, 1<<20))
				}
				wrote <- err
			}, func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{WriteByteTimeout: o.StuckTime} })
			r := dial(t, ts.Listener.Addr().String())
			r.get("/", 1)
			select {
			case <-wrote:
			case <-time.After(time.Minute):
				t.Error("still writing")
			}
		})
	}
}

// FuzzFrames: whatever a client sends, the connection ends in order.
func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	r := &raw{addr: "a", Framer: xhttp2.NewFramer(&b, nil)}
	r.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.out)
	seed := func(do func()) {
		b.Reset()
		do()
		f.Add(bytes.Clone(b.Bytes()))
	}
	seed(func() { r.get("/", 1) })
	seed(func() {
		r.headers(1, false, r.request("POST", "/", "content-length", "3"))
		r.WriteDataPadded(1, false, []byte("abc"), make([]byte, 3))
		r.headers(1, true, r.block("a", "b"))
	})
	seed(func() {
		r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 5}, xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 0})
		r.get("/", 1)
		r.WriteWindowUpdate(1, 7)
		r.WriteWindowUpdate(0, 7)
		r.WriteRSTStream(1, xhttp2.ErrCodeCancel)
		r.WritePing(false, [8]byte{1})
		r.WritePriority(9, xhttp2.PriorityParam{StreamDep: 3})
		r.WriteGoAway(3, xhttp2.ErrCodeNo, []byte("bye"))
	})
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		hs := &http.Server{ReadTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			newServer(hs, Options{}).serve(context.Background(), theirs, nil, http.HandlerFunc(echo))
		}()
		go io.Copy(io.Discard, ours)
		io.WriteString(ours, xhttp2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		ours.Write(said)
		ours.Close()
		<-served
	})
}
