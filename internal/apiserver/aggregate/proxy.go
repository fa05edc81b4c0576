package aggregate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/auth"
)

// ServeHTTP passes a request on to the backend, as the user that its context names.
//
// compat: what goes wrong here is told as plain text, not as a Status. Clients put
// words of their own in its place ("the server is currently unable to handle the
// request"), which is what people look for.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := b.state.Load()
	u := userOf(r.Context())
	switch {
	case !st.available:
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	case st.link.err != nil:
		http.Error(w, st.link.err.Error(), http.StatusInternalServerError)
		return
	case u == nil:
		http.Error(w, "missing user", http.StatusInternalServerError)
		return
	case stepsAside(r.URL.Path):
		http.NotFound(w, r)
		return
	}
	host, err := b.a.host(r.Context(), st)
	if err != nil {
		b.a.Log.Error("no way to the service of an APIService", "apiservice", b.name, "err", err)
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	p := passing{b: b, st: st, user: u, host: host, upgrade: upgradeOf(r.Header), audit: w.Header().Get("Audit-Id")}
	ctx, end := p.bound(r)
	defer end()
	p.serve(w, r.WithContext(ctx), r)
}

// stepsAside tells whether a path means another one than it says: who reads it
// differently than we did when it was authorized would do something else.
func stepsAside(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

// host is where the backend's service is now.
func (a *Aggregator) host(ctx context.Context, st *state) (string, error) {
	ref := st.object.Spec.Service
	o, err := a.Client.Get(ctx, all.For[*corev1.Service](), ref.Namespace, ref.Name)
	if err != nil {
		return "", err
	}
	return hostOf(o.(*corev1.Service), apiregistration.PortOf(ref))
}

// passing is a request on its way.
type passing struct {
	b        *backend
	st       *state
	user     *auth.User
	host     string
	upgrade  string // what the connection is to become; empty: nothing
	audit    string
	switched atomic.Bool
}

// upgradeOf is the protocol that a client asks for, if it is one that may be passed on: a
// connection that turned into anything else (HTTP/2 in the clear) would be one
// that nobody authorizes requests on.
func upgradeOf(h http.Header) string {
	asked := false
	for _, v := range h.Values("Connection") {
		for t := range strings.SplitSeq(v, ",") {
			asked = asked || strings.EqualFold(strings.TrimSpace(t), "upgrade")
		}
	}
	switch u := strings.ToLower(h.Get("Upgrade")); {
	case asked && (u == "websocket" || u == "spdy/3.1"):
		return u
	}
	return ""
}

// bound gives the request its end. What clients learn the resources of a group
// from must be fast. A connection that has become another one has no deadline, but
// it ends when the server does, and so do watches.
func (p *passing) bound(r *http.Request) (context.Context, func()) {
	ctx := r.Context()
	if discovers(r.URL.Path) {
		return context.WithTimeout(ctx, p.b.a.checkTime)
	}
	if p.upgrade == "" && r.URL.Query().Get("watch") == "" {
		return ctx, func() {}
	}
	outer := ctx
	if p.upgrade != "" {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(outer, func() {
		if !p.switched.Load() || errors.Is(outer.Err(), context.Canceled) {
			cancel()
		}
	})
	stopDrain := context.AfterFunc(p.b.a.life, cancel)
	return ctx, func() { stop(); stopDrain(); cancel() }
}

// discovers tells whether a path is that of a group version: /apis/group/version.
func discovers(path string) bool { return len(strings.Split(strings.Trim(path, "/"), "/")) == 3 }

func (p *passing) serve(w http.ResponseWriter, r, original *http.Request) {
	var transport http.RoundTripper = twice{p.st.link.requests}
	if p.upgrade != "" {
		transport = p.st.link.upgrades
	}
	// A trial first: what Rewrite finds wrong it could not tell.
	if err := setIdentity(http.Header{}, p.user); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	(&httputil.ReverseProxy{
		Rewrite:        func(pr *httputil.ProxyRequest) { p.rewrite(pr) },
		ModifyResponse: func(res *http.Response) error { return p.answered(w, res) },
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, err error) { p.failed(w, original, err) },
		Transport:      transport,
		FlushInterval:  -1, // watches must not wait
		BufferPool:     buffers{},
		ErrorLog:       slog.NewLogLogger(p.b.a.Log.Handler(), slog.LevelDebug),
	}).ServeHTTP(w, r)
}

// twice asks once more what may be asked twice, when the connection that was at hand turns
// out to be one that the backend has left: the first to ask after a restart is
// not the one to be told of it.
type twice struct{ http.RoundTripper }

func (t twice) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	read := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Body == nil
	if err != nil && read && left(err) && r.Context().Err() == nil {
		return t.RoundTripper.RoundTrip(r)
	}
	return res, err
}

// left tells whether a connection ended before the answer began.
func left(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// rewrite makes the request that the backend gets. The path stays as it is; the
// query is written anew from what was understood of it.
func (p *passing) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host, out.Host = "https", p.host, p.host
	out.URL.RawQuery = pr.In.URL.Query().Encode()
	if p.upgrade == "" {
		out.Header.Del("Upgrade")
		out.Header.Del("Connection")
	}
	dropIdentity(out.Header)
	setIdentity(out.Header, p.user)
	if ip, _, err := net.SplitHostPort(pr.In.RemoteAddr); err == nil {
		out.Header.Set("X-Forwarded-For", ip)
	}
	if p.audit != "" {
		out.Header.Set("Audit-Id", p.audit)
	}
}

// answered looks at what the backend says before the client sees it.
func (p *passing) answered(w http.ResponseWriter, res *http.Response) error {
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols && p.upgrade == "":
		return errors.New("invalid upgrade response: nobody asked for an upgrade")
	case res.StatusCode == http.StatusSwitchingProtocols:
		p.switched.Store(true)
	case p.upgrade != "" && res.StatusCode < http.StatusBadRequest:
		return fmt.Errorf("invalid upgrade response: status code %d", res.StatusCode)
	case res.StatusCode >= 300 && res.StatusCode <= 399 && res.Header.Get("Location") != "":
		// Neither we nor a client with its credentials may be sent elsewhere.
		res.Body.Close()
		const text = "the backend attempted to redirect this request, which is not permitted"
		res.StatusCode, res.Header, res.Trailer = http.StatusBadGateway, http.Header{}, nil
		res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
	for k := range res.Header {
		// Which pages of others may read answers of this server is not the backend's to say.
		if strings.HasPrefix(k, "Access-Control-") {
			delete(res.Header, k)
		}
	}
	// One of each: the backend's word on caching, our number for the request.
	if p.audit != "" {
		res.Header.Del("Audit-Id")
	}
	if res.Header.Get("Cache-Control") != "" {
		w.Header().Del("Cache-Control")
	}
	return nil
}

// failed tells that the backend did not answer.
func (p *passing) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch r.Context().Err() {
	case context.Canceled: // nobody reads it
	case context.DeadlineExceeded:
		status := apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0).Status()
		status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		body, err := json.Marshal(status)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGatewayTimeout)
		w.Write(append(body, '\n'))
		return
	}
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// buffers lends the space that answers are copied through.
type buffers struct{}

var spare = sync.Pool{New: func() any { return new([32 << 10]byte) }}

func (buffers) Get() []byte  { return spare.Get().(*[32 << 10]byte)[:] }
func (buffers) Put(b []byte) { spare.Put((*[32 << 10]byte)(b)) }
