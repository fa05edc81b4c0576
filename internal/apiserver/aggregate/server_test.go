package aggregate_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
	"github.com/skiff-k8s/skiff/internal/apiserver"
	"github.com/skiff-k8s/skiff/internal/apiserver/aggregate"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// TestOnServer runs the aggregator on the server that it is made for: its
// objects are admitted, validated, stored and watched as any others.
func TestOnServer(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	_, services, _ := net.ParseCIDR("10.96.0.0/16")
	st := mem.New()
	s, err := apiserver.New(ctx, apiserver.Options{Store: st, Log: slog.New(slog.DiscardHandler), ServiceCIDR: services})
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/apis/metrics.example.com/v1beta1" {
			io.WriteString(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.example.com/v1beta1","resources":[{"name":"pods","namespaced":true,"kind":"PodMetrics","verbs":["get"]}]}`)
			return
		}
		fmt.Fprint(w, "hello ", r.Header.Get("X-Remote-User"))
	}))
	c := s.Client(auth.System)
	changed := make(chan struct{}, 1)
	a := aggregate.New(aggregate.Config{Client: c, Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, backend.Listener.Addr().String())
	}})
	var builtin []schema.GroupVersion
	for _, r := range all.Rows {
		if gv := r.GVR.GroupVersion(); !slices.Contains(builtin, gv) {
			builtin = append(builtin, gv)
		}
	}
	a.SetLocal(builtin, nil)
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- a.Run(ctx) }()
	defer func() { stop(); <-ended; <-ended; backend.Close(); st.Close() }()

	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := c.Watch(within, apiregistration.Rows()[0], "", client.Selector{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	seen := map[string]*apiregistrationv1.APIService{}
	await := func(ok func() bool) {
		t.Helper()
		for !ok() {
			events, err := w.Next(within)
			if err != nil {
				t.Fatalf("%v; there are %d", err, len(seen))
			}
			for _, e := range events {
				if !e.Synced() {
					seen[e.Object.GetName()] = e.Object.(*apiregistrationv1.APIService)
				}
			}
		}
	}
	own := aggregate.Local(builtin, false)
	await(func() bool { return len(seen) == len(own) })
	for _, o := range own {
		if have := seen[o.Name]; have == nil || apiregistration.Available(have) == nil || apiregistration.Available(have).Reason != "Local" {
			t.Errorf("%s: %+v", o.Name, have)
		}
	}

	if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "monitoring"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(ctx, c, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "metrics"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}); err != nil {
		t.Fatal(err)
	}
	const name = "v1beta1.metrics.example.com"
	if _, err := client.Create(ctx, c, &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: apiregistrationv1.APIServiceSpec{
		Group: "metrics.example.com", Version: "v1beta1", GroupPriorityMinimum: 100, VersionPriority: 100, InsecureSkipTLSVerify: true,
		Service: &apiregistrationv1.ServiceReference{Namespace: "monitoring", Name: "metrics"},
	}}); err != nil {
		t.Fatal(err)
	}
	reason := func() string {
		if c := seen[name]; c != nil && apiregistration.Available(c) != nil {
			return apiregistration.Available(c).Reason
		}
		return ""
	}
	await(func() bool { return reason() == "EndpointsNotFound" })
	port := int32(8443)
	if _, err := client.Create(ctx, c, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "monitoring", Name: "metrics-1", Labels: map[string]string{discoveryv1.LabelServiceName: "metrics"}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Port: &port}}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.5"}}},
	}); err != nil {
		t.Fatal(err)
	}
	await(func() bool { return reason() == "Passed" })
	if o := seen[name]; o.Generation != 0 || *o.Spec.Service.Port != 443 {
		t.Errorf("%+v", o)
	}
	for a.Groups()[0].Discovery.Freshness != "Current" {
		select {
		case <-changed:
		case <-within.Done():
			t.Fatal("it stays stale")
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/apis/metrics.example.com/v1beta1/namespaces/default/pods", nil)
	answer := httptest.NewRecorder()
	a.Handler("metrics.example.com", "v1beta1").ServeHTTP(answer, r.WithContext(aggregate.WithUser(ctx, &auth.User{Name: "jane"})))
	if answer.Code != 200 || answer.Body.String() != "hello jane" {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
