package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCurl(t *testing.T) {
	stuck := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "test")
		switch r.URL.Path {
		case "/late":
			<-stuck
		case "/none":
			http.NotFound(w, r)
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		default:
			w.Write([]byte(r.Method + " " + r.Host + " " + r.FormValue("a")))
		}
	}))
	defer web.Close()
	defer close(stuck)
	file := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args string
		code int
		out  string
	}{
		{web.URL, 0, "GET 127.0.0.1"},
		{"-H Host:example.com " + strings.TrimPrefix(web.URL, "http://"), 0, "GET example.com"},
		{"-sd a=b " + web.URL, 0, "POST 127.0.0.1"},
		{"-sI " + web.URL, 0, "HTTP/1.1 200 OK\r\n"},
		{"-s " + web.URL + "/moved", 0, "Found"},
		{"-sL " + web.URL + "/moved", 0, "GET 127.0.0.1"},
		{"-s " + web.URL + "/none", 0, "404 page not found"},
		{"-sf " + web.URL + "/none", 22, ""},
		{"-s " + refusing(t), 7, ""},
		{"-s http://name.invalid./", 6, ""},
		{"-s --max-time 0.01 " + web.URL + "/late", 28, ""},
		{"--nope " + web.URL, 2, ""},
		{"-X", 2, ""},
	} {
		os.Remove(file)
		code := curl(append([]string{"-o", file}, strings.Fields(c.args)...))
		b, _ := os.ReadFile(file)
		if code != c.code || !strings.Contains(string(b), c.out) {
			t.Errorf("curl %s: %d %q, want %d %q", c.args, code, b, c.code, c.out)
		}
	}
	d, err := parseCurl(strings.Fields("-m2 --connect-timeout 1.5 -skw x u"))
	if err != nil || d.total != 2*time.Second || d.connect != 1500*time.Millisecond || !d.silent || !d.insecure || d.writeOut != "x" {
		t.Errorf("%+v, %v", d, err)
	}
}
