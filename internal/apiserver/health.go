package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/version"
)

// VersionInfo is what /version tells.
type VersionInfo = version.Info

// check is one named part of /healthz, /livez and /readyz.
type check struct {
	name  string
	ready bool // of /readyz alone: nobody is to be restarted for it
	run   func() error
}

// healthChecks are the checks in the order of their lines, under the names that
// Kubernetes gives them: "etcd" is the store, whichever it is.
func (s *Server) healthChecks(of string) []check {
	ok := func() error { return nil }
	all := []check{
		{name: "ping", run: ok},
		{name: "log", run: ok},
		{name: "etcd", run: s.feed.health},
		{name: "etcd-readiness", ready: true, run: s.feed.health},
		// New returns when the caches are filled, so there is no server without.
		{name: "informer-sync", ready: true, run: ok},
	}
	s.mu.Lock()
	all = append(all, s.checks...)
	s.mu.Unlock()
	all = append(all, check{name: "shutdown", ready: true, run: s.drain.health})
	return slices.DeleteFunc(all, func(c check) bool { return c.ready && of != "readyz" })
}

// AddCheck adds a named check to /livez, /readyz and /healthz.
func (s *Server) AddCheck(name string, run func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, check{name: name, run: run})
}

// Done adds checks that are passed from the start: steps of it, as Kubernetes names
// them ("poststarthook/NAME"), which were taken before the server began to answer.
func (s *Server) Done(names ...string) {
	for _, n := range names {
		s.AddCheck(n, func() error { return nil })
	}
}

// drain is the end of a server: it is not ready any more, and watches end.
type drain struct {
	once sync.Once
	c    chan struct{} // closed when the end begins
}

var errDraining = errors.New("process is shutting down")

func (d *drain) health() error {
	select {
	case <-d.c:
		return errDraining
	default:
		return nil
	}
}

// Drain begins the end: /readyz fails, and every watch ends as if its time were up,
// so that clients come back to where the server is next, and nothing is lost.
// Other requests go on.
func (s *Server) Drain() {
	s.drain.once.Do(func() {
		close(s.drain.c)
		s.aggregator.Drain()
	})
}

// serveHealth answers /healthz, /livez and /readyz, whole or one check of them.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request, p string) error {
	what, one, single := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	checks := s.healthChecks(what)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !single {
		s.serveChecks(w, r, what, checks)
		return nil
	}
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == one })
	if i < 0 {
		return errNoPage
	}
	// Who may ask for one check may know what is wrong.
	if err := checks[i].run(); err != nil {
		http.Error(w, fmt.Sprintf("internal server error: %v", err), http.StatusInternalServerError)
		return nil
	}
	fmt.Fprint(w, "ok")
	return nil
}

func (s *Server) serveChecks(w http.ResponseWriter, r *http.Request, what string, checks []check) {
	q := r.URL.Query()
	// An exclusion counts once: what is left of them matched nothing.
	exclude := slices.Compact(slices.Sorted(slices.Values(q["exclude"])))
	var text strings.Builder
	var failed []string
	for _, c := range checks {
		if i := slices.Index(exclude, c.name); i >= 0 {
			exclude = slices.Delete(exclude, i, i+1)
			fmt.Fprintf(&text, "[+]%s excluded: ok\n", c.name)
			continue
		}
		err := c.run()
		s.slis.note(c.name, what, err)
		if err != nil {
			// Everybody may ask: what is wrong is for the log and for who may ask for the one check.
			failed = append(failed, fmt.Sprintf("%s: %v", c.name, err))
			fmt.Fprintf(&text, "[-]%s failed: reason withheld\n", c.name)
			continue
		}
		fmt.Fprintf(&text, "[+]%s ok\n", c.name)
	}
	if len(exclude) > 0 {
		for i, e := range exclude {
			exclude[i] = fmt.Sprintf("%q", e)
		}
		fmt.Fprintf(&text, "warn: some health checks cannot be excluded: no matches for %s\n", strings.Join(exclude, ","))
	}
	switch {
	case len(failed) > 0:
		s.Log.Debug("health check failed", "check", what, "failed", failed)
		http.Error(w, fmt.Sprintf("%s%s check failed", text.String(), what), http.StatusInternalServerError)
	case q.Has("verbose"):
		fmt.Fprintf(w, "%s%s check passed\n", text.String(), what)
	default:
		fmt.Fprint(w, "ok")
	}
}
