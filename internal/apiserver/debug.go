package apiserver

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// serveDebug offers what net/http/pprof does, for `go tool pprof` and `go tool trace`;
// that package would bring templates into the binary. Authorization has let only
// administrators come here.
func (s *Server) serveDebug(w http.ResponseWriter, r *http.Request, p string) error {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	name, profile := strings.CutPrefix(p, "/debug/pprof/")
	switch {
	case p == "/debug" || p == "/debug/pprof":
		s.serveDebugIndex(w)
		return nil
	case !profile:
		return errNoPage
	}
	switch name {
	case "cmdline":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, strings.Join(os.Args, "\x00"))
		return nil
	case "profile":
		return record(w, r, name, 30, pprof.StartCPUProfile, pprof.StopCPUProfile)
	case "trace":
		return record(w, r, name, 1, trace.Start, trace.Stop)
	case "symbol":
		return serveSymbols(w, r)
	}
	return serveProfile(w, r, name)
}

func (s *Server) serveDebugIndex(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><title>Skiff: debug</title><h1>Skiff %s</h1><p>since %s, %d goroutines\n<h2>Profiles</h2><ul>\n",
		s.Version.GitVersion, s.started.UTC().Format(time.RFC3339), runtime.NumGoroutine())
	link := func(href, text string) { fmt.Fprintf(w, "<li><a href=\"%s\">%s</a>\n", href, text) }
	for _, pr := range pprof.Profiles() {
		link("/debug/pprof/"+pr.Name()+"?debug=1", fmt.Sprintf("%s: %d", pr.Name(), pr.Count()))
	}
	link("/debug/pprof/goroutine?debug=2", "stacks of all goroutines")
	link("/debug/pprof/profile?seconds=10", "where CPU time goes, for ten seconds")
	link("/debug/pprof/trace?seconds=5", "trace of five seconds")
	link("/debug/pprof/cmdline", "command line")
	fmt.Fprint(w, "</ul><h2>State</h2><ul>\n")
	for _, p := range []string{"/metrics", "/livez?verbose", "/readyz?verbose", "/version", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"} {
		link(p, p)
	}
	fmt.Fprint(w, "</ul>\n")
}

// record writes what happens for some seconds.
func record(w http.ResponseWriter, r *http.Request, name string, seconds float64, start func(io.Writer) error, stop func()) error {
	d, err := secondsParam(r, seconds)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if err := start(w); err != nil {
		// There is one recorder in a process.
		w.Header().Del("Content-Disposition")
		return apierrors.NewServiceUnavailable(fmt.Sprintf("could not begin the %s: %v", name, err))
	}
	defer stop()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
	return nil
}

func serveProfile(w http.ResponseWriter, r *http.Request, name string) error {
	pr := pprof.Lookup(name)
	if pr == nil {
		return errNoPage
	}
	q := r.URL.Query()
	level, _ := strconv.Atoi(q.Get("debug"))
	if gc, _ := strconv.Atoi(q.Get("gc")); name == "heap" && gc > 0 {
		runtime.GC()
	}
	if level > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	return pr.WriteTo(w, level)
}

// serveSymbols names the functions at addresses: "0x1234+0x5678", in the query or the body.
func serveSymbols(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.RawQuery
	if r.Method == http.MethodPost {
		b, err := readBody(r)
		if err != nil {
			return err
		}
		asked = string(b)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// Any number but zero tells that there are symbols.
	fmt.Fprint(w, "num_symbols: 1\n")
	for word := range strings.SplitSeq(asked, "+") {
		pc, err := strconv.ParseUint(strings.TrimSpace(word), 0, 64)
		if err != nil || pc == 0 {
			continue
		}
		if f := runtime.FuncForPC(uintptr(pc)); f != nil {
			fmt.Fprintf(w, "%#x %s\n", pc, f.Name())
		}
	}
	return nil
}

func secondsParam(r *http.Request, or float64) (time.Duration, error) {
	n := or
	if v := r.URL.Query().Get("seconds"); v != "" {
		var err error
		if n, err = strconv.ParseFloat(v, 64); err != nil || !(n > 0 && n <= 600) {
			return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid query parameter seconds: %q", v))
		}
	}
	return time.Duration(n * float64(time.Second)), nil
}
