package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
	"github.com/skiff-k8s/skiff/internal/auth"
)

// exchange is one request on its way through the stages.
type exchange struct {
	*info
	user     *auth.User
	row      *api.Resource
	version  *api.Version // in which the request speaks; nil: the stored one
	warnings []string
	empties  bool // the body has empty lists or maps
	accept   accepted
	// readBy bounds the time for reading the body.
	readBy   func(time.Time) error
	began    time.Time
	deadline time.Time     // zero: none
	waited   time.Duration // for its turn
	release  func()        // ends the request's time
	ticket   flow.Ticket
	// What the request is counted in while it lasts.
	long     prometheus.Gauge
	inflight *atomic.Int64
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

func (x *exchange) warn(text string) { x.warnings = append(x.warnings, text) }

// stage looks at a request and either answers it (and returns true) or lets it pass.
type stage struct {
	name string
	run  func(s *Server, w http.ResponseWriter, r *http.Request, x *exchange) error
}

// stages are the pipeline, in execution order. Each may refuse the request with an API status.
var stages = []stage{
	{"deadline", (*Server).stageDeadline},
	{"authenticate", (*Server).stageAuthenticate},
	{"impersonate", (*Server).stageImpersonate},
	{"flow control", (*Server).stageFlow},
	{"authorize", (*Server).stageAuthorize},
	{"route", (*Server).stageRoute},
}

// ServeHTTP runs the stages.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	x := &exchange{info: parseInfo(r), began: time.Now(), readBy: http.NewResponseController(rw).SetReadDeadline}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	w := &answer{ResponseWriter: rw, r: r}
	s.metrics.begin(s, r, x)
	defer func() {
		s.leaveFlow(x)
		if x.release != nil {
			x.release()
		}
		s.metrics.end(s, r, x, w)
	}()
	defer func() {
		p := recover()
		switch {
		case p == nil:
			w.finish()
			return
		case p == http.ErrAbortHandler:
			w.abandon()
			panic(p)
		}
		var refused *unconverted
		if err, ok := p.(error); ok && errors.As(err, &refused) && !w.written() {
			s.writeError(w, r, x, refused.err)
			w.finish()
			return
		}
		s.Log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if w.written() {
			// What is out cannot be taken back: all that is left is to break off.
			w.abandon()
			panic(http.ErrAbortHandler)
		}
		s.writeError(w, r, x, apierrors.NewInternalError(fmt.Errorf("this request caused the server to panic: %s %s", r.Method, r.URL.Path)))
		w.finish()
	}()
	w.Header().Set("Audit-Id", string(uuid.NewUUID()))
	w.Header().Set("Cache-Control", "no-cache, private")
	for _, st := range stages {
		if err := st.run(s, w, r, x); err != nil {
			s.writeError(w, r, x, timedOut(r, err))
			return
		}
	}
}

// stageAuthorize admits administrators to everything, everybody to what is
// public and whoever is known to discovery.
func (s *Server) stageAuthorize(_ http.ResponseWriter, r *http.Request, x *exchange) error {
	if x.user.In(auth.GroupMasters) {
		return nil
	}
	if !x.resourceRequest {
		// What system:public-info-viewer and system:discovery may read.
		public := []string{"/healthz", "/livez", "/readyz", "/version", "/version/"}
		known := []string{"/api", "/apis", "/openapi"}
		// What system:service-account-issuer-discovery lets service accounts read.
		if x.user.In("system:serviceaccounts") {
			known = append(known, "/"+openIDConfiguration, "/"+openIDKeys)
		}
		at := func(p string) bool { return x.path == p || strings.HasPrefix(x.path, p+"/") }
		if r.Method == http.MethodGet && (slices.Contains(public, x.path) || x.user.In(auth.GroupAuthenticated) && slices.ContainsFunc(known, at)) {
			return nil
		}
		return refused(x, x.verb)
	}
	// What system:basic-user lets everybody ask who is known: about themselves.
	self := x.group == "authorization.k8s.io" && (x.resource == "selfsubjectaccessreviews" || x.resource == "selfsubjectrulesreviews") || x.group == "authentication.k8s.io" && x.resource == "selfsubjectreviews"
	if self && x.verb == "create" && x.sub == "" && x.name == "" && x.user.In(auth.GroupAuthenticated) {
		return nil
	}
	return refused(x, x.verb)
}

// refused says that the user may not do something with what the request is about.
func refused(x *exchange, verb string) error {
	if !x.resourceRequest {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
			Details: &metav1.StatusDetails{}, Message: fmt.Sprintf("forbidden: User %q cannot %s path %q", x.user.Name, verb, x.path)}}
	}
	resource := x.resource
	if x.sub != "" {
		resource += "/" + x.sub
	}
	where := "at the cluster scope"
	if x.ns != "" {
		where = fmt.Sprintf("in the namespace %q", x.ns)
	}
	gr := x.gvr().GroupResource()
	return apierrors.NewForbidden(gr, x.authorizedName(), fmt.Errorf("User %q cannot %s resource %q in API group %q %s", x.user.Name, verb, resource, x.group, where))
}
