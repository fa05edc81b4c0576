package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// serve answers on a port, by TCP and UDP:
//
//	/                 greeting with version and host name
//	/healthz /readyz  200 or 500; POST or GET /healthz/fail, /healthz/ok (and the same for readyz) switches
//	/env /hostname /clientip /headers /echo?msg=
//	/exit?code=       ends the server
//	/delay?for=2s     answers late
//	/load?cpu=2s&mem=MiB  uses up time, or memory, which is kept
func serve(args []string) int {
	f := flag.NewFlagSet("hello", flag.ExitOnError)
	port := f.Int("port", 8080, "port of TCP and UDP")
	version := f.String("version", env("VERSION", "v1"), "what / says")
	greeting := f.String("greeting", "", "what / says instead; {host} is the host name")
	fault := f.String("panic", "", "end at once, with this said by a panic")
	delay := f.Duration("delay", 0, "wait before listening")
	failing := f.Bool("unhealthy", false, "begin with /healthz failing")
	unready := f.Bool("unready", false, "begin with /readyz failing")
	failAfter := f.Duration("fail-after", 0, "let /healthz fail after this time")
	exitAfter := f.Duration("exit-after", 0, "end after this time")
	exitCode := f.Int("exit-code", 0, "how to end after -exit-after")
	ignoreTerm := f.Bool("ignore-term", false, "go on at SIGTERM")
	drain := f.Duration("drain", 0, "at SIGTERM, answer for this long before ending")
	f.Parse(args)
	if *fault != "" {
		panic(*fault)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *exitAfter > 0 {
		time.AfterFunc(*exitAfter, func() { os.Exit(*exitCode) })
	}
	select {
	case <-time.After(*delay):
	case <-ctx.Done():
		return 0
	}
	s := &server{version: *version, greeting: *greeting}
	s.unhealthy.Store(*failing)
	s.unready.Store(*unready)
	if *failAfter > 0 {
		time.AfterFunc(*failAfter, func() { s.unhealthy.Store(true) })
	}
	addr := net.JoinHostPort("", strconv.Itoa(*port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		log.Print(err)
		return 1
	}
	if u, err := net.ListenPacket("udp", addr); err == nil {
		go s.datagrams(u)
	}
	log.Printf("hello %s listens on port %d", *version, *port)
	web := &http.Server{Handler: s.routes()}
	go func() {
		<-ctx.Done()
		if *ignoreTerm {
			log.Print("ignoring the request to end")
			return
		}
		log.Print("ending")
		time.Sleep(*drain)
		short, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		web.Shutdown(short)
	}()
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
		return 1
	}
	return 0
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

type server struct {
	version, greeting  string
	unhealthy, unready atomic.Bool
	mu                 sync.Mutex
	memory             [][]byte // under mu
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	text := func(path string, say func(r *http.Request) string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, say(r)+"\n") })
	}
	text("/{$}", func(*http.Request) string {
		host, _ := os.Hostname()
		if s.greeting != "" {
			return strings.ReplaceAll(s.greeting, "{host}", host)
		}
		return fmt.Sprintf("Hello, world!\nVersion: %s\nHostname: %s", s.version, host)
	})
	text("/hostname", func(*http.Request) string { host, _ := os.Hostname(); return host })
	text("/env", func(*http.Request) string { return strings.Join(os.Environ(), "\n") })
	text("/clientip", func(r *http.Request) string { return r.RemoteAddr })
	text("/echo", func(r *http.Request) string { return r.FormValue("msg") })
	text("/headers", func(r *http.Request) string {
		var b strings.Builder
		fmt.Fprintf(&b, "Host: %s\n", r.Host)
		r.Header.Write(&b)
		return b.String()
	})
	text("/delay", func(r *http.Request) string {
		d, _ := time.ParseDuration(r.FormValue("for"))
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		return d.String()
	})
	text("/exit", func(r *http.Request) string {
		code, _ := strconv.Atoi(r.FormValue("code"))
		time.AfterFunc(10*time.Millisecond, func() { os.Exit(code) })
		return strconv.Itoa(code)
	})
	text("/load", s.load)
	for path, bad := range map[string]*atomic.Bool{"/healthz": &s.unhealthy, "/readyz": &s.unready} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if bad.Load() {
				http.Error(w, "failing", http.StatusInternalServerError)
				return
			}
			io.WriteString(w, "ok\n")
		})
		text(path+"/fail", func(*http.Request) string { bad.Store(true); return "failing" })
		text(path+"/ok", func(*http.Request) string { bad.Store(false); return "ok" })
	}
	return mux
}

func (s *server) load(r *http.Request) string {
	cpu, _ := time.ParseDuration(r.FormValue("cpu"))
	for end := time.Now().Add(cpu); time.Now().Before(end); {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, _ := strconv.Atoi(r.FormValue("mem")); n > 0 {
		b := make([]byte, n<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1 // memory counts when it is written to
		}
		s.memory = append(s.memory, b)
	}
	return fmt.Sprintf("used %v, keeping %d pieces of memory", cpu, len(s.memory))
}

// datagrams answers "hostname" with the host name, and anything else with itself.
func (s *server) datagrams(c net.PacketConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		answer := b[:n]
		if strings.TrimSpace(string(answer)) == "hostname" {
			host, _ := os.Hostname()
			answer = []byte(host)
		}
		c.WriteTo(answer, from)
	}
}
