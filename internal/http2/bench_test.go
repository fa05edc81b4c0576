package http2

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// The benchmarks hold this server against net/http's. The server is a process of its own,
// so that its processor time (cpu-µs/op) is not mixed with the client's.

const benchServer = "SKIFF_HTTP2_BENCH_SERVER"

// TestBenchServer is that process.
func TestBenchServer(t *testing.T) {
	which := os.Getenv(benchServer)
	if which == "" {
		t.Skip("started by the benchmarks")
	}
	s := &benchHandler{small: bytes.Repeat([]byte("x"), 1200), event: bytes.Repeat([]byte("e"), 400), item: bytes.Repeat([]byte("i"), 2500)}
	ts := httptest.NewUnstartedServer(s)
	ts.Listener = Listen(ts.Listener)
	ts.EnableHTTP2 = true
	ts.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 250, MaxReceiveBufferPerConnection: 4 << 20, MaxReceiveBufferPerStream: 1 << 20, WriteByteTimeout: 30 * time.Second}
	ts.Config.ReadTimeout, ts.Config.WriteTimeout, ts.Config.IdleTimeout = 75*time.Second, 90*time.Second, 3*time.Minute
	if which == "skiff" {
		Configure(ts.Config, Options{})
	}
	ts.StartTLS()
	fmt.Println("listening", ts.Listener.Addr())
	io.Copy(io.Discard, os.Stdin) // until who started it is gone
	ts.CloseClientConnections()
	ts.Close()
}

type benchHandler struct {
	small, event, item []byte

	mu       sync.Mutex
	watchers []chan *sync.WaitGroup
}

func (s *benchHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/spent":
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprint(w, u.Utime.Nano()+u.Stime.Nano(), m.Mallocs, m.TotalAlloc)
	case "/small":
		h := w.Header()
		h.Set("Audit-Id", "2f8a9b43-6d0e-4a57-9e4f-1c7d54f0b6aa")
		h.Set("Cache-Control", "no-cache, private")
		h.Set("Content-Type", "application/json")
		h.Set("X-Kubernetes-Pf-Flowschema-Uid", "5d3f6a40-93a8-4c33-8b0a-4b8d3c2b9c11")
		h.Set("X-Kubernetes-Pf-Prioritylevel-Uid", "9c6ea2a5-5b0e-4a6c-a2b4-0cbb6a4c8f0e")
		w.WriteHeader(200)
		w.Write(s.small)
	case "/big":
		w.Header().Set("Content-Type", "application/json")
		// As a list is written: 32 KB at a time.
		chunk := bytes.Repeat(s.item, 13)
		for n := 0; n < 25<<20; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "/watch":
		c := make(chan *sync.WaitGroup, 1)
		rc := http.NewResponseController(w)
		rc.SetReadDeadline(time.Time{})
		rc.SetWriteDeadline(time.Time{})
		rc.Flush()
		s.mu.Lock()
		s.watchers = append(s.watchers, c)
		s.mu.Unlock()
		for {
			select {
			case wg := <-c:
				w.Write(s.event)
				rc.Flush()
				wg.Done()
			case <-r.Context().Done():
				return
			}
		}
	case "/reset":
		s.mu.Lock()
		s.watchers = nil
		s.mu.Unlock()
	case "/fire":
		n, _ := strconv.Atoi(r.URL.RawQuery)
		for range n {
			var wg sync.WaitGroup
			wg.Add(len(s.watchers))
			for _, c := range s.watchers {
				c <- &wg
			}
			wg.Wait()
		}
	case "/watchers":
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprint(w, len(s.watchers))
	}
}

// against runs a benchmark against both servers.
func against(b *testing.B, run func(b *testing.B, addr string, c *http.Client)) {
	for _, which := range []string{"net-http", "skiff"} {
		b.Run(which, func(b *testing.B) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestBenchServer$")
			cmd.Env = append(os.Environ(), benchServer+"="+which)
			cmd.Stderr = os.Stderr
			in, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			defer cmd.Wait()
			defer in.Close()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			go io.Copy(io.Discard, out)
			addr := strings.TrimSpace(strings.TrimPrefix(line, "listening "))
			tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer tr.CloseIdleConnections()
			run(b, addr, &http.Client{Transport: tr})
		})
	}
}

// spent is what the server's process has used.
type spent struct{ cpu, allocs, bytes float64 }

func spentBy(b *testing.B, c *http.Client, addr string) (s spent) {
	_, text := get(b, c, "https://"+addr+"/spent")
	if _, err := fmt.Sscan(text, &s.cpu, &s.allocs, &s.bytes); err != nil {
		b.Fatal(err)
	}
	return s
}

// timed runs what is measured, which is ops operations.
func timed(b *testing.B, c *http.Client, addr string, ops int, f func()) {
	before := spentBy(b, c, addr)
	b.ResetTimer()
	f()
	b.StopTimer()
	after := spentBy(b, c, addr)
	b.ReportMetric((after.cpu-before.cpu)/1e3/float64(ops), "cpu-µs/op")
	b.ReportMetric((after.allocs-before.allocs)/float64(ops), "server-allocs/op")
	b.ReportMetric((after.bytes-before.bytes)/float64(ops), "server-B/op")
}

func BenchmarkGet(b *testing.B) {
	against(b, func(b *testing.B, addr string, c *http.Client) {
		timed(b, c, addr, b.N, func() {
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					for j := i; j < b.N; j += 64 {
						res, err := c.Get("https://" + addr + "/small")
						if err != nil {
							b.Error(err)
							return
						}
						io.Copy(io.Discard, res.Body)
						res.Body.Close()
					}
				})
			}
			wg.Wait()
		})
	})
}

func BenchmarkDownload(b *testing.B) {
	against(b, func(b *testing.B, addr string, c *http.Client) {
		r := dial(b, addr)
		r.SetReuseFrames()
		b.SetBytes(25 << 20)
		timed(b, c, addr, b.N, func() {
			for i := range b.N {
				r.get("/big", uint32(2*i+1))
				for {
					f, err := r.ReadFrame()
					if err != nil {
						b.Fatal(err)
					}
					if d, ok := f.(*xhttp2.DataFrame); ok {
						r.WriteWindowUpdate(0, max(1, d.Length))
						if d.StreamEnded() {
							break
						}
					}
				}
			}
		})
	})
}

func benchEvents(b *testing.B, conns, streams int) {
	against(b, func(b *testing.B, addr string, c *http.Client) {
		watchers := conns * streams
		rounds := max(1, b.N/watchers)
		get(b, c, "https://"+addr+"/reset")
		var wg sync.WaitGroup
		for range conns {
			r := dial(b, addr)
			r.SetReuseFrames()
			for i := range streams {
				r.get("/watch", uint32(2*i+1))
			}
			wg.Go(func() {
				for left := rounds * streams * 400; left > 0; {
					f, err := r.ReadFrame()
					if err != nil {
						b.Error(err)
						return
					}
					if d, ok := f.(*xhttp2.DataFrame); ok {
						left -= int(d.Length)
					}
				}
			})
		}
		for {
			if _, n := get(b, c, "https://"+addr+"/watchers"); n == strconv.Itoa(watchers) {
				break
			}
		}
		timed(b, c, addr, rounds*watchers, func() {
			get(b, c, fmt.Sprint("https://", addr, "/fire?", rounds))
			wg.Wait()
		})
	})
}

func BenchmarkEventsOneConnection(b *testing.B)   { benchEvents(b, 1, 100) }
func BenchmarkEventsManyConnections(b *testing.B) { benchEvents(b, 100, 1) }
