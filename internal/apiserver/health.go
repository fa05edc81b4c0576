package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/version"
)

// VersionInfo is what /version tells.
type VersionInfo = version.Info

// check is one named part of /livez and /readyz.
type check struct {
	name string
	run  func() error
}

func (s *Server) healthChecks() []check {
	return append([]check{
		{"ping", func() error { return nil }},
		{"log", func() error { return nil }},
		{"store", func() error {
			s.feed.mu.Lock()
			defer s.feed.mu.Unlock()
			return s.feed.failed
		}},
	}, s.checks...)
}

// AddCheck adds a named check to /livez, /readyz and /healthz.
func (s *Server) AddCheck(name string, run func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, check{name, run})
}

// serveHealth answers /healthz, /livez and /readyz, whole or one check of them.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request, p string) error {
	_, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	what, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	q := r.URL.Query()
	_, verbose := q["verbose"]
	exclude := q["exclude"]
	var text strings.Builder
	failed := false
	found := rest == ""
	for _, c := range s.healthChecks() {
		if rest != "" && c.name != rest {
			continue
		}
		found = true
		if slices.Contains(exclude, c.name) {
			fmt.Fprintf(&text, "[+]%s excluded: ok\n", c.name)
			continue
		}
		if err := c.run(); err != nil {
			failed = true
			fmt.Fprintf(&text, "[-]%s failed: reason withheld\n", c.name)
			continue
		}
		fmt.Fprintf(&text, "[+]%s ok\n", c.name)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case !found:
		return pathNotFound()
	case failed:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "%s%s check failed\n", text.String(), what)
	case verbose && rest == "":
		fmt.Fprintf(w, "%s%s check passed\n", text.String(), what)
	default:
		fmt.Fprint(w, "ok")
	}
	return nil
}
