package apiserver

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
)

// metrics are what the server counts, under upstream's names. Label values come
// from closed lists (kinds that are served, known verbs), so that no client can
// make the server remember what it makes up.
type metrics struct {
	once     sync.Once
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	sizes    *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	sent     *prometheus.CounterVec
	old      *prometheus.GaugeVec
	inflight [2]atomic.Int64 // read only, mutating
	long     atomic.Int64
	series   sync.Map // seriesKey → *series: label lookups are made once
}

// seriesKey is what requests are counted by.
type seriesKey struct {
	verb, group, version, resource, sub, scope string
	dryRun                                     bool
	code                                       int
}

type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
	size     prometheus.Observer
}

var requestBuckets = []float64{0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60}

func (m *metrics) init(s *Server) {
	m.registry = prometheus.NewRegistry()
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, f))
	}
	m.requests = counter("apiserver_request_total", "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
		"verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code")
	m.duration = histogram("apiserver_request_duration_seconds", "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
		requestBuckets, "verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component")
	m.sizes = histogram("apiserver_response_sizes", "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
		prometheus.ExponentialBuckets(1000, 10, 7), "verb", "group", "version", "resource", "subresource", "scope", "component")
	m.refused = counter("apiserver_flowcontrol_rejected_requests_total", "Number of requests rejected by API Priority and Fairness subsystem", "flow_schema", "priority_level", "reason")
	m.sent = counter("apiserver_watch_events_total", "Number of events sent in watch clients", "group", "version", "resource")
	m.old = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "apiserver_requested_deprecated_apis", Help: "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release."},
		[]string{"group", "version", "resource", "subresource"})
	m.registry.MustRegister(m.old)
	for i, kind := range []string{"readOnly", "mutating"} {
		gauge("apiserver_current_inflight_requests", "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
			prometheus.Labels{"request_kind": kind}, func() float64 { return float64(m.inflight[i].Load()) })
	}
	gauge("apiserver_longrunning_requests", "Gauge of all active long-running apiserver requests. Not all requests are tracked this way.", nil, func() float64 { return float64(m.long.Load()) })
	gauge("kubernetes_build_info", "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
		prometheus.Labels{"major": s.Version.Major, "minor": s.Version.Minor, "git_version": s.Version.GitVersion, "go_version": s.Version.GoVersion, "platform": s.Version.Platform}, func() float64 { return 1 })
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), looks{s})
}

func (m *metrics) of(s *Server) *metrics {
	m.once.Do(func() { m.init(s) })
	return m
}

// looks collects what is known at the moment of the question.
type looks struct{ s *Server }

var (
	storedDesc    = prometheus.NewDesc("apiserver_storage_objects", "Number of stored objects at the time of last check split by kind.", []string{"resource"}, nil)
	resourceDesc  = prometheus.NewDesc("apiserver_resource_objects", "Number of stored objects at the time of last check split by kind.", []string{"group", "resource"}, nil)
	executingDesc = prometheus.NewDesc("apiserver_flowcontrol_current_executing_seats", "Concurrency (number of seats) occupied by the currently executing requests in the API Priority and Fairness subsystem", []string{"priority_level"}, nil)
	waitingDesc   = prometheus.NewDesc("apiserver_flowcontrol_current_inqueue_requests", "Number of requests currently pending in queues of the API Priority and Fairness subsystem", []string{"priority_level"}, nil)
	seatsDesc     = prometheus.NewDesc("apiserver_flowcontrol_nominal_limit_seats", "Nominal number of execution seats configured for each priority level", []string{"priority_level"}, nil)
	watchersDesc  = prometheus.NewDesc("apiserver_watch_cache_watchers", "Number of watches by kind.", []string{"group", "resource"}, nil)
	revisionDesc  = prometheus.NewDesc("apiserver_storage_revision", "The last revision of the store, and the oldest one that can be read.", []string{"which"}, nil)
)

func (l looks) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storedDesc, resourceDesc, executingDesc, waitingDesc, seatsDesc, watchersDesc, revisionDesc} {
		ch <- d
	}
}

func (l looks) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, r := range l.s.rows {
		c := l.s.caches[r]
		if c == nil {
			continue
		}
		n := c.size()
		gauge(storedDesc, n, r.GroupResource().String())
		gauge(resourceDesc, n, r.GVR.Group, r.GVR.Resource)
		if w := c.watching(); w > 0 {
			gauge(watchersDesc, w, r.GVR.Group, r.GVR.Resource)
		}
	}
	l.s.flowConfig()
	for name, n := range l.s.flow.pool.Numbers() {
		gauge(executingDesc, n.Executing, name)
		gauge(waitingDesc, n.Waiting, name)
		gauge(seatsDesc, n.Seats, name)
	}
	current, oldest := l.s.Store.Revision()
	gauge(revisionDesc, int(current), "current")
	gauge(revisionDesc, int(oldest), "oldest")
}

func (m *metrics) rejected(p flow.Place, reason string) {
	if m.registry != nil {
		m.refused.WithLabelValues(p.Schema.Name, p.Level.Name, reason).Inc()
	}
}

// begin counts a request in; the function that it returns counts it out.
func (m *metrics) begin(x *exchange, long bool) func() {
	gauge := &m.long
	if !long {
		gauge = &m.inflight[0]
		switch x.verb {
		case "create", "update", "patch", "delete", "deletecollection", "post", "put":
			gauge = &m.inflight[1]
		}
	}
	gauge.Add(1)
	return func() { gauge.Add(-1) }
}

// end notes how a request went. What names no resource that is served is counted without one.
func (m *metrics) end(s *Server, x *exchange, r *http.Request, code int, size int64) {
	m.of(s)
	k := seriesKey{verb: verbLabel(x), dryRun: r.URL.RawQuery != "" && r.URL.Query().Has("dryRun"), code: code}
	if x.resourceRequest && (s.row(x.gvr()) != nil || x.version != nil) {
		k.group, k.version, k.resource, k.scope = x.group, x.info.version, x.resource, scopeLabel(x)
		if res := s.row(x.gvr()); x.sub != "" && res != nil && hasSubresource(res, x.sub) {
			k.sub = x.sub
		}
	}
	have, ok := m.series.Load(k)
	if !ok {
		dry := ""
		if k.dryRun {
			dry = "All"
		}
		have, _ = m.series.LoadOrStore(k, &series{
			requests: m.requests.WithLabelValues(k.verb, dry, k.group, k.version, k.resource, k.sub, k.scope, "apiserver", strconv.Itoa(k.code)),
			duration: m.duration.WithLabelValues(k.verb, dry, k.group, k.version, k.resource, k.sub, k.scope, "apiserver"),
			size:     m.sizes.WithLabelValues(k.verb, k.group, k.version, k.resource, k.sub, k.scope, "apiserver"),
		})
	}
	se := have.(*series)
	se.requests.Inc()
	if k.verb != "WATCH" && k.verb != "CONNECT" {
		se.duration.Observe(time.Since(x.began).Seconds())
		se.size.Observe(float64(size))
	}
}

func verbLabel(x *exchange) string {
	switch x.verb {
	case "get", "list", "watch", "patch", "delete":
		return map[string]string{"get": "GET", "list": "LIST", "watch": "WATCH", "patch": "PATCH", "delete": "DELETE"}[x.verb]
	case "create", "post":
		return "POST"
	case "update", "put":
		return "PUT"
	case "deletecollection":
		return "DELETECOLLECTION"
	}
	return "OTHER"
}

func scopeLabel(x *exchange) string {
	switch {
	case x.name != "":
		return "resource"
	case x.ns != "":
		return "namespace"
	}
	return "cluster"
}

// serveMetrics answers in the text format of Prometheus.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	s.metrics.of(s)
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
}
