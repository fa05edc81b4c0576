package apiserver

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver/aggregate"
	"github.com/skiff-k8s/skiff/internal/auth"
)

// Other API servers are joined to this one by package aggregate: what they serve is
// passed on to them (elsewhere), and told in discovery and OpenAPI as if it were served here.

func (s *Server) newAggregator() *aggregate.Aggregator {
	return aggregate.New(aggregate.Config{Client: s.Client(auth.Component("kube-aggregator")), Dial: s.dialService, ProxyCert: s.ProxyCert,
		Changed: s.forgetDocuments, Log: s.Log, Now: s.Now})
}

// RunAggregation keeps the objects of API services until the context ends, and knows how those that
// other servers answer for are.
func (s *Server) RunAggregation(ctx context.Context) error { return s.aggregator.Run(ctx) }

// forgetDocuments has documents of what is served made anew.
func (s *Server) forgetDocuments() {
	s.discovery.forget()
	s.openapi.forget()
}

// ownVersions are the group versions that are answered here: built-in ones and those of custom kinds.
func (s *Server) ownVersions() (builtin, custom []schema.GroupVersion) {
	seen := map[schema.GroupVersion]bool{}
	add := func(to *[]schema.GroupVersion, gv schema.GroupVersion) {
		if !seen[gv] {
			seen[gv] = true
			*to = append(*to, gv)
		}
	}
	for _, r := range s.kinds.Load().rows {
		if r.Custom != nil {
			add(&custom, r.GVR.GroupVersion())
			continue
		}
		add(&builtin, r.GVR.GroupVersion())
		for _, v := range r.Versions {
			if s.serves(v) {
				add(&builtin, v.GVR.GroupVersion())
			}
		}
	}
	return builtin, custom
}

// elsewhere passes a request on to the server that answers for its group version. It tells whether there is one.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request, x *exchange, group, version string) bool {
	h := s.aggregator.Handler(group, version)
	if h == nil {
		return false
	}
	s.passOn(w, r, x, h)
	return true
}

func (s *Server) passOn(w http.ResponseWriter, r *http.Request, x *exchange, h http.Handler) {
	ctx := aggregate.WithUser(r.Context(), x.user)
	if !x.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, x.deadline)
		defer cancel()
	}
	h.ServeHTTP(w, r.WithContext(ctx))
}

// discoveryElsewhere passes on what asks for the resources of a group version.
func (s *Server) discoveryElsewhere(w http.ResponseWriter, r *http.Request, x *exchange, p string) bool {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	return len(parts) == 3 && parts[0] == "apis" && s.elsewhere(w, r, x, parts[1], parts[2])
}

// dialService opens connections for the aggregator. A service's address is reached by way of one of its
// endpoints, so that it works on hosts that have no service proxy.
func (s *Server) dialService(ctx context.Context, network, address string) (net.Conn, error) {
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, e := range s.cache(all.For[*corev1.Service]()).all() {
		svc := e.object().(*corev1.Service)
		if svc.Spec.ClusterIP != host {
			continue
		}
		if _, err := strconv.Atoi(port); err != nil {
			return nil, err
		}
		if address, err = s.endpointOf(ctx, svc.Namespace, svc.Name, port); err != nil {
			return nil, err
		}
		break
	}
	return dial(ctx, network, address)
}
