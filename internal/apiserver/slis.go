package apiserver

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// slis count how often each health check was made and what came out, under upstream's names, at /metrics/slis.
type slis struct {
	once     sync.Once
	registry *prometheus.Registry
	last     *prometheus.GaugeVec
	all      *prometheus.CounterVec
}

func (i *slis) ready() *slis {
	i.once.Do(func() {
		i.last = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kubernetes_healthcheck", Help: "[STABLE] This metric records the result of a single healthcheck."}, []string{"name", "type"})
		i.all = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubernetes_healthchecks_total", Help: "[STABLE] This metric records the results of all healthcheck."}, []string{"name", "status", "type"})
		i.registry = prometheus.NewRegistry()
		i.registry.MustRegister(i.last, i.all)
	})
	return i
}

// note counts a check that was made for /healthz, /livez or /readyz.
func (i *slis) note(check, of string, err error) {
	i.ready()
	value, status := 1.0, "success"
	if err != nil {
		value, status = 0, "error"
	}
	i.last.WithLabelValues(check, of).Set(value)
	i.all.WithLabelValues(check, status, of).Inc()
}

func (s *Server) serveSLIs(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(s.slis.ready().registry, promhttp.HandlerOpts{DisableCompression: true, ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
}
