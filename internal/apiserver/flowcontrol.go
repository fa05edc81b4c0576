package apiserver

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
)

const (
	headerSchema = "X-Kubernetes-PF-FlowSchema-UID"
	headerLevel  = "X-Kubernetes-PF-PriorityLevel-UID"

	// queueTime is how long a request may wait for its turn: a quarter of the time it may take in all.
	queueTime = requestTimeout / 4
	// widest is how many seats a request takes at most, objectsPerSeat how many objects a list reads per seat.
	widest, objectsPerSeat = 10, 100
)

// flowControl sorts requests by the FlowSchema and PriorityLevelConfiguration
// objects that there are; it looks at them again when their caches have changed.
type flowControl struct {
	pool    flow.Pool
	mu      sync.Mutex
	config  atomic.Pointer[flow.Config]
	version atomic.Int64
}

func (s *Server) flowConfig() *flow.Config {
	f := &s.flow
	schemas, levels := s.caches[all.For[*flowcontrolv1.FlowSchema]()], s.caches[all.For[*flowcontrolv1.PriorityLevelConfiguration]()]
	version := 1 + schemas.changes.Load() + levels.changes.Load()
	if f.version.Load() == version {
		return f.config.Load()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version.Load() == version {
		return f.config.Load()
	}
	var ss []*flowcontrolv1.FlowSchema
	var ls []*flowcontrolv1.PriorityLevelConfiguration
	have := map[string]bool{}
	for _, e := range schemas.all() {
		ss = append(ss, e.object().(*flowcontrolv1.FlowSchema))
		have["s/"+e.object().GetName()] = true
	}
	for _, e := range levels.all() {
		ls = append(ls, e.object().(*flowcontrolv1.PriorityLevelConfiguration))
		have["l/"+e.object().GetName()] = true
	}
	// What the server cannot do without holds even where somebody has deleted it.
	for _, o := range flow.Schemas() {
		if flow.Mandatory(o.Name) && !have["s/"+o.Name] {
			ss = append(ss, o)
		}
	}
	for _, o := range flow.Levels() {
		if flow.Mandatory(o.Name) && !have["l/"+o.Name] {
			ls = append(ls, o)
		}
	}
	f.config.Store(f.pool.Configure(ss, ls))
	f.version.Store(version)
	return f.config.Load()
}

// stageFlow lets the request wait for its turn, or refuses it.
func (s *Server) stageFlow(w http.ResponseWriter, r *http.Request, x *exchange) error {
	q := flow.Request{User: x.user.Name, Groups: x.user.Groups, Verb: x.verb, Resource: x.resourceRequest, Path: x.path, Group: x.group, Kind: x.resource, Namespace: x.ns}
	if x.sub != "" {
		q.Kind += "/" + x.sub
	}
	place := s.flowConfig().Sort(&q)
	if place.Level == nil {
		return nil
	}
	w.Header().Set(headerSchema, string(place.Schema.UID))
	w.Header().Set(headerLevel, place.LevelUID)
	if x.longRunning() {
		return nil
	}
	t, ok := place.Level.Enter(place.Flow, s.width(x))
	if !ok {
		s.metrics.rejected(place, "queue-full")
		return tooManyRequests()
	}
	x.leave = t.Leave
	select {
	case <-t.Admitted():
		return nil
	default:
	}
	wait := time.NewTimer(queueTime)
	defer wait.Stop()
	select {
	case <-t.Admitted():
		return nil
	case <-wait.C:
		s.metrics.rejected(place, "time-out")
		return tooManyRequests()
	case <-r.Context().Done():
		s.metrics.rejected(place, "cancelled")
		return r.Context().Err()
	}
}

func tooManyRequests() error {
	return apierrors.NewTooManyRequests("too many requests, please try again later", 1)
}

// width is how many seats a request takes: lists of many objects take more than one.
func (s *Server) width(x *exchange) int {
	if x.verb != "list" && x.verb != "deletecollection" {
		return 1
	}
	var res *api.Resource
	if res = s.row(x.gvr()); res == nil || s.caches[res] == nil {
		return 1
	}
	return max(1, min(widest, s.caches[res].size()/objectsPerSeat))
}
