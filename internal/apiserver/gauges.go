package apiserver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
)

// gauges collects what is known at the moment of the question: nothing is counted for it before.
type gauges struct{ s *Server }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

const inFlow = " in the API Priority and Fairness subsystem"

var (
	inflightDesc = desc("apiserver_current_inflight_requests", "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.", "request_kind")
	buildDesc    = desc("kubernetes_build_info", "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
		"major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform")
	storedDesc   = desc("apiserver_storage_objects", "Number of stored objects at the time of last check split by kind.", "resource")
	resourceDesc = desc("apiserver_resource_objects", "Number of stored objects at the time of last check split by kind.", "group", "resource")

	refusedDesc      = desc("apiserver_flowcontrol_rejected_requests_total", "Number of requests rejected by API Priority and Fairness subsystem", "priority_level", "flow_schema", "reason")
	dispatchedDesc   = desc("apiserver_flowcontrol_dispatched_requests_total", "Number of requests executed by API Priority and Fairness subsystem", "priority_level", "flow_schema")
	waitingDesc      = desc("apiserver_flowcontrol_current_inqueue_requests", "Number of requests currently pending in queues of the API Priority and Fairness subsystem", "priority_level", "flow_schema")
	waitingSeatsDesc = desc("apiserver_flowcontrol_current_inqueue_seats", "Number of seats currently pending in queues of the API Priority and Fairness subsystem", "priority_level", "flow_schema")
	runningDesc      = desc("apiserver_flowcontrol_current_executing_requests", "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage"+inFlow, "priority_level", "flow_schema")
	runningSeatsDesc = desc("apiserver_flowcontrol_current_executing_seats", "Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests"+inFlow, "priority_level", "flow_schema")
	waitedDesc       = desc("apiserver_flowcontrol_request_wait_duration_seconds", "Length of time a request spent waiting in its queue", "priority_level", "flow_schema", "execute")
	executedDesc     = desc("apiserver_flowcontrol_request_execution_seconds", "Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution"+inFlow, "priority_level", "flow_schema")
	nominalDesc      = desc("apiserver_flowcontrol_nominal_limit_seats", "Nominal number of execution seats configured for each priority level", "priority_level")
	lowerDesc        = desc("apiserver_flowcontrol_lower_limit_seats", "Configured lower bound on number of execution seats available to each priority level", "priority_level")
	upperDesc        = desc("apiserver_flowcontrol_upper_limit_seats", "Configured upper bound on number of execution seats available to each priority level", "priority_level")

	// These are Skiff's own.
	watchesDesc     = desc("skiff_watches", "Number of watches, those of parts in the same process included.", "group", "resource")
	unavailableDesc = desc("aggregator_unavailable_apiservice", "Gauge of APIServices which are marked as unavailable broken down by APIService name.", "name")
	lostDesc        = desc("aggregator_unavailable_apiservice_total", "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.", "name", "reason")
	revisionDesc    = desc("skiff_store_revision", "The current revision of the store, and the oldest one that can be read.", "which")
)

func (gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{inflightDesc, buildDesc, storedDesc, resourceDesc, refusedDesc, dispatchedDesc, waitingDesc, waitingSeatsDesc,
		runningDesc, runningSeatsDesc, waitedDesc, executedDesc, nominalDesc, lowerDesc, upperDesc, watchesDesc, revisionDesc, unavailableDesc, lostDesc} {
		ch <- d
	}
}

func (g gauges) Collect(ch chan<- prometheus.Metric) {
	s := g.s
	put := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	put(inflightDesc, s.metrics.inflight[0].Load(), "readOnly")
	put(inflightDesc, s.metrics.inflight[1].Load(), "mutating")
	v := s.Version
	put(buildDesc, 1, v.Major, v.Minor, v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.GoVersion, v.Compiler, v.Platform)
	for _, r := range s.Rows() {
		c := s.cache(r)
		if c == nil {
			continue
		}
		n := int64(c.size())
		put(storedDesc, n, r.GroupResource().String())
		put(resourceDesc, n, r.GVR.Group, r.GVR.Resource)
		if w := c.watching(); w > 0 {
			put(watchesDesc, int64(w), r.GVR.Group, r.GVR.Resource)
		}
	}
	current, oldest := s.Store.Revision()
	put(revisionDesc, current, "current")
	put(revisionDesc, oldest, "oldest")
	for _, a := range s.aggregator.Availability() {
		down := int64(0)
		if a.Unavailable {
			down = 1
		}
		put(unavailableDesc, down, a.Name)
		for reason, n := range a.Lost {
			ch <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(n), a.Name, reason)
		}
	}
	g.collectFlow(ch)
}

func (g gauges) collectFlow(ch chan<- prometheus.Metric) {
	g.s.flowConfig()
	var made []prometheus.Metric
	put := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		made = append(made, prometheus.MustNewConstMetric(d, t, v, labels...))
	}
	histogram := func(d *prometheus.Desc, h *flow.Histogram, labels ...string) {
		if n, buckets := cumulated(h); n > 0 {
			made = append(made, prometheus.MustNewConstHistogram(d, n, h.Sum.Seconds(), buckets, labels...))
		}
	}
	f := &g.s.flow
	f.mu.Lock()
	f.pool.Read(func(st *flow.Stats) {
		at := []string{st.Level, st.Schema}
		put(dispatchedDesc, prometheus.CounterValue, float64(st.Dispatched), at...)
		put(waitingDesc, prometheus.GaugeValue, float64(st.Waiting), at...)
		put(waitingSeatsDesc, prometheus.GaugeValue, float64(st.WaitingSeats), at...)
		put(runningDesc, prometheus.GaugeValue, float64(st.Running), at...)
		put(runningSeatsDesc, prometheus.GaugeValue, float64(st.RunningSeats), at...)
		for why, n := range st.Refused {
			if n > 0 {
				put(refusedDesc, prometheus.CounterValue, float64(n), st.Level, st.Schema, flow.Reason(why).String())
			}
		}
		histogram(waitedDesc, &st.Waited, st.Level, st.Schema, "true")
		histogram(waitedDesc, &st.WaitedInVain, st.Level, st.Schema, "false")
		histogram(executedDesc, &st.Executed, at...)
	}, func(l flow.Limits) {
		put(nominalDesc, prometheus.GaugeValue, float64(l.Nominal), l.Level)
		put(lowerDesc, prometheus.GaugeValue, float64(l.Lower), l.Level)
		put(upperDesc, prometheus.GaugeValue, float64(l.Upper), l.Level)
	})
	f.mu.Unlock()
	// Whoever collects may be slow: not with requests waiting behind the lock.
	for _, m := range made {
		ch <- m
	}
}

func cumulated(h *flow.Histogram) (uint64, map[float64]uint64) {
	n := uint64(0)
	out := make(map[float64]uint64, len(flow.Bounds))
	for i, b := range h.Buckets {
		n += b
		if i < len(flow.Bounds) {
			out[flow.Bounds[i]] = n
		}
	}
	return n, out
}

// since is the time that a request took, for histograms.
func since(t time.Time) float64 { return time.Since(t).Seconds() }
