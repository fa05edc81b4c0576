package proxy

import (
	"context"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// The whole proxy, from API objects to packets: the kubernetes Service, which leads to a process
// of the node, from a pod and from the node; then changes, and a watch that expires.
func TestRun(t *testing.T) {
	l := newLab(t, "a")
	l.echo(l.node, "api", 6443)
	kube := makeService("kubernetes", "10.96.0.1", func(s *corev1.Service) { s.Spec.Ports[0].Port = 443 })
	eps := makeSlice("kubernetes", "192.168.50.1")
	eps.Ports[0].Port = ptr(int32(6443))
	eps.Endpoints[0].NodeName = nil
	c := clienttest.New(kube, eps)

	ctx, cancel := context.WithCancel(t.Context())
	p := New(Options{Client: c, NodeName: "here", ClusterCIDR: labCIDR, Log: slog.New(slog.DiscardHandler)})
	done := make(chan error)
	go func() { done <- within(l.node, func() error { return p.Run(ctx) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.in(l.node, func() error { return Remove(DefaultTable) })
	})
	select {
	case <-p.Ready():
	case err := <-done:
		t.Fatal(err)
	case <-time.After(60 * time.Second):
		t.Fatal("not ready")
	}
	l.answers(l.pods["a"], "10.96.0.1:443", 3)
	l.answers(l.node, "10.96.0.1:443", 3)

	l.echo(l.pods["a"], "a", 8080)
	begin := func(name, ip string) {
		if _, err := client.Create(ctx, client.Client(c), makeService(name, ip)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Create(ctx, client.Client(c), makeSlice(name, podIP(0))); err != nil {
			t.Fatal(err)
		}
		l.eventually(ip+":80", true)
	}
	begin("web", "10.96.0.10")
	c.Expire()
	begin("more", "10.96.0.11")
	if err := client.Delete[*corev1.Service](ctx, c, "default", "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete[*discoveryv1.EndpointSlice](ctx, c, "default", "more-x", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.eventually("10.96.0.10:80", false)
	l.eventually("10.96.0.11:80", false)
	l.refused(l.pods["a"], "10.96.0.11:80")
}

// eventually waits until an address answers the pod, or does not.
func (l *lab) eventually(to string, answers bool) {
	l.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		if _, _, err := ask(l.pods["a"], to); (err == nil) == answers {
			return
		}
	}
	l.t.Fatalf("%s: answers is not %v", to, answers)
}

// A watch that begins anew shows what is there; what it does not show is gone.
func TestIntake(t *testing.T) {
	s, i := NewState(Node{}), newIntake()
	added := func(o *corev1.Service) client.Event { return client.Event{Type: "ADDED", Object: o} }
	synced := client.Event{Type: "BOOKMARK"}
	i.take(s, batch{kind: serviceKind, begin: true, events: []client.Event{added(makeService("a", "10.96.0.1")), added(makeService("b", "10.96.0.2")), synced}})
	if i.complete() {
		t.Error("complete without endpoint slices")
	}
	i.take(s, batch{kind: sliceKind, begin: true, events: []client.Event{synced}})
	if !i.complete() {
		t.Error("not complete")
	}
	s.Changes()
	i.take(s, batch{kind: serviceKind, begin: true, events: []client.Event{added(makeService("b", "10.96.0.2"))}})
	if i.complete() {
		t.Error("complete in the middle of a list")
	}
	i.take(s, batch{kind: serviceKind, events: []client.Event{synced}})
	c := s.Changes()
	if len(c.Add) != 0 || len(c.Remove) != 2 {
		t.Errorf("%+v, want the two elements of a removed", c)
	}
}
