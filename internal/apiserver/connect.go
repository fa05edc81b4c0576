package apiserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// connectVerb tells whether the subresource is a connection to somewhere rather than a part of the object.
func connectVerb(r *api.Resource, sub string) bool {
	if r.GVR.Group != "" {
		return false
	}
	switch r.GVR.Resource + "/" + sub {
	case "pods/log", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy":
		return true
	}
	return false
}

func (s *Server) serveConnect(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	switch x.resource + "/" + x.sub {
	case "pods/log":
		if x.verb != "get" {
			return notAllowed(x)
		}
		if err := checkLogOptions(x.name, r.URL.Query()); err != nil {
			return err
		}
		return s.connectPod(w, r, x, "containerLogs", true)
	case "pods/exec":
		return s.connectPod(w, r, x, "exec", true)
	case "pods/attach":
		return s.connectPod(w, r, x, "attach", true)
	case "pods/portforward":
		return s.connectPod(w, r, x, "portForward", false)
	case "pods/proxy":
		return s.proxyPod(w, r, x)
	case "services/proxy":
		return s.proxyService(w, r, x)
	}
	return s.proxyNode(w, r, x)
}

func (s *Server) podOf(ctx context.Context, x *exchange, name string) (*corev1.Pod, error) {
	return client.Get[*corev1.Pod](ctx, s.Client(auth.System), x.ns, name)
}

// connectPod hands the request to the kubelet of the pod's node, under the kubelet's own path.
func (s *Server) connectPod(w http.ResponseWriter, r *http.Request, x *exchange, verb string, container bool) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return notAllowed(x)
	}
	pod, err := s.podOf(r.Context(), x, x.name)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	p := "/" + verb + "/" + pod.Namespace + "/" + pod.Name
	if container {
		name, err := containerOf(pod, q.Get("container"))
		if err != nil {
			return err
		}
		q.Del("container")
		p += "/" + url.PathEscape(name)
	}
	if pod.Spec.NodeName == "" {
		if verb == "containerLogs" {
			// Nothing was said yet, which is not an error for who follows.
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	if verb == "exec" || verb == "attach" {
		renameStreamParams(q)
	}
	if verb == "exec" && len(q["command"]) == 0 {
		return apierrors.NewBadRequest("you must specify at least one command for the container")
	}
	return s.toNode(w, r, pod.Spec.NodeName, p, q)
}

// renameStreamParams turns the API's names of the streams into the kubelet's.
func renameStreamParams(q url.Values) {
	for from, to := range map[string]string{"stdin": "input", "stdout": "output", "stderr": "error"} {
		if on, _ := strconv.ParseBool(q.Get(from)); on {
			q.Set(to, "1")
		}
		q.Del(from)
	}
	if on, _ := strconv.ParseBool(q.Get("tty")); on {
		q.Set("tty", "1")
	} else {
		q.Del("tty")
	}
}

// containerOf checks the container's name, or finds the one that is meant when none is given.
func containerOf(pod *corev1.Pod, name string) (string, error) {
	var names, inits []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.InitContainers {
		inits = append(inits, c.Name)
	}
	if name == "" {
		if len(names) == 1 {
			return names[0], nil
		}
		msg := fmt.Sprintf("a container name must be specified for pod %s, choose one of: [%s]", pod.Name, strings.Join(names, " "))
		if len(inits) > 0 {
			msg += fmt.Sprintf(" or one of the init containers: [%s]", strings.Join(inits, " "))
		}
		return "", apierrors.NewBadRequest(msg)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names = append(names, c.Name)
	}
	for _, n := range append(names, inits...) {
		if n == name {
			return name, nil
		}
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
}

// toNode passes the request on to a node's kubelet API.
func (s *Server) toNode(w http.ResponseWriter, r *http.Request, node, path string, q url.Values) error {
	if s.Node == nil {
		return apierrors.NewServiceUnavailable("this server runs without nodes")
	}
	h, err := s.Node(r.Context(), node)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("error dialing backend of node %s: %w", node, err))
	}
	out := r.Clone(r.Context())
	out.URL.Path, out.URL.RawPath = path, ""
	out.URL.RawQuery = q.Encode()
	out.RequestURI = out.URL.RequestURI()
	h.ServeHTTP(w, out)
	return nil
}

// splitName reads [scheme:]name[:port].
func splitName(s string) (scheme, name, port string, ok bool) {
	switch p := strings.Split(s, ":"); len(p) {
	case 1:
		return "", p[0], "", true
	case 2:
		return "", p[0], p[1], true
	case 3:
		return p[0], p[1], p[2], p[0] == "http" || p[0] == "https" || p[0] == ""
	}
	return "", "", "", false
}

func (s *Server) proxyPod(w http.ResponseWriter, r *http.Request, x *exchange) error {
	scheme, name, port, ok := splitName(x.name)
	if !ok {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid pod request %q", x.name))
	}
	pod, err := s.podOf(r.Context(), x, name)
	if err != nil {
		return err
	}
	if port == "" {
		for _, c := range pod.Spec.Containers {
			if len(c.Ports) > 0 {
				port = strconv.Itoa(int(c.Ports[0].ContainerPort))
				break
			}
		}
	} else if _, err := strconv.Atoi(port); err != nil {
		for _, c := range pod.Spec.Containers {
			for _, p := range c.Ports {
				if p.Name == port {
					port = strconv.Itoa(int(p.ContainerPort))
				}
			}
		}
	}
	if pod.Status.PodIP == "" {
		return apierrors.NewBadRequest("address not allowed")
	}
	if port == "" {
		port = "80"
	}
	return s.proxyTo(w, r, x, scheme, net.JoinHostPort(pod.Status.PodIP, port))
}

func (s *Server) proxyService(w http.ResponseWriter, r *http.Request, x *exchange) error {
	scheme, name, port, ok := splitName(x.name)
	if !ok {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid service request %q", x.name))
	}
	address, err := s.endpointOf(r.Context(), x.ns, name, port)
	if err != nil {
		return err
	}
	return s.proxyTo(w, r, x, scheme, address)
}

// resolve finds where a webhook's service is.
func (s *Server) resolve(ctx context.Context, ns, name string, port int32) (string, error) {
	return s.endpointOf(ctx, ns, name, strconv.Itoa(int(port)))
}

// endpointOf is the address of an endpoint that is ready behind a port of a service,
// which is named, numbered, or the only one.
func (s *Server) endpointOf(ctx context.Context, ns, name, port string) (string, error) {
	l := s.Client(auth.System)
	svc, err := client.Get[*corev1.Service](ctx, l, ns, name)
	if err != nil {
		return "", err
	}
	portName, found := "", false
	for _, p := range svc.Spec.Ports {
		if port == "" && (len(svc.Spec.Ports) == 1 || p.Name == "") || p.Name == port && port != "" || strconv.Itoa(int(p.Port)) == port {
			portName, found = p.Name, true
			break
		}
	}
	if !found {
		return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %q found for service %q", port, name))
	}
	slices, _, err := l.List(ctx, sliceRow(), ns, client.Selector{Labels: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name})})
	if err != nil {
		return "", err
	}
	for _, o := range slices {
		sl := o.(*discoveryv1.EndpointSlice)
		for _, p := range sl.Ports {
			if p.Port == nil || p.Name == nil && portName != "" || p.Name != nil && *p.Name != portName {
				continue
			}
			for _, ep := range sl.Endpoints {
				if (ep.Conditions.Ready == nil || *ep.Conditions.Ready) && len(ep.Addresses) > 0 {
					return net.JoinHostPort(ep.Addresses[0], strconv.Itoa(int(*p.Port))), nil
				}
			}
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
}

// dialTime is how long a connection may take to stand.
const dialTime = 30 * time.Second

// kubeletPort is the one port of a node that may be asked for.
const kubeletPort = "10250"

func (s *Server) proxyNode(w http.ResponseWriter, r *http.Request, x *exchange) error {
	scheme, name, port, ok := splitName(x.name)
	if !ok {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid node request %q", x.name))
	}
	// The kubelet is reached by the node's name, never by an address that its status
	// claims (CVE-2022-3294), and nothing else on the node is reached at all.
	if scheme == "http" || port != "" && port != kubeletPort {
		return apierrors.NewBadRequest("address not allowed")
	}
	if _, err := client.Get[*corev1.Node](r.Context(), s.Client(auth.System), "", name); err != nil {
		return err
	}
	return s.toNode(w, r, name, "/"+x.rest, r.URL.Query())
}

// allowedTarget refuses what only the server's own host could reach: its
// loopback, link-local addresses (cloud metadata), multicast, broadcast and the
// like. Names are refused too: what is checked must be what is dialled.
func allowedTarget(host string) bool {
	h, _, err := net.SplitHostPort(host)
	ip := net.ParseIP(h)
	return err == nil && ip != nil && ip.IsGlobalUnicast() && !ip.IsLoopback()
}

// proxyTo passes the request to an address. Redirects go back to the client;
// the address is dialled as it is, so nothing can be renamed under way.
func (s *Server) proxyTo(w http.ResponseWriter, r *http.Request, x *exchange, scheme, host string) error {
	if !allowedTarget(host) {
		return apierrors.NewBadRequest("address not allowed")
	}
	if scheme == "" {
		scheme = "http"
	}
	// kubectl and browsers follow relative links only below a slash.
	if x.rest == "" && !strings.HasSuffix(r.URL.Path, "/") && r.Method == http.MethodGet {
		target := r.URL.EscapedPath() + "/"
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusMovedPermanently)
		return nil
	}
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	p := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host = scheme, host
			pr.Out.URL.Path, pr.Out.URL.RawPath = "/"+x.rest, ""
			pr.Out.Host = host
			pr.SetXForwarded()
			pr.Out.Header.Set("X-Forwarded-Uri", r.URL.EscapedPath())
			onlyStreams(pr.Out.Header)
		},
		Transport:     &http.Transport{DialContext: dial, TLSClientConfig: insecureTLS, DisableKeepAlives: true, DisableCompression: true},
		FlushInterval: 200 * time.Millisecond,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			s.writeError(w, r, x, apierrors.NewServiceUnavailable(fmt.Sprintf("error trying to reach service: %v", err)))
		},
	}
	p.ServeHTTP(w, r)
	return nil
}

// onlyStreams lets WebSocket and SPDY through: a connection that turned into
// anything else (HTTP/2 in the clear) would be one that nobody authorizes requests on.
func onlyStreams(h http.Header) {
	switch u := strings.ToLower(h.Get("Upgrade")); u {
	case "", "websocket", "spdy/3.1":
	default:
		h.Del("Upgrade")
		h.Del("Connection")
	}
}

// insecureTLS is for backends behind the proxy subresource with scheme https: upstream does not verify them either.
var insecureTLS = &tls.Config{InsecureSkipVerify: true}

func sliceRow() *api.Resource { return all.For[*discoveryv1.EndpointSlice]() }
