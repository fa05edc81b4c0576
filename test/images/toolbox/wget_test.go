package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseWget(t *testing.T) {
	for args, want := range map[string]download{
		"-qO- http://a":          {quiet: true, output: "-", timeout: 900 * time.Second, urls: []string{"http://a"}},
		"-q -T 2 -O - a":         {quiet: true, output: "-", timeout: 2 * time.Second, urls: []string{"a"}},
		"-T2 a b":                {timeout: 2 * time.Second, urls: []string{"a", "b"}},
		"--spider --timeout=1 a": {spider: true, timeout: time.Second, urls: []string{"a"}},
		"--timeout 3 -S --output-document=x --tries=1 a": {show: true, output: "x", timeout: 3 * time.Second, urls: []string{"a"}},
	} {
		d, err := parseWget(strings.Fields(args))
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		if d.quiet != want.quiet || d.spider != want.spider || d.show != want.show || d.output != want.output || d.timeout != want.timeout || strings.Join(d.urls, " ") != strings.Join(want.urls, " ") {
			t.Errorf("%s: %+v, want %+v", args, d, want)
		}
	}
	for _, args := range []string{"", "-q", "-T", "-T x a", "--nope a"} {
		if _, err := parseWget(strings.Fields(args)); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// refusing is the URL of a port that nobody listens on, and that nobody else can get meanwhile.
func refusing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	held, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("http://127.0.0.1:", held.(*syscall.SockaddrInet4).Port)
}

func TestFetch(t *testing.T) {
	stuck := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			<-stuck
		case "/none":
			http.NotFound(w, r)
		default:
			w.Write([]byte("page for " + r.Host + " " + r.Header.Get("X")))
		}
	}))
	defer web.Close()
	defer close(stuck)
	file := filepath.Join(t.TempDir(), "f")
	d, err := parseWget([]string{"-q", "-O", file, "--header", "X: y", "--header", "Host: example.com", "u"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.fetch(web.URL); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "page for example.com y" {
		t.Errorf("saved %q", b)
	}
	for target, want := range map[string]string{
		web.URL + "/none":         "server returned error: HTTP/1.1 404 Not Found",
		refusing(t):               "can't connect to remote host (127.0.0.1): Connection refused",
		"http://name.invalid.:1/": "bad address 'name.invalid.:1'",
	} {
		if err := d.fetch(target); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", target, err, want)
		}
	}
	d.timeout = 10 * time.Millisecond
	if err := d.fetch(web.URL + "/late"); err == nil || err.Error() != "download timed out" {
		t.Errorf("a late answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := says(ctx, &url.URL{}, os.ErrClosed); err.Error() != "download timed out" {
		t.Errorf("%v", err)
	}
}
