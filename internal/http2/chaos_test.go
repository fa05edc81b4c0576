package http2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// pipe serves a connection in memory, which holds nothing: what is written waits until it is read.
func pipe(t *testing.T, hs *http.Server, h http.HandlerFunc) (r *raw, served chan struct{}) {
	ours, theirs := net.Pipe()
	if hs.ErrorLog == nil {
		hs.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := newServer(hs, Options{})
	served = make(chan struct{})
	go func() {
		defer close(served)
		s.serve(context.Background(), theirs, nil, h)
	}()
	r = &raw{conn: ours, addr: "a", Framer: xhttp2.NewFramer(ours, ours)}
	r.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.out)
	return r, served
}

// TestChaos: under windows that come in crumbs, settings that change, resets and a
// client that reads slowly, every answer that was not reset arrives whole.
func TestChaos(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func chaos(t *testing.T, rnd *rand.Rand) {
	const streams = 60
	sizes := map[string][]int{}
	want := map[uint32]int{}
	for i := range uint32(streams) {
		path := fmt.Sprint("/", i)
		for range rnd.IntN(20) {
			size := []int{1, 100, 5000, 70000, 200000}[rnd.IntN(5)]
			sizes[path] = append(sizes[path], size)
			want[2*i+1] += size
		}
	}
	r, served := pipe(t, &http.Server{}, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		for i, size := range sizes[r.URL.Path] {
			if _, err := w.Write(bytes.Repeat([]byte{byte(size)}, size)); err != nil {
				return
			}
			if i%3 == 0 {
				w.(http.Flusher).Flush()
			}
		}
	})
	var mu sync.Mutex // of who writes
	say := func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		f()
	}
	go say(func() {
		r.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 3000})
		for i := range uint32(streams) {
			r.headers(2*i+1, false, r.request("POST", fmt.Sprint("/", i)))
			r.WriteData(2*i+1, true, make([]byte, i*100))
		}
	})
	done, reset := map[uint32]bool{}, map[uint32]bool{}
	got := map[uint32]int{}
	initial := 3000
	for len(done) < streams {
		if rnd.IntN(50) == 0 {
			time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond) // of the bubble
		}
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *xhttp2.RSTStreamFrame:
			t.Fatal(f)
		case *xhttp2.GoAwayFrame:
			t.Fatal(f)
		case *xhttp2.HeadersFrame:
			if f.StreamEnded() {
				done[id] = true
			}
		case *xhttp2.DataFrame:
			n := len(f.Data())
			if got[id] += n; got[id] > want[id] {
				t.Fatal("too much")
			}
			for _, b := range f.Data()[:min(n, 1)] {
				if b != 1 && b != 100 && b != 5000&0xff && b != 70000&0xff && b != 200000&0xff {
					t.Fatal("not what was written: ", b)
				}
			}
			if f.StreamEnded() && !reset[id] {
				done[id] = true
				if got[id] != want[id] {
					t.Fatalf("stream %d ended after %d bytes of %d", id, got[id], want[id])
				}
			}
			said := rnd.IntN(200)
			if said == 1 {
				initial = 1 + rnd.IntN(100000)
			}
			window := initial
			go say(func() {
				switch {
				case said == 0 && !f.StreamEnded():
				case said == 1:
					r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(window)})
				}
				if n > 0 {
					r.WriteWindowUpdate(0, uint32(n))
					r.WriteWindowUpdate(id, uint32(n))
				}
			})
			if said == 0 && !f.StreamEnded() {
				reset[id], done[id] = true, true
				go say(func() { r.WriteRSTStream(id, xhttp2.ErrCodeCancel) })
			}
		}
	}
	go io.Copy(io.Discard, r.conn)
	synctest.Wait()
	say(func() { r.conn.Close() })
	<-served
}

// TestTimes are those that are too long for real clocks.
func TestTimes(t *testing.T) {
	type bubble struct {
		*testing.T
		*raw
		late  chan error // what handlers tell
		began time.Time
	}
	after := func(b bubble, want time.Duration) {
		b.Helper()
		if have := time.Since(b.began); have < want || have > want+2*time.Second {
			b.Errorf("after %v, want %v", have, want)
		}
	}
	expect := func(b bubble, want ...string) {
		b.Helper()
		for _, want := range want {
			if have := b.outcome(); have != want {
				b.Errorf("%s, want %s", have, want)
			}
		}
	}
	expectLate := func(b bubble) {
		b.Helper()
		if err := <-b.late; !errors.Is(err, os.ErrDeadlineExceeded) {
			b.Error(err)
		}
	}
	endless := func(w http.ResponseWriter) (err error) {
		for err == nil {
			_, err = w.Write(make([]byte, 60000))
		}
		return err
	}
	// handler tells what its reads and writes come to.
	handler := func(late chan error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/endless":
				late <- endless(w)
			case "/5s":
				http.NewResponseController(w).SetWriteDeadline(time.Now().Add(5 * time.Second))
				late <- endless(w)
			case "/hour":
				time.Sleep(time.Hour)
			case "/read":
				_, err := io.ReadAll(r.Body)
				late <- err
			}
		}
	}
	tests := []struct {
		name string
		hs   *http.Server
		test func(b bubble)
	}{
		{"preface", &http.Server{}, func(b bubble) {
			for b.outcome() != "closed" {
			}
			after(b, prefaceTime)
		}},
		{"settings unacknowledged", &http.Server{}, func(b bubble) {
			go func() {
				io.WriteString(b.conn, xhttp2.ClientPreface)
				b.WriteSettings()
			}()
			expect(b, "goaway 0 SETTINGS_TIMEOUT", "closed")
			after(b, settingsTime)
		}},
		{"idle", &http.Server{IdleTimeout: 3 * time.Minute}, func(b bubble) {
			go func() {
				b.hello()
				time.Sleep(time.Minute)
				b.get("/", 1)
			}()
			expect(b, "answer 1 200", "goaway 1 NO_ERROR", "closed")
			after(b, 4*time.Minute)
		}},
		// Who begins a block of headers must end it.
		{"headers", &http.Server{ReadHeaderTimeout: 50 * time.Second}, func(b bubble) {
			go func() {
				b.hello()
				b.get("/", 1)
				b.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, BlockFragment: b.request("GET", "/")})
			}()
			expect(b, "answer 1 200", "closed")
			after(b, 50*time.Second)
		}},
		{"not idle", &http.Server{IdleTimeout: time.Minute}, func(b bubble) {
			go func() {
				b.hello()
				b.get("/hour", 1)
			}()
			expect(b, "answer 1 200")
			after(b, time.Hour)
		}},
		// The window is full: it is the stream that is late, not the connection.
		{"write", &http.Server{WriteTimeout: 90 * time.Second}, func(b bubble) {
			go func() {
				b.hello()
				b.get("/endless", 1)
			}()
			expect(b, "reset 1 INTERNAL_ERROR")
			after(b, 90*time.Second)
			expectLate(b)
			synctest.Wait() // until what was said before was said
			go b.get("/", 3)
			expect(b, "answer 3 200")
		}},
		// The client takes nothing at all: the writer is freed a moment after its time.
		{"write to nobody", &http.Server{WriteTimeout: 10 * time.Second}, func(b bubble) {
			go io.CopyN(io.Discard, b.conn, 70)
			b.hello()
			b.get("/endless", 1)
			<-b.late
			after(b, 10*time.Second)
		}},
		{"stuck", &http.Server{}, func(b bubble) {
			go io.CopyN(io.Discard, b.conn, 70)
			b.hello()
			b.get("/endless", 1)
			<-b.late
			after(b, 30*time.Second)
		}},
		// Who waits for another's writing has a time as well.
		{"wait for nobody", &http.Server{}, func(b bubble) {
			go io.CopyN(io.Discard, b.conn, 70)
			b.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 30})
			b.WriteWindowUpdate(0, 1<<30)
			go func() {
				b.get("/endless", 1)
				time.Sleep(time.Second)
				b.get("/5s", 3)
			}()
			expectLate(b)
			after(b, 6*time.Second)
			<-b.late
		}},
		{"read", &http.Server{ReadTimeout: 75 * time.Second}, func(b bubble) {
			go func() {
				b.hello()
				b.headers(1, false, b.request("POST", "/read"))
			}()
			expect(b, "answer 1 200", "reset 1 NO_ERROR")
			expectLate(b)
			after(b, 75*time.Second)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bubble{T: t, late: make(chan error, 1), began: time.Now()}
				var served chan struct{}
				b.raw, served = pipe(t, test.hs, handler(b.late))
				test.test(b)
				b.conn.Close()
				<-served
			})
		})
	}
}
