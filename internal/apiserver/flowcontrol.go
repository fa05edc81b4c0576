package apiserver

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
)

// The headers that say where a request was sorted, in the spelling of package http.
const (
	headerSchema = "X-Kubernetes-Pf-Flowschema-Uid"
	headerLevel  = "X-Kubernetes-Pf-Prioritylevel-Uid"
)

const (
	// queueTime is how long a request may wait for its turn at most: a quarter of the time that it has in all.
	queueTime = requestTimeout / 4
	// widest is how many seats a request takes at most, objectsPerSeat how many objects are read per seat.
	widest, objectsPerSeat = 10, 100
)

// flowControl sorts requests by the FlowSchema and PriorityLevelConfiguration
// objects that there are; it looks at them again when their caches have changed, so
// that a change counts for the next request (and for those that wait: flowobjects.go).
type flowControl struct {
	config  atomic.Pointer[flow.Config]
	version atomic.Int64 // of the objects that config was made of

	mu   sync.Mutex
	pool flow.Pool
}

func (s *Server) flowConfig() *flow.Config {
	f := &s.flow
	schemas, levels := s.cache(all.For[*flowcontrolv1.FlowSchema]()), s.cache(all.For[*flowcontrolv1.PriorityLevelConfiguration]())
	version := 1 + schemas.changes.Load() + levels.changes.Load()
	if f.version.Load() == version {
		return f.config.Load()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version.Load() >= version {
		return f.config.Load()
	}
	config, admitted := f.pool.Configure(s.flowTime(), objectsOf[*flowcontrolv1.FlowSchema](schemas), objectsOf[*flowcontrolv1.PriorityLevelConfiguration](levels))
	f.config.Store(config)
	f.version.Store(version)
	f.tell(admitted)
	return config
}

func objectsOf[T api.Object](c *cache) []T {
	entries := c.all()
	out := make([]T, len(entries))
	for i, e := range entries {
		out[i] = e.object().(T)
	}
	return out
}

func (s *Server) flowTime() time.Duration { return time.Since(s.started) }

func (f *flowControl) tell(admitted []*flow.Ticket) {
	for _, t := range admitted {
		close(t.Ready)
	}
}

// stageFlow lets the request wait for its turn, or refuses it. A watch takes seats
// until it stands; what else lasts by its nature takes none.
func (s *Server) stageFlow(w http.ResponseWriter, r *http.Request, x *exchange) error {
	q := flow.Request{User: x.user.Name, Groups: x.user.Groups, Verb: x.verb, Resource: x.resourceRequest, Path: x.path, Group: x.group, Kind: x.resource, Sub: x.sub, Namespace: x.ns}
	place := s.flowConfig().Sort(&q)
	if place.Schema == nil {
		return nil
	}
	if place.Schema.UID != nil {
		w.Header()[headerSchema], w.Header()[headerLevel] = place.Schema.UID, place.Schema.LevelUID
	}
	if x.longRunning() && x.verb != "watch" {
		return nil
	}
	width := s.width(r, x)
	f, t := &s.flow, &x.ticket
	f.mu.Lock()
	why := f.pool.Enter(s.flowTime(), &place, width, t)
	waits := t.State() == flow.Waiting
	if waits {
		t.Ready = make(chan struct{})
	}
	f.mu.Unlock()
	switch {
	case why != flow.NoReason:
		return tooManyRequests()
	case waits:
		asked := time.Now()
		defer func() { x.waited = time.Since(asked) }()
		return s.awaitTurn(r, x)
	}
	return nil
}

func (s *Server) awaitTurn(r *http.Request, x *exchange) error {
	most := queueTime
	if !x.deadline.IsZero() {
		most = min(most, time.Until(x.deadline)/4)
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-x.ticket.Ready:
		return nil
	case <-timer.C:
		if s.giveUp(x, flow.TimeOut) {
			return tooManyRequests()
		}
	case <-r.Context().Done():
		if s.giveUp(x, flow.Cancelled) {
			return r.Context().Err()
		}
	}
	return nil
}

// giveUp takes the request out of its queue, unless it was admitted meanwhile.
func (s *Server) giveUp(x *exchange, why flow.Reason) bool {
	f := &s.flow
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.ticket.State() != flow.Waiting {
		return false
	}
	f.tell(f.pool.Leave(s.flowTime(), &x.ticket, why))
	return true
}

// leaveFlow gives the request's seats back. Again, it does nothing.
func (s *Server) leaveFlow(x *exchange) {
	if x.ticket.State() == flow.Idle {
		return
	}
	f := &s.flow
	f.mu.Lock()
	f.tell(f.pool.Leave(s.flowTime(), &x.ticket, flow.NoReason))
	f.mu.Unlock()
}

func tooManyRequests() error {
	return apierrors.NewTooManyRequests("too many requests, please try again later", 1)
}

// width is how many seats a request takes: what reads many objects takes more than one.
func (s *Server) width(r *http.Request, x *exchange) int {
	if x.name != "" || x.selected != "" {
		return 1
	}
	switch x.verb {
	case "list", "deletecollection":
	case "watch":
		// It begins with a list, unless it goes on from a revision.
		q := r.URL.Query()
		if rv := q.Get("resourceVersion"); rv != "" && rv != "0" && !strings.HasPrefix(q.Get("sendInitialEvents"), "t") {
			return 1
		}
	default:
		return 1
	}
	res := s.row(x.gvr())
	if v := s.version(x.gvr()); res == nil && v != nil {
		res = v.Resource
	}
	if res == nil || s.cache(res) == nil {
		return 1
	}
	n := s.cache(res).size()
	if n > objectsPerSeat && strings.Contains(r.URL.RawQuery, "limit=") {
		// Whoever selects may have to read more than the page has.
		if q := r.URL.Query(); q.Get("labelSelector") == "" && q.Get("fieldSelector") == "" {
			if limit, err := strconv.Atoi(q.Get("limit")); err == nil && limit > 0 {
				n = min(n, limit)
			}
		}
	}
	return max(1, min(widest, (n+objectsPerSeat-1)/objectsPerSeat))
}
