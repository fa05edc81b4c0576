package apiserver

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skiff-k8s/skiff/internal/api"
)

// tallyKind is what requests are about, as far as it is served: a resource in a
// version, with a subresource; or a path.
type tallyKind struct {
	res     *api.Resource
	version *api.Version
	sub     string // or the path
}

// tally is where requests of a kind are counted: by verb, scope and whether they are dry.
type tally struct {
	kind  tallyKind
	parts [verbs][scopes][2]atomic.Pointer[series]
}

// series are the counters of requests that differ in their code only.
type series struct {
	labels   []string // without the code
	duration prometheus.Observer
	sli      prometheus.Observer // as duration, without the wait for a turn
	size     prometheus.Observer // nil where sizes are not of interest
	long     prometheus.Gauge
	mu       sync.Mutex
	codes    atomic.Pointer[[]codeCount] // a handful
}

type codeCount struct {
	code int
	n    prometheus.Counter
}

// verb and scope are labels, as indexes.
const (
	verbGet = iota
	verbList
	verbWatch
	verbPost
	verbPut
	verbPatch
	verbApply
	verbDelete
	verbDeleteCollection
	verbConnect
	verbOther
	verbs
)

var verbLabels = [verbs]string{"GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION", "CONNECT", "other"}

const (
	scopeNone = iota
	scopeResource
	scopeNamespace
	scopeCluster
	scopes
)

var scopeLabels = [scopes]string{"", "resource", "namespace", "cluster"}

func (x *exchange) verbIndex(r *http.Request) int {
	switch x.sub {
	case "attach", "exec", "portforward", "proxy":
		return verbConnect
	}
	switch x.verb {
	case "get":
		return verbGet
	case "list":
		return verbList
	case "watch":
		return verbWatch
	case "create", "post":
		return verbPost
	case "update", "put":
		return verbPut
	case "patch":
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/apply-patch+") {
			return verbApply
		}
		return verbPatch
	case "delete":
		return verbDelete
	case "deletecollection":
		return verbDeleteCollection
	}
	return verbOther
}

func (x *exchange) scopeIndex() int {
	switch {
	case !x.resourceRequest:
		return scopeNone
	case x.name != "" || x.verb == "create":
		return scopeResource
	case x.ns != "":
		return scopeNamespace
	}
	return scopeCluster
}

// kindTallied is the kind that a request counts under. What is not served counts
// under no kind, however it is called.
func (s *Server) kindTallied(x *exchange) tallyKind {
	if !x.resourceRequest {
		return tallyKind{sub: pathTallied(x.path)}
	}
	k := tallyKind{res: s.row(x.gvr())}
	if k.res == nil {
		if k.version = s.version(x.gvr()); k.version == nil {
			return tallyKind{}
		}
		k.res = k.version.Resource
	}
	if x.sub != "" && (hasSubresource(k.res, x.sub) || connectVerb(k.res, x.sub)) {
		k.sub = x.sub
	}
	return k
}

// pathTallied is the known path that a path is at or below.
func pathTallied(path string) string {
	for _, p := range [...]string{"/healthz", "/livez", "/readyz", "/metrics", "/version", "/openapi/v2", "/openapi/v3", "/apis", "/api", "/debug"} {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '/') {
			return p
		}
	}
	if path == "/" {
		return path
	}
	return ""
}

func (m *metrics) tally(k tallyKind) *tally {
	if have := m.tallies.Load(); have != nil {
		if c := (*have)[k]; c != nil {
			return c
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[tallyKind]*tally{}
	if have := m.tallies.Load(); have != nil {
		if c := (*have)[k]; c != nil {
			return c
		}
		next = maps.Clone(*have)
	}
	c := &tally{kind: k}
	next[k] = c
	m.tallies.Store(&next)
	m.noteDeprecated(k)
	return c
}

// noteDeprecated tells which deprecated kinds are asked for at all.
func (m *metrics) noteDeprecated(k tallyKind) {
	if k.res == nil {
		return
	}
	gvr, text := k.res.GVR, k.res.Deprecated
	if k.version != nil {
		gvr, text = k.version.GVR, k.version.Deprecated
	}
	if text == "" {
		return
	}
	_, rest, _ := strings.Cut(text, "unavailable in v")
	removed, _, _ := strings.Cut(rest, "+")
	m.old.WithLabelValues(gvr.Group, gvr.Version, gvr.Resource, k.sub, removed).Set(1)
}

// series finds the counters of a request.
func (m *metrics) series(s *Server, r *http.Request, x *exchange) *series {
	m.of(s)
	c := m.tally(s.kindTallied(x))
	verb, scope, dry := x.verbIndex(r), x.scopeIndex(), 0
	if c.kind.res == nil {
		scope = scopeNone
	}
	if r.URL.RawQuery != "" && strings.Contains(r.URL.RawQuery, "dryRun=") {
		dry = 1
	}
	p := &c.parts[verb][scope][dry]
	if have := p.Load(); have != nil {
		return have
	}
	made := m.newSeries(c.kind, verb, scope, dry)
	if p.CompareAndSwap(nil, made) {
		return made
	}
	return p.Load()
}

func (m *metrics) newSeries(k tallyKind, verb, scope, dry int) *series {
	group, version, resource := "", "", ""
	if k.res != nil {
		gvr := k.res.GVR
		if k.version != nil {
			gvr = k.version.GVR
		}
		group, version, resource = gvr.Group, gvr.Version, gvr.Resource
	}
	v, sc := verbLabels[verb], scopeLabels[scope]
	se := &series{labels: []string{v, [...]string{"", "All"}[dry], group, version, resource, k.sub, sc, "apiserver"}}
	se.duration = m.duration.WithLabelValues(se.labels...)
	se.sli = m.sli.WithLabelValues(v, group, version, resource, k.sub, sc, "apiserver")
	if verb == verbGet || verb == verbList {
		se.size = m.sizes.WithLabelValues(v, group, version, resource, k.sub, sc, "apiserver")
	}
	switch {
	case verb == verbWatch, verb == verbConnect, k.sub == "log", k.sub == "/debug":
		se.long = m.long.WithLabelValues(v, group, version, resource, k.sub, sc, "apiserver")
	}
	return se
}

func (se *series) code(m *metrics, code int) prometheus.Counter {
	have := se.codes.Load()
	if have != nil {
		for _, c := range *have {
			if c.code == code {
				return c.n
			}
		}
	}
	se.mu.Lock()
	defer se.mu.Unlock()
	var next []codeCount
	if have = se.codes.Load(); have != nil {
		next = append(next, *have...)
	}
	// Made twice, it is the same counter.
	n := m.requests.WithLabelValues(append(se.labels[:len(se.labels):len(se.labels)], strconv.Itoa(code))...)
	next = append(next, codeCount{code, n})
	se.codes.Store(&next)
	return n
}

// begin counts a request in, end counts it out and notes how it went.
func (m *metrics) begin(s *Server, r *http.Request, x *exchange) {
	if x.longRunning() {
		if se := m.series(s, r, x); se.long != nil {
			se.long.Inc()
			x.long = se.long
		}
		return
	}
	x.inflight = &m.inflight[0]
	switch x.verb {
	case "create", "update", "patch", "delete", "deletecollection", "post", "put":
		x.inflight = &m.inflight[1]
	}
	x.inflight.Add(1)
}

func (m *metrics) end(s *Server, r *http.Request, x *exchange, a *answer) {
	if x.long != nil {
		x.long.Dec()
	}
	if x.inflight != nil {
		x.inflight.Add(-1)
	}
	se := m.series(s, r, x)
	code := a.code
	if code == 0 {
		code = http.StatusOK // nothing was written: package http says this
	}
	se.code(m, code).Inc()
	took := since(x.began)
	se.duration.Observe(took)
	se.sli.Observe(took - x.waited.Seconds())
	if se.size != nil {
		se.size.Observe(float64(a.bytes))
	}
}

// eventCount is where a watch counts what it sends.
type eventCount struct {
	n    prometheus.Counter
	size prometheus.Observer
}

func (s *Server) eventCount(x *exchange) eventCount {
	m := s.metrics.of(s)
	return eventCount{m.events.WithLabelValues(x.group, x.info.version, x.resource), m.eventSizes.WithLabelValues(x.group, x.info.version, x.resource)}
}

// add counts events of a size.
func (c eventCount) add(size, times int) {
	if times == 0 {
		return
	}
	c.n.Add(float64(times))
	for range times {
		c.size.Observe(float64(size))
	}
}
