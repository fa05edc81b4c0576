package proxy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestHealthCheckNodePort(t *testing.T) {
	free, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	s, h := NewState(Node{Name: "here"}), healthServers{}
	defer h.close()
	log := slog.New(slog.DiscardHandler)
	s.SetService(makeService("web", "10.96.0.10", localOnly, func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.HealthCheckNodePort = int32(port)
	}))
	s.SetSlice(makeSlice("web", "10.244.0.10", "10.244.0.11"))
	s.Changes()
	h.serve(s, log) // the port is taken: tried again with the next change
	free.Close()

	hc := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	check := func(status, endpoints int) {
		t.Helper()
		s.Changes()
		h.serve(s, log)
		r, err := hc.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", port))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var got struct {
			Service             struct{ Namespace, Name string }
			LocalEndpoints      int
			ServiceProxyHealthy bool
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		weight := r.Header.Get("X-Load-Balancing-Endpoint-Weight")
		if r.StatusCode != status || got.LocalEndpoints != endpoints || got.Service.Name != "web" || !got.ServiceProxyHealthy || weight != fmt.Sprint(endpoints) {
			t.Errorf("%d, weight %s, %+v; want %d and %d endpoints", r.StatusCode, weight, got, status, endpoints)
		}
	}
	check(200, 2)
	s.SetSlice(elsewhere(makeSlice("web", "10.244.0.10")))
	check(503, 0)
	s.DeleteService("default", "web")
	s.Changes()
	h.serve(s, log)
	if _, err := hc.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", port)); err == nil {
		t.Error("still answers after the Service went")
	}
}
