package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// healthServers answer load balancers on the healthCheckNodePort of services
// with externalTrafficPolicy Local: 200 if the node has a backend, else 503.
type healthServers struct {
	servers map[types.NamespacedName]*healthServer
	failed  map[types.NamespacedName]int32 // ports that could not be had, told once
}

type healthServer struct {
	name  types.NamespacedName
	port  int32
	local atomic.Int64
	http  *http.Server
}

// serve makes the servers equal to what the state wants. A port that cannot be
// had is logged and tried again with the next change.
func (h *healthServers) serve(s *State, log *slog.Logger) {
	for name, srv := range h.servers {
		if want, ok := s.health[name]; !ok || want.port != srv.port {
			srv.close()
			delete(h.servers, name)
		}
	}
	for name, want := range s.health {
		srv := h.servers[name]
		if srv == nil {
			var err error
			if srv, err = startHealth(name, want.port); err != nil {
				if h.failed[name] != want.port {
					log.Error("proxy: health check port cannot be had, will try with each change", "service", name, "port", want.port, "err", err)
				}
				if h.failed == nil {
					h.failed = map[types.NamespacedName]int32{}
				}
				h.failed[name] = want.port
				continue
			}
			if h.servers == nil {
				h.servers = map[types.NamespacedName]*healthServer{}
			}
			h.servers[name] = srv
			delete(h.failed, name)
		}
		srv.local.Store(int64(want.local))
	}
}

func (h *healthServers) close() {
	for _, srv := range h.servers {
		srv.close()
	}
	h.servers = nil
}

func startHealth(name types.NamespacedName, port int32) (*healthServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", ":"+strconv.Itoa(int(port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	srv := &healthServer{name: name, port: port}
	srv.http = &http.Server{Handler: srv, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	go srv.http.Serve(listener) // ends with close
	return srv, nil
}

func (s *healthServer) close() { s.http.Close() }

// ServeHTTP answers in the words that balancers know from Kubernetes.
func (s *healthServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n := s.local.Load()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.FormatInt(n, 10))
	if n == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	type service struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	}
	json.NewEncoder(w).Encode(struct {
		Service             service `json:"service"`
		LocalEndpoints      int64   `json:"localEndpoints"`
		ServiceProxyHealthy bool    `json:"serviceProxyHealthy"`
	}{service{s.name.Namespace, s.name.Name}, n, true})
}

// health is what a Service wants to be told to load balancers.
type health struct {
	port  int32
	local int // endpoints on this node
}

// healthOf returns nil for services that have no such port.
func healthOf(node Node, svc *corev1.Service, eps endpoints) *health {
	if svc == nil || !proxied(svc) || svc.Spec.HealthCheckNodePort == 0 ||
		svc.Spec.Type != corev1.ServiceTypeLoadBalancer || svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return nil
	}
	h := &health{port: svc.Spec.HealthCheckNodePort}
	for _, ip := range clusterIPs(svc) {
		for i := range svc.Spec.Ports {
			// A node whose endpoints only end must get no new connections.
			b := eps.choose(node, &svc.Spec.Ports[i], ip.Is4())
			h.local = max(h.local, b.localReady)
		}
	}
	return h
}
