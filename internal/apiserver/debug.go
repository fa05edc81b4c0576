package apiserver

import (
	"fmt"
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

// serveDebug offers what net/http/pprof does, which would bring templates into the
// binary. Authorization has let only administrators come here.
func (s *Server) serveDebug(w http.ResponseWriter, r *http.Request, p string) error {
	switch name := strings.TrimPrefix(p, "/debug/pprof/"); {
	case p == "/debug" || p == "/debug/pprof":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<html><head><title>debug</title></head><body><h1>debug</h1><ul>")
		for _, pr := range pprof.Profiles() {
			fmt.Fprintf(w, `<li><a href="/debug/pprof/%s?debug=1">%s</a> (%d)</li>`, pr.Name(), pr.Name(), pr.Count())
		}
		fmt.Fprint(w, `<li><a href="/debug/pprof/profile?seconds=10">profile</a></li><li><a href="/debug/pprof/trace?seconds=5">trace</a></li><li><a href="/debug/pprof/cmdline">cmdline</a></li><li><a href="/metrics">metrics</a></li><li><a href="/readyz?verbose">readyz</a></li></ul></body></html>`)
	case name == "cmdline":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, strings.Join(os.Args, "\x00"))
	case name == "profile":
		seconds, err := secondsParam(r, 30)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if err := pprof.StartCPUProfile(w); err != nil {
			return apierrors.NewConflict(s.rows[0].GroupResource(), "profile", err)
		}
		defer pprof.StopCPUProfile()
		pause(r, seconds)
	case name == "trace":
		seconds, err := secondsParam(r, 1)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if err := trace.Start(w); err != nil {
			return apierrors.NewConflict(s.rows[0].GroupResource(), "trace", err)
		}
		defer trace.Stop()
		pause(r, seconds)
	case name == "symbol":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, "num_symbols: 1\n")
	default:
		pr := pprof.Lookup(name)
		if pr == nil {
			return pathNotFound()
		}
		debug, _ := strconv.Atoi(r.URL.Query().Get("debug"))
		if name == "heap" && r.URL.Query().Get("gc") != "" {
			runtime.GC()
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if debug > 0 {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		return pr.WriteTo(w, debug)
	}
	return nil
}

func secondsParam(r *http.Request, or float64) (time.Duration, error) {
	n := or
	if v := r.URL.Query().Get("seconds"); v != "" {
		var err error
		if n, err = strconv.ParseFloat(v, 64); err != nil || n <= 0 || n > 600 {
			return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid query parameter seconds: %q", v))
		}
	}
	return time.Duration(n * float64(time.Second)), nil
}

func pause(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}
