package apiserver

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what the server counts, under upstream's names. Label values come
// from closed lists (kinds that are served, known verbs), so that no client can
// make the server remember what it makes up. What each request counts in is looked
// up once per kind, verb and scope (series.go); what can be read when somebody asks
// is read then (gauges.go).
type metrics struct {
	once     sync.Once
	registry *prometheus.Registry

	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	sli        *prometheus.HistogramVec
	expiry     prometheus.Histogram
	sizes      *prometheus.HistogramVec
	long       *prometheus.GaugeVec
	events     *prometheus.CounterVec
	eventSizes *prometheus.HistogramVec
	old        *prometheus.GaugeVec

	inflight [2]atomic.Int64 // read only, mutating

	mu      sync.Mutex // of changes of tallies
	tallies atomic.Pointer[map[tallyKind]*tally]
}

var requestLabels = []string{"verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"}

// The buckets are upstream's.
var requestBuckets = []float64{0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60}

// From half an hour to a year.
var expiryBuckets = []float64{0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000}

func (m *metrics) init(s *Server) {
	m.registry = prometheus.NewRegistry()
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "apiserver_request_total",
		Help: "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code."},
		append(requestLabels[:len(requestLabels):len(requestLabels)], "code"))
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "apiserver_request_duration_seconds", Buckets: requestBuckets,
		Help: "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component."}, requestLabels)
	m.sli = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "apiserver_request_sli_duration_seconds", Buckets: requestBuckets[2:],
		Help: "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component."},
		[]string{"verb", "group", "version", "resource", "subresource", "scope", "component"})
	m.expiry = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "apiserver_client_certificate_expiration_seconds", Buckets: expiryBuckets,
		Help: "Distribution of the remaining lifetime on the certificate used to authenticate a request."})
	m.sizes = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "apiserver_response_sizes", Buckets: prometheus.ExponentialBuckets(1000, 10, 7),
		Help: "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component."},
		[]string{"verb", "group", "version", "resource", "subresource", "scope", "component"})
	m.long = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "apiserver_longrunning_requests",
		Help: "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way."},
		[]string{"verb", "group", "version", "resource", "subresource", "scope", "component"})
	m.events = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "apiserver_watch_events_total",
		Help: "Number of events sent in watch clients"}, []string{"group", "version", "resource"})
	m.eventSizes = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "apiserver_watch_events_sizes", Buckets: prometheus.ExponentialBuckets(1024, 2, 8),
		Help: "Watch event size distribution in bytes"}, []string{"group", "version", "resource"})
	m.old = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "apiserver_requested_deprecated_apis",
		Help: "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release."},
		[]string{"group", "version", "resource", "subresource", "removed_release"})
	m.registry.MustRegister(m.requests, m.duration, m.sli, m.expiry, m.sizes, m.long, m.events, m.eventSizes, m.old,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gauges{s})
}

func (m *metrics) of(s *Server) *metrics {
	m.once.Do(func() { m.init(s) })
	return m
}

// RegisterMetrics adds what another part of the process counts to /metrics.
func (s *Server) RegisterMetrics(c prometheus.Collector) error {
	return s.metrics.of(s).registry.Register(c)
}

// serveMetrics answers in the text format of Prometheus.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	// Large answers are compressed like any other (compress.go).
	promhttp.HandlerFor(s.metrics.of(s).registry, promhttp.HandlerOpts{DisableCompression: true, ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
}
