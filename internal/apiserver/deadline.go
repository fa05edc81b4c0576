package apiserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// requestTimeout is how long a request may take, from its head to the end of its answer.
const requestTimeout = time.Minute

// longRunning tells whether the request is one that lasts as long as both sides
// want: watches, and connections to containers, pods, services and nodes.
func (i *info) longRunning() bool {
	if !i.resourceRequest {
		return strings.HasPrefix(i.path, "/debug/pprof/")
	}
	if i.verb == "watch" {
		return true
	}
	switch i.sub {
	case "attach", "exec", "log", "portforward", "proxy":
		return true
	}
	return false
}

// stageDeadline gives every request but the long-running ones its time. The HTTP
// server cuts off who sends or reads too slowly (cluster/serve.go); long-running
// requests are freed of that: they look after themselves (watch.go).
func (s *Server) stageDeadline(w http.ResponseWriter, r *http.Request, x *exchange) error {
	if x.longRunning() {
		// Errors only mean that this connection knows no deadlines.
		c := http.NewResponseController(w)
		c.SetReadDeadline(time.Time{})
		c.SetWriteDeadline(time.Time{})
		return nil
	}
	timeout := requestTimeout
	if r.URL.RawQuery != "" && strings.Contains(r.URL.RawQuery, "timeout=") {
		if v := r.URL.Query().Get("timeout"); v != "" {
			d, err := time.ParseDuration(v)
			if err != nil {
				return apierrors.NewBadRequest("invalid timeout specified in the request URL - " + err.Error())
			}
			// compat: nothing or less is no wish, and nobody gets more than the maximum.
			if d > 0 && d < timeout {
				timeout = d
			}
		}
	}
	x.deadline = x.began.Add(timeout)
	if r.Method == http.MethodGet && r.URL.RawQuery == "" {
		return nil // reads of what is there wait for nothing: spare them the timer
	}
	ctx, cancel := context.WithDeadline(r.Context(), x.deadline)
	x.release = cancel
	*r = *r.WithContext(ctx) // r is the pipeline's own copy
	return nil
}

// timedOut turns what a handler made of the end of its time into what clients know.
func timedOut(r *http.Request, err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || errors.Is(err, errNoPage) {
		return err
	}
	switch r.Context().Err() {
	case context.DeadlineExceeded:
		return apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0)
	case context.Canceled:
		// Nobody reads the answer, and it is nothing to log.
		return apierrors.NewInternalError(err)
	}
	return err
}
