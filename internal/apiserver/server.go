// Package apiserver is the API server: the request pipeline, one file per verb,
// above the watch cache, above the store.
//
// Life of a write: decode (body.go) → default → admit (admission/) → validate →
// commit (write.go) → the feed carries it into the caches (feed.go) → encode.
// Life of a read: the cache's shared entry (cache.go, entry.go) → encode once.
// A watch is a cursor into the cache's events (watcher.go).
//
// Parts of Skiff in the same process use Server.Client, which skips HTTP and
// encoding and hands out the very objects of the cache (local.go).
//
// Read server.go, feed.go, cache.go, write.go, then pipeline.go.
package apiserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skiff-k8s/skiff/internal/apiserver/admission"
	"github.com/skiff-k8s/skiff/internal/apiserver/aggregate"
	"github.com/skiff-k8s/skiff/internal/apiserver/managedfields"
	"github.com/skiff-k8s/skiff/internal/apiserver/webhook"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/store"
)

// Options say what a Server is made of.
type Options struct {
	Store       store.Store
	Log         *slog.Logger
	Now         func() time.Time
	ServiceCIDR *net.IPNet
	// NodePorts is the range that node ports are taken from; zero means 30000–32767.
	NodePortBase, NodePortSize int
	ClientCA                   *x509.CertPool
	Tokens                     *auth.Issuer
	// Node returns the handler of a node's kubelet API, for logs, exec and the like.
	Node func(ctx context.Context, name string) (http.Handler, error)
	// Dial opens connections to pods and services, for the proxy subresources.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Version VersionInfo
	// NoOldVersions serves current versions of kinds only.
	NoOldVersions bool
	// Authorizer answers what admission asks besides the write itself; nil admits administrators only.
	Authorizer admission.Authorizer
	// ProxyCert is the client certificate by which servers that the API is shared with know this one; nil: there is none.
	ProxyCert func() (*tls.Certificate, error)
	// PodSecurity says what pod security admission does not look at.
	PodSecurity admission.Exemptions
}

// Server is the API server.
type Server struct {
	Options
	kinds     atomic.Pointer[kinds]
	feed      *feed
	watch     store.Watch
	admission *admission.Chain
	services  serviceAllocator
	quotas    quotas
	appliers  managedfields.Appliers
	discovery discovery
	openapi   openapi
	flow      flowControl
	metrics   metrics
	slis      slis
	checks    []check
	webhooks  webhook.Caller
	pump      *pump

	aggregator *aggregate.Aggregator
	drain      drain
	started    time.Time

	mu       sync.Mutex
	watching int

	rowsChanged chan struct{}
}

// New loads the caches from the store. Run must be called for writes to return.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NodePortSize == 0 {
		o.NodePortBase, o.NodePortSize = 30000, 2768
	}
	s := &Server{Options: o, drain: drain{c: make(chan struct{})}, started: time.Now(), rowsChanged: make(chan struct{}, 1), pump: newPump()}
	s.aggregator = s.newAggregator()
	s.feed = &feed{store: o.Store, define: s.define, woken: make(chan struct{}, 1)}
	first := builtin()
	s.kinds.Store(first)
	s.feed.setCaches(first)
	var err error
	if s.watch, err = s.feed.load(ctx); err != nil {
		return nil, err
	}
	s.admission = admission.NewChain(admission.Config{Reader: s.Client(auth.System), Authorizer: o.Authorizer, PodSecurity: o.PodSecurity})
	s.services.init(s)
	s.aggregator.SetLocal(s.ownVersions())
	s.webhooks = webhook.Caller{Resolve: s.resolve, Dial: o.Dial}
	return s, nil
}

// Run carries the store's sequence into the caches until the context ends.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.pump.run(ctx)
	return s.feed.run(ctx, s.watch)
}

// now is the time as objects carry it: in UTC, whole seconds.
func (s *Server) now() time.Time { return s.Now().UTC().Truncate(time.Second) }
