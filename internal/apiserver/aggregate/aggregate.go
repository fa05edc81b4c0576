// Package aggregate joins other API servers to this one. An APIService says which
// service answers for a group version; what clients ask of that group version is
// passed on to it, and what it serves is told in discovery and OpenAPI.
//
// Inputs: APIServices, Services and EndpointSlices, all through client, and the
// answers of the backends. Outputs: the status of APIServices, an APIService for
// every group version that this server answers itself, and handlers and documents
// for the server, which imports this package and is not known to it.
//
// Invariants:
//   - A request is authenticated and authorized before it comes here. The backend is
//     told who asks in the headers of request-header authentication and by no other
//     means: what a client sends under those names ends here, and so do credentials.
//   - A backend is reached at the address of its service, verified by the name of
//     its service, and at nothing that it names itself: redirects are refused.
//   - Handler looks at a map that is never written to: it takes no lock.
//   - Nothing ticks and nobody but APIServices is watched while no service stands
//     behind an APIService.
//
// Read aggregate.go, backend.go, proxy.go, run.go, then condition.go.
package aggregate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/client"
)

// Config says what an Aggregator works with.
type Config struct {
	// Client reads APIServices, Services and EndpointSlices, and writes APIServices.
	Client client.Client
	// Dial opens connections to the addresses of services; nil: as any program does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ProxyCert is the client certificate by which backends know this server; nil: there
	// is none. It is asked for at every handshake, so a renewed one is used at once.
	ProxyCert func() (*tls.Certificate, error)
	// Changed is called after anything that Groups, Order or the OpenAPI documents tell has changed.
	Changed func()
	Log     *slog.Logger
	Now     func() time.Time
}

// The times of upstream.
const (
	checkTime   = 5 * time.Second  // that a backend has to answer whether it is there
	checkEvery  = 30 * time.Second // while it does
	retryFirst  = 5 * time.Millisecond
	retryMost   = 30 * time.Second
	openAPITime = time.Minute // that OpenAPI documents are taken for current
)

// Aggregator knows the backends. Its methods may be called at any time, from
// anywhere; before Run there are no backends.
type Aggregator struct {
	Config
	row       *api.Resource
	checkTime time.Duration
	lookup    func(ctx context.Context, network, host string) ([]net.IP, error)

	table atomic.Pointer[map[schema.GroupVersion]*backend] // what Handler finds
	life  context.Context                                  // ended by Drain
	end   context.CancelFunc

	mu       sync.Mutex
	services map[string]*apiregistrationv1.APIService // all of them, as last seen
	backends map[string]*backend                      // of those with a service, by the name of the APIService
	local    map[string]*apiregistrationv1.APIService // what this server wants to be registered; nil: it has not said
	handled  map[string]bool                          // names that were brought in order once
	atStart  map[string]bool                          // names that were there at the start; nil: not known yet
	queue    workqueue.TypedRateLimitingInterface[string]
	losses   map[string]map[string]int
	wake     chan struct{} // there may be other backends than before
}

// New makes an Aggregator without backends.
func New(c Config) *Aggregator {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	a := &Aggregator{
		Config: c, row: apiregistration.Rows()[0], checkTime: checkTime, lookup: net.DefaultResolver.LookupIP,
		services: map[string]*apiregistrationv1.APIService{}, backends: map[string]*backend{}, handled: map[string]bool{}, losses: map[string]map[string]int{},
		wake: make(chan struct{}, 1),
	}
	a.life, a.end = context.WithCancel(context.Background())
	a.table.Store(&map[schema.GroupVersion]*backend{})
	return a
}

// Handler answers the requests for a group version whose APIService names a
// service, whether that is available or not; nil: nobody outside serves it. The
// request's context must carry the user (WithUser) and, unless the request lasts by its nature, a deadline.
func (a *Aggregator) Handler(group, version string) http.Handler {
	if b := (*a.table.Load())[schema.GroupVersion{Group: group, Version: version}]; b != nil {
		return b
	}
	return nil
}

// Drain ends the watches and the connections that are passed on, and refuses new ones.
func (a *Aggregator) Drain() { a.end() }

// all are the backends by the name of their APIService.
func (a *Aggregator) all() []*backend {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []*backend
	for _, name := range slices.Sorted(maps.Keys(a.backends)) {
		out = append(out, a.backends[name])
	}
	return out
}

func (a *Aggregator) backend(name string) *backend {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.backends[name]
}

// enqueue has names looked at, if Run runs.
func (a *Aggregator) enqueue(names ...string) {
	a.mu.Lock()
	q := a.queue
	a.mu.Unlock()
	if q == nil {
		return
	}
	for _, n := range names {
		q.Add(n)
	}
}
